#!/usr/bin/env python3
"""A run that is killed, stopped or short of space loses nothing and ends with the same bits.

usage: survival_test.py --programs=BUILD_DIR --source=REPOSITORY [--kills=20] [--seed=1]

Trains the tiny model of tests/golden/trl_curve with everything on that could break bit-for-bit
resuming: shuffling, dropout, warm-up, held-out evaluation, several epochs, micro-batches.
"""
import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = """
model: {{path: {golden}/model}}
data: {{train: [{golden}/rows.jsonl], held_out_fraction: 0.2, max_tokens: 128, cache_dir: cache}}
adapter: {{rank: 4, alpha: 16}}
batch: {{comparisons: 5, tokens: 300}}
optim: {{lr: 5e-3}}
train: {{output: {output}, epochs: 9, eval_every: 7, save_every: 3, threads: 1}}
"""
TIMINGS = ("seconds", "tokens_per_second")


class Bench:
    def __init__(self, programs, source, folder, *flags):
        self.flags = flags
        self.attune = str(Path(programs).resolve() / "attune")
        self.golden = Path(source).resolve() / "tests/golden/trl_curve"
        self.folder = Path(folder)
        # The choice of the matrix kernel is remembered per machine; here, per test.
        os.environ["XDG_CACHE_HOME"] = str(self.folder / "cache_home")

    def start(self, output, *flags, **options):
        run = self.folder / f"{output}.yaml"
        run.write_text(RUN.format(golden=self.golden, output=output))
        return subprocess.Popen(
            [self.attune, "train", str(run), *self.flags, *flags], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def finish(self, output, *flags, expect=0):
        process = self.start(output, *flags)
        out, err = process.communicate(timeout=120)
        if process.returncode != expect:
            fail(f"exit {process.returncode} instead of {expect}\n{out}\n{err}")
        return out, err

    def result(self, output):
        """What must be equal: the adapter's bytes and every figure but the timings."""
        folder = self.folder / output
        adapter = (folder / "adapter/adapter_model.safetensors").read_bytes()
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for row in rows:
            for key in TIMINGS:
                row.pop(key, None)
        return hashlib.sha256(adapter).hexdigest(), rows

    def same(self, output, want, when):
        adapter, rows = self.result(output)
        expect(len(rows) == len(want[1]), f"{len(rows)} lines instead of {len(want[1])} {when}")
        for got, right in zip(rows, want[1]):
            expect(got == right, f"other figures {when}:\n{got}\n{right}")
        expect(adapter == want[0], f"another adapter {when}")


def fail(message):
    print("FAILED:", message)
    sys.exit(1)


def expect(condition, message):
    if not condition:
        fail(message)


def killed_at_random(bench, want, kills, seed):
    """SIGKILL at random instants, from before the first step to the last save."""
    rng = random.Random(seed)
    done = 0
    while done < kills:
        shutil.rmtree(bench.folder / "killed", ignore_errors=True)
        while True:
            process = bench.start("killed")
            if done == kills:
                process.communicate(timeout=120)
                break
            try:
                process.communicate(timeout=rng.uniform(0.05, bench.run_s))
                break  # it finished before the kill
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                done += 1
        expect(process.returncode == 0, f"a start after a kill ended with {process.returncode}")
        bench.same("killed", want, f"after kill {done} (seed {seed})")
    print(f"{done} kills: the same bits each time")


def stopped_once(bench, want):
    """Ctrl-C saves and leaves with 130; the same command goes on."""
    process = bench.start("stopped")
    metrics = bench.folder / "stopped/metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and '"step":2,' in metrics.read_text()):
        expect(time.monotonic() < deadline and process.poll() is None, "no step was made")
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    expect(process.returncode == 130, f"Ctrl-C: exit {process.returncode}\n{out}\n{err}")
    expect("everything is saved" in out and "attune train" in out, f"Ctrl-C says: {out}")
    steps = int(out.split("after step ")[1].split(" ")[0])
    saved = bench.folder / f"stopped/checkpoints/step-{steps:08}"
    expect(saved.is_dir(), f"no checkpoint {saved}")
    bench.finish("stopped")
    bench.same("stopped", want, "after Ctrl-C")
    print("Ctrl-C: saved, left with 130, went on to the same bits")


def stopped_twice(bench):
    """A second Ctrl-C leaves at once."""
    process = bench.start("twice", "--train.epochs=100000", "--train.max_steps=100000")
    metrics = bench.folder / "twice/metrics.jsonl"
    while not (metrics.exists() and '"step":1,' in metrics.read_text()):
        expect(process.poll() is None, "no step was made")
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    expect(process.returncode == 130, f"two Ctrl-C: exit {process.returncode}")
    print("two Ctrl-C: left at once with 130")


def short_of_space(bench, want):
    """A write that fails is an error with exit 2; the older checkpoint is whole and counts."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
    bench.finish("full", "--train.max_steps=6", expect=0)
    shutil.rmtree(bench.folder / "full")
    process = bench.start("full")
    out, err = process.communicate(timeout=120)
    expect(process.returncode == 0, err)
    checkpoints = bench.folder / "full/checkpoints"
    newest = max(checkpoints.glob("step-*"))
    shutil.rmtree(newest)  # as if the run had ended one checkpoint earlier
    for name in ("adapter", "report.html"):
        path = bench.folder / "full" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = {p: p.read_bytes() for p in checkpoints.rglob("*") if p.is_file()}
    process = bench.start("full", preexec_fn=limit)
    out, err = process.communicate(timeout=120)
    expect(process.returncode == 2, f"no space: exit {process.returncode}\n{out}\n{err}")
    expect("cannot be written" in err, f"no space says: {err}")
    after = {p: p.read_bytes() for p in checkpoints.rglob("*") if p.is_file()}
    expect(before == after, "a failed save changed the older checkpoints")
    bench.finish("full")
    bench.same("full", want, "after a failed save")
    print("no space: exit 2, the older checkpoint whole, then the same bits")


def damaged(bench, want):
    """A newest checkpoint that lost bytes is passed over, aloud."""
    bench.finish("damaged")
    newest = max((bench.folder / "damaged/checkpoints").glob("step-*"))
    with open(newest / "optimizer.safetensors", "r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"\xff\xff\xff")
    _, err = bench.finish("damaged")
    expect("damaged" in err and "an older checkpoint is used" in err, f"it says: {err}")
    bench.same("damaged", want, "after a damaged checkpoint")
    print("a damaged checkpoint: named and passed over, then the same bits")


def changed_settings(bench):
    """Other settings on the same folder are refused, with both values."""
    _, err = bench.finish("whole", "--optim.lr=1e-3", expect=2)
    expect("optim.lr: was 0.005, now 0.001" in err, f"it says: {err}")
    out, _ = bench.finish("whole")
    expect("already finished" in out, f"a finished run says: {out}")
    print("changed settings: refused; a finished run says so")


def with_moving_reference(options, folder, still):
    """The same of a reference that follows the policy: it is saved and goes on too."""
    bench = Bench(options.programs, options.source, folder,
                  "--reference.sync_every=4", "--reference.sync_mix=0.5")
    began = time.monotonic()
    bench.finish("moving")
    bench.run_s = time.monotonic() - began
    want = bench.result("moving")
    expect(want[0] != still[0], "a moving reference gives the adapter of a still one")
    killed_at_random(bench, want, max(1, options.kills // 4), options.seed)
    stopped_once(bench, want)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attune_survival_") as folder:
        bench = Bench(options.programs, options.source, folder)
        began = time.monotonic()
        bench.finish("whole")
        bench.run_s = time.monotonic() - began
        want = bench.result("whole")
        expect(len(want[1]) > 50, "the run is too short to be worth killing")
        killed_at_random(bench, want, options.kills, options.seed)
        stopped_once(bench, want)
        stopped_twice(bench)
        short_of_space(bench, want)
        damaged(bench, want)
        changed_settings(bench)
        with tempfile.TemporaryDirectory(prefix="attune_survival_") as other:
            with_moving_reference(options, other, want)


if __name__ == "__main__":
    main()
