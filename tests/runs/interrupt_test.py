#!/usr/bin/env python3
"""Ctrl-C at any moment, no space, no permission: the right exit code and nothing half written.

usage: interrupt_test.py --programs=BUILD_DIR --source=REPOSITORY
"""
import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DELAYS_S = (0.01, 0.06, 0.15, 0.3, 0.6, 1.0)
NOBODY = 65534

RUN = """
model: {{path: {golden}/model}}
data: {{train: [rows.jsonl], held_out_fraction: 0.1, max_tokens: 128, cache_dir: cache}}
adapter: {{kind: none}}
reference: {{kind: cached}}
train: {{output: out, max_steps: 40, eval_every: 5, threads: 1}}
"""


def expect(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)


def tree(folder):
    """Every path below with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
            for p in folder.rglob("*")}


class Bench:
    def __init__(self, programs, source):
        self.attune = str(Path(programs).resolve() / "attune")
        self.golden = Path(source).resolve() / "tests/golden/trl_curve"

    def fill(self, folder, copies):
        """A folder with a run file and rows enough that each phase takes a while."""
        (folder / "run.yaml").write_text(RUN.format(golden=self.golden))
        rows = [json.loads(line) for line in open(self.golden / "rows.jsonl")]
        with open(folder / "rows.jsonl", "w") as file:
            for i in range(copies):
                for row in rows:
                    row["prompt"] = f"{i}. {row['prompt']}"[:200]
                    file.write(json.dumps(row) + "\n")

    def start(self, folder, *arguments, **options):
        environment = dict(os.environ, XDG_CACHE_HOME=str(folder.parent / "cache_home"))
        return subprocess.Popen([self.attune, *arguments], cwd=folder, env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def fails(self, folder, words, *arguments, **options):
        """The command ends with 2, says `words`, and leaves the folder as it was."""
        before = tree(folder)
        process = self.start(folder, *arguments, **options)
        out, err = process.communicate(timeout=120)
        what = " ".join(arguments)
        expect(process.returncode == 2, f"{what}: exit {process.returncode}\n{out}\n{err}")
        expect(words in err, f"{what} says: {err}")
        expect(".tmp" not in err, f"{what} names a file that nobody knows: {err}")
        after = tree(folder)
        expect(before == after, f"{what}: changed {set(before) ^ set(after)}\n{err}")
        return err


def stopped(bench, folder, name, arguments, result=None):
    """Ctrl-C after each delay: 130, or 0 if it was done; no temporary file, no half result.

    A signal may also come between the last file and the end of the program: then the status is 130
    and the result is all there."""
    codes = []
    if result is not None:
        bench.start(folder, *arguments).communicate(timeout=120)
        whole = tree(folder / result)
        expect(whole, f"{name} made no {result}")
        shutil.rmtree(folder / result)
    for delay in DELAYS_S:
        process = bench.start(folder, *arguments)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        # Before main begins, nothing has been started that could answer.
        early = process.returncode == -signal.SIGINT and delay == DELAYS_S[0]
        expect(process.returncode in (0, 130) or early,
               f"{name} after {delay} s: exit {process.returncode}\n{out}\n{err}")
        codes.append(process.returncode)
        left = [p for p in folder.rglob("*") if ".tmp" in p.name or p.name.endswith(".partial")]
        expect(not left, f"{name} after {delay} s left {left}")
        if process.returncode == 130 and result is not None and (folder / result).exists():
            expect(tree(folder / result) == whole, f"{name} after {delay} s left half a {result}")
        if "everything is saved" in out:
            expect(any((folder / "out/checkpoints").glob("step-*/state.json")),
                   f"{name} after {delay} s says that it saved, and did not\n{out}")
        for path in ("out", "cache", *([result] if result else [])):
            shutil.rmtree(folder / path, ignore_errors=True)
            (folder / path).unlink(missing_ok=True) if (folder / path).is_file() else None
    expect(130 in codes, f"{name} was never stopped: {codes}")
    print(f"{name}: {codes}")


def stopped_everywhere(bench, root):
    folder = root / "stopped"
    folder.mkdir()
    bench.fill(folder, copies=150)
    model, rows = str(bench.golden / "model"), "rows.jsonl"
    adapter = str(bench.golden / "adapter_end")
    stopped(bench, folder, "train", ("train", "run.yaml"))
    stopped(bench, folder, "plan", ("plan", "run.yaml"))
    stopped(bench, folder, "doctor", ("doctor", "."))
    stopped(bench, folder, "merge", ("merge", model, adapter, "merged"), "merged")
    stopped(bench, folder, "score", ("score", model, rows, "--cache-dir=cache"))
    stopped(bench, folder, "generate", ("generate", model, "Question:", "--max-new-tokens=400"))


def short_of_space(bench, root):
    def limit(size):
        def apply():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return apply
    folder = root / "full"
    folder.mkdir()
    bench.fill(folder, copies=20)
    model = str(bench.golden / "model")
    bench.fails(folder, "merged/model.safetensors: cannot be written: File too large", "merge", model,
                str(bench.golden / "adapter_end"), "merged", preexec_fn=limit(20_000))
    (folder / "cache").mkdir()
    bench.fails(folder, "cannot be written: File too large", "train", "run.yaml", "--log=quiet",
                preexec_fn=limit(5_000))
    process = bench.start(folder, "score", model, "rows.jsonl", "--log=quiet", "--cache-dir=cache")
    size = len(process.communicate(timeout=120)[0])
    expect(process.returncode == 0 and size > 100_000, f"scoring wrote {size} bytes")
    bench.fails(folder, "scores.jsonl: cannot be written: File too large", "score", model,
                "rows.jsonl", "--output=scores.jsonl", "--log=quiet", "--cache-dir=cache",
                preexec_fn=limit(size - 1000))
    print("no space for a merge, a cache, scores: exit 2, nothing left")


def no_permission(bench, root):
    """A folder and a file that somebody else owns."""
    def nobody():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    as_nobody = {"preexec_fn": nobody} if os.getuid() == 0 else {}
    if as_nobody and subprocess.run([bench.attune, "--version"], capture_output=True, check=False,
                                    **as_nobody).returncode != 0:
        print("no permission: skipped, another user cannot start the program where it lies")
        return
    folder = root / "shut"
    folder.mkdir()
    bench.fill(folder, copies=1)
    (folder / "cache").mkdir()
    secret = folder / "secret.jsonl"
    secret.write_text((folder / "rows.jsonl").read_text())
    secret.chmod(0)
    root.chmod(0o755)
    folder.chmod(0o555)
    model = str(bench.golden / "model")
    denied = "Permission denied"
    bench.fails(folder, f"train.output: out cannot be made: {denied}", "train", "run.yaml",
                "--log=quiet", **as_nobody)
    bench.fails(folder, f"merged: cannot be written: {denied}", "merge", model,
                str(bench.golden / "adapter_end"), "merged", **as_nobody)
    bench.fails(folder, f"secret.jsonl: cannot be read: {denied}", "data", "stats", "secret.jsonl",
                **as_nobody)
    folder.chmod(0o755)
    print("no permission: exit 2, nothing left")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True)
    parser.add_argument("--source", required=True)
    options = parser.parse_args()
    bench = Bench(options.programs, options.source)
    with tempfile.TemporaryDirectory(prefix="attune_interrupt_") as folder:
        stopped_everywhere(bench, Path(folder))
        short_of_space(bench, Path(folder))
        no_permission(bench, Path(folder))


if __name__ == "__main__":
    main()
