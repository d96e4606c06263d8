"""Measures of processes and of the machine. Standard library only."""

import os
import platform
import re
import subprocess
import sys
import threading
import time
from pathlib import Path


class Process:
    """What a process did: `began`, `wall` and `cpu_s` in seconds, `peak_mib` of its resident set (VmHWM, children and
    mapped files included), `out` and `err` as [(time, bytes)] as they were written, `file_at` when the watched file got
    its first line."""

    def __init__(self, command, log, env=None, watch=None):
        """Runs it to its end and stops the benchmark if it fails."""
        self.out, self.err, self.file_at = [], [], None
        self.began = time.time()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        threads = [
            threading.Thread(target=self._read, args=(child.stdout, self.out)),
            threading.Thread(target=self._read, args=(child.stderr, self.err)),
        ]
        self._ended = False
        if watch:
            threads.append(threading.Thread(target=self._watch, args=(watch,)))
        for thread in threads:
            thread.start()
        _, status, usage = os.wait4(child.pid, 0)
        self.wall = time.time() - self.began
        self._ended = True
        for thread in threads:
            thread.join()
        child.stdout.close()
        child.stderr.close()
        child.returncode = os.waitstatus_to_exitcode(status)
        self.peak_mib = usage.ru_maxrss / 1024
        self.cpu_s = usage.ru_utime + usage.ru_stime
        log.write_bytes(b"".join(text for _, text in sorted(self.out + self.err)))
        if child.returncode != 0:
            sys.exit(
                f"{' '.join(map(str, command[:3]))} ... gave exit code {child.returncode}:\n"
                + "".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:])
            )

    def _read(self, stream, into):
        while text := os.read(stream.fileno(), 1 << 16):
            into.append((time.time(), text))

    def _watch(self, file):
        while not self._ended and self.file_at is None:
            try:
                if b"\n" in file.read_bytes():
                    self.file_at = time.time()
            except FileNotFoundError:
                pass
            time.sleep(0.01)

    def output(self):
        return b"".join(text for _, text in self.out)

    def errors(self):
        return b"".join(text for _, text in self.err)


def products(attune):
    """{"f32", "bf16"}: the highest GFLOP/s of matrix products in the table of `attune doctor`, now; None without it."""
    if not attune.exists():
        return None
    text = subprocess.run([str(attune), "doctor"], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^\s+\d+ rows, \d+ to \d+" + 5 * r"\s+(\S+)" + r"\s*$", text, re.MULTILINE)
    if not rows:
        sys.exit(f"{attune} doctor has no table of matrix products:\n{text}")
    rates = [[float(x) if x[0].isdigit() else 0.0 for x in row] for row in rows]
    return {
        "f32": max(x for row in rates for x in row[:3]),
        "bf16": max(x for row in rates for x in row[3:]),
    }


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
