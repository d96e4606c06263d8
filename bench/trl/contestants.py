"""One run of one contestant: the command, and what it says of itself, in one form for all.

Every run has wall (s), cpu_s, load (of the machine before it: with cpu_s it tells a disturbed run), peak_mib and
start_and_end (s outside of what is timed). Training has also
    seconds            of each step; a reference that is computed in the step is in them
    reference_seconds  of them the reference's; None where it cannot be told apart
    reference_pass     seconds of the pass of one epoch before training; 0 with a reference in the step
    before_first_step  seconds from the start of the process to the end of the first step
    loss, grad_norm, order (rows of pairs.jsonl as they were trained on), computed_tokens (of one forward pass)
"""

import json
import os
import shutil
import sys
from pathlib import Path

from measure import Process

HERE = Path(__file__).resolve().parent


def attune_run_file(ctx, output, how):
    """attune's side of the settings. All of attune's option names of training stand here."""
    s = ctx.settings
    rows = ctx.folder / "groups.jsonl"
    rows = rows if rows.exists() else ctx.folder / "pairs.jsonl"
    reference = "cached" if how["cached"] else s["inline"]
    adapter = (
        f"""\
  kind: lora
  rank: 8
  alpha: 32
  dropout: 0
  targets: [q_proj, v_proj]
  path: {ctx.out}/adapter_start
"""
        if s["task"] == "lora"
        else "  kind: none\n"
    )
    path = f"  path: {ctx.out}/model\n" if reference == "model" else ""
    return f"""\
model:
  path: {ctx.out}/model
  precision: {how["precision"]}
data:
  train: [{rows}]
  held_out_fraction: 0
  max_tokens: {s["max_tokens"]}
  shuffle: false
  cache_dir: {output}/cache
adapter:
{adapter}objective:
  - kind: dpo
    beta: {s["beta"]}
reference:
  kind: {reference}
{path}batch:
  comparisons: {s["batch"]}
optim:
  lr: {s["lr"]}
  schedule: linear
  warmup_ratio: 0
  weight_decay: 0
  max_grad_norm: {s["max_grad_norm"]}
train:
  output: {output}/result
  max_steps: {s["steps"]}
  threads: {ctx.threads}
  report: false
"""


def attune_train(ctx, output, how):
    """metrics.jsonl has `seconds` from the start of the run to the end of each step, and the tokens a second of the
    step alone, which give the first step's own time. The pass of a cached reference begins after the run is announced
    on stderr and ends with its file."""
    (output / "run.yaml").write_text(attune_run_file(ctx, output, how))
    metrics = output / "result" / "metrics.jsonl"
    process = Process(
        [str(ctx.attune), "train", str(output / "run.yaml"), "--log=json"], output / "log.txt", watch=metrics
    )
    rows = [row for row in map(json.loads, metrics.open()) if "loss" in row]
    ends = [row["seconds"] for row in rows]
    first = rows[0]["tokens"] / rows[0]["tokens_per_second"]
    tables = list((output / "result" / "cache").glob("reference-*.safetensors"))
    if how["cached"] and len(tables) != 1:
        sys.exit(f"{output}/result/cache: expected the file of the reference's log-probs, got {len(tables)}")
    seconds = [first] + [b - a for a, b in zip(ends, ends[1:])]
    announced = last_note(process)
    passed = tables[0].stat().st_mtime - announced if tables else 0.0
    return process, {
        "seconds": seconds,
        "reference_seconds": [0.0] * len(rows) if how["cached"] else None,
        "reference_pass": passed,
        "before_first_step": process.file_at - process.began,
        "loss": [row["loss"] for row in rows],
        "grad_norm": [row["grad_norm"] for row in rows],
        "order": list(range(ctx.settings["steps"] * ctx.settings["batch"])),
        "computed_tokens": rows[-1]["tokens"],
        "start_and_end": process.wall - sum(seconds) - passed,
    }


def last_note(process):
    """When the last line that announces the run came: the notes before the first progress or checkpoint."""
    at = process.began
    for when, text in process.err:
        for line in text.splitlines():
            if b'"event": "note"' not in line:
                return at
            at = when
    return at


def attune_score(ctx, output, how):
    s = ctx.settings
    command = [str(ctx.attune), "score", f"{ctx.out}/model", f"{ctx.folder}/pairs.jsonl", "--log=json"]
    command += [
        f"--precision={how['precision']}",
        f"--threads={ctx.threads}",
        f"--max_tokens={s['max_tokens']}",
        f"--cache_dir={output}/cache",
        f"--output={output}/scores.jsonl",
    ]
    process = Process(command, output / "log.txt")
    events = [json.loads(line) for line in process.errors().splitlines() if line.startswith(b"{")]
    summary = next(event for event in events if event["event"] == "summary")
    rows = [json.loads(line) for line in (output / "scores.jsonl").open()]
    return process, {
        "pass_seconds": summary["seconds"],
        "logps": [[c["logps"] for c in row["completions"]] for row in rows],
        "order": list(range(len(rows))),
        "computed_tokens": summary["tokens"],
        "start_and_end": process.wall - summary["seconds"],
    }


def attune_generate(ctx, output, how):
    """The whole file in one process. Its summary has the seconds of writing, and of them those that ended with a text's
    first token: the prompts'."""
    prompts = json.loads((ctx.folder / "prompts.json").read_text())
    rows = output / "prompts.jsonl"
    rows.write_text("".join(json.dumps({"prompt": prompt["text"]}) + "\n" for prompt in prompts))
    command = [str(ctx.attune), "generate", f"{ctx.out}/model", f"--prompts={rows}", "--temperature=0", "--log=json"]
    command += [
        f"--batch={how['batch']}",
        f"--max_new_tokens={ctx.settings['new_tokens']}",
        f"--precision={how['precision']}",
        f"--threads={ctx.threads}",
        f"--output={output}/answers.jsonl",
    ]
    process = Process(command, output / "log.txt")
    events = [json.loads(line) for line in process.errors().splitlines() if line.startswith(b"{")]
    summary = next(event for event in events if event["event"] == "summary")
    texts = [json.loads(line)["text"] for line in (output / "answers.jsonl").open()]
    decoding = summary["seconds"] - summary["prompt_seconds"]
    return process, {
        "tokens": summary["tokens"],
        "decode_tokens": summary["tokens"] - len(texts),
        "decode_seconds": decoding,
        "first_token": process.wall - summary["seconds"] + summary["first_token_seconds"],
        "texts": texts,
        "start_and_end": process.wall - decoding,
    }


def trl_run(ctx, output, how):
    env = dict(os.environ)
    if how.get("tcmalloc") and ctx.tcmalloc:
        env["LD_PRELOAD"] = ctx.tcmalloc
    command = [str(ctx.python), str(HERE / "trl_run.py"), "--mode", how["mode"], "--task", ctx.settings["task"]]
    command += ["--dir", str(ctx.out), "--case", ctx.case, "--out", str(output / "result.json")]
    command += ["--settings", json.dumps(ctx.settings), "--threads", str(ctx.threads)]
    process = Process(command, output / "log.txt", env)
    result = json.loads((output / "result.json").read_text())
    if ctx.settings["task"] == "score":
        seconds = result["reference_pass"]
        return process, result | {"pass_seconds": seconds, "start_and_end": process.wall - seconds}
    return process, result | {
        "before_first_step": result["first_step_ended"] - process.began,
        "start_and_end": process.wall - sum(result["seconds"]) - result["reference_pass"],
    }


def hf_generate(ctx, output, how):
    command = [str(ctx.python), str(HERE / "hf_generate.py"), "--dir", str(ctx.out), "--case", ctx.case]
    command += ["--batch", str(how["batch"]), "--dtype", how["dtype"], "--out", str(output / "result.json")]
    command += ["--new-tokens", str(ctx.settings["new_tokens"]), "--threads", str(ctx.threads)]
    process = Process(command, output / "log.txt")
    result = json.loads((output / "result.json").read_text())
    decoding = result["seconds"] - result["prefill"]
    return process, result | {
        "decode_tokens": result["tokens"] - len(result["texts"]),
        "decode_seconds": decoding,
        "first_token": result["first_ended"] - process.began,
        "wall": process.wall - result["prefill"],  # the prompts were read twice to be timed
        "start_and_end": process.wall - decoding,
    }


def run_one(ctx, name, how):
    """The measurements of one run."""
    output = ctx.folder / "runs" / name
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    task = ctx.settings["task"]
    if name.startswith("attune"):
        run = {"score": attune_score, "generate": attune_generate}.get(task, attune_train)
    else:
        run = hf_generate if task == "generate" else trl_run
    load = os.getloadavg()[0]
    process, result = run(ctx, output, how)
    steps = len(result.get("seconds", [])) if task in ("lora", "full") else None
    if steps is not None and steps != ctx.settings["steps"]:
        sys.exit(f"{name} made {steps} steps, expected {ctx.settings['steps']}; see {output}/log.txt")
    return {"wall": process.wall, "cpu_s": process.cpu_s, "load": load, "peak_mib": process.peak_mib} | result
