#!/usr/bin/env python3
"""Short runs whose figures are known: TRL 1.16's loss curve, and what must not change it.

usage: curve_test.py --programs=BUILD_DIR --source=REPOSITORY

The curve (tests/golden/trl_curve.json) comes from TRL's own trainer on the same model, rows, order
and starting adapter. Everything that is a matter of memory or of convenience must give it again.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RUN = """
model: {{path: {golden}/model}}
data: {{train: [{golden}/rows.jsonl], held_out_fraction: 0, shuffle: false, max_tokens: 128, cache_dir: cache}}
adapter: {{path: {golden}/adapter_start, dropout: 0}}
batch: {{comparisons: 4}}
optim: {{lr: 5e-3, warmup_ratio: 0.1}}
train: {{output: {output}, epochs: 2, threads: 1}}
"""
FULL = """
model: {{path: {golden}/model}}
data: {{train: [{golden}/rows.jsonl], held_out_fraction: 0.25, max_tokens: 128, cache_dir: cache}}
adapter: {{kind: none}}
batch: {{comparisons: 5}}
optim: {{lr: 1e-3}}
train: {{output: {output}, epochs: 3, threads: 1}}
"""


def expect(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)


class Bench:
    def __init__(self, programs, source, folder):
        self.attune = str(Path(programs).resolve() / "attune")
        self.golden = Path(source).resolve() / "tests/golden/trl_curve"
        self.folder = Path(folder)
        os.environ["XDG_CACHE_HOME"] = str(self.folder / "cache_home")

    def train(self, output, *flags, run=RUN):
        file = self.folder / f"{output}.yaml"
        file.write_text(run.format(golden=self.golden, output=output))
        done = subprocess.run([self.attune, "train", str(file), *flags], cwd=self.folder, text=True,
                              capture_output=True, timeout=120)
        expect(done.returncode == 0, f"{output}: exit {done.returncode}\n{done.stderr}")
        rows = (self.folder / output / "metrics.jsonl").read_text().splitlines()
        return [json.loads(row) for row in rows]

    def hash(self, path):
        return hashlib.sha256((self.folder / path).read_bytes()).hexdigest()


def near(rows, want, loss, norm, name):
    """Largest differences of loss (absolute) and gradient norm (relative), against their bounds."""
    expect(len(rows) == len(want), f"{name}: {len(rows)} steps instead of {len(want)}")
    by_loss = max(abs(a["loss"] - b["loss"]) for a, b in zip(rows, want))
    by_norm = max(abs(a["grad_norm"] / b["grad_norm"] - 1) for a, b in zip(rows, want))
    expect(by_loss <= loss, f"{name}: losses differ by {by_loss:.2e}, more than {loss}")
    expect(by_norm <= norm, f"{name}: gradient norms differ by {by_norm:.2e}, more than {norm}")
    print(f"{name}: losses within {by_loss:.1e}, gradient norms within {by_norm:.1e}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True)
    parser.add_argument("--source", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attune_curve_") as folder:
        bench = Bench(options.programs, options.source, folder)
        want = json.loads((bench.golden.parent / "trl_curve.json").read_text())["steps"]
        curve = bench.train("curve")
        near(curve, want, 1e-5, 1e-4, "as TRL 1.16")
        for key in ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies",
                    "logps/chosen", "logps/rejected"):
            worst = max(abs(a[key] - b[key]) / max(1, abs(b[key])) for a, b in zip(curve, want))
            expect(worst < 1e-4, f"{key} differs from TRL's by {worst:.2e}")
        rates = max(abs(a["learning_rate"] - b["lr"]) for a, b in zip(curve, want))
        expect(rates < 1e-12, f"learning rates differ by {rates}")

        again = bench.train("again")
        expect([a["loss"] for a in again] == [a["loss"] for a in curve], "other bits the second time")
        expect(bench.hash("again/adapter/adapter_model.safetensors")
               == bench.hash("curve/adapter/adapter_model.safetensors"), "another adapter")
        print("a second run: the same bits")

        near(bench.train("budget", "--batch.tokens=150"), curve, 1e-6, 1e-4, "150 tokens at once")
        near(bench.train("recompute", "--train.checkpointing"), curve, 1e-6, 1e-5, "recomputing")
        near(bench.train("cached", "--reference.kind=cached"), curve, 1e-5, 1e-4, "cached reference")
        table = next((bench.folder / "cached/cache").glob("reference-*.safetensors"))
        written = table.stat().st_mtime_ns
        near(bench.train("cached2", "--reference.kind=cached",
                         f"--reference.cache_dir={table.parent}"), curve, 1e-5, 1e-4, "its table again")
        expect(table.stat().st_mtime_ns == written, "the table was computed again")
        near(bench.train("model", "--reference.kind=model", f"--reference.path={bench.golden}/model"),
             curve, 1e-6, 1e-5, "reference from a path")
        narrow = bench.train("narrow", "--model.precision=bf16")
        near(narrow, curve, 0.05, 0.3, "weights kept in bf16")
        expect(narrow[0]["loss"] != curve[0]["loss"], "bf16 weights change nothing?")
        smooth = bench.train("smooth", "--objective.label_smoothing=0.2")
        expect(smooth[-1]["loss"] > curve[-1]["loss"] + 0.1, "label smoothing changes nothing?")

        full = bench.train("full", run=FULL)
        steps = [row for row in full if "loss" in row]
        held = [row for row in full if "eval_loss" in row]
        # The first step's learning rate is 0, and its reference is a table made by the same kernels.
        expect(abs(steps[0]["loss"] - 0.693147) < 1e-5, f"first loss {steps[0]['loss']}")
        expect(steps[-1]["loss"] < 0.3, f"the loss ended at {steps[-1]['loss']}")
        expect(held[-1]["eval_rewards/accuracies"] >= 0.7, f"held out: {held[-1]}")
        expect((bench.folder / "full/model/config.json").exists()
               and (bench.folder / "full/model/tokenizer.json").exists(), "no model folder")
        print("full fine-tuning: starts at ln 2, learns, leaves a model")


if __name__ == "__main__":
    main()
