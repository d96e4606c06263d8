"""attune against TRL: the same rows, order, batch, adapter and learning rate, in turn, as separate processes.

Prints a table of pairs/s and peak memory, what attune's is times each of TRL's (median, lowest and highest round), and
whether losses and gradient norms agree; writes all of it to OUT/result.json. Standard library only, so that this
process is small: a child's peak resident memory never reads lower than its parent's.

pairs/s     the pairs of all steps but the first over their wall time; a reference pass before training is charged in
            the same share. The first step is left out on both sides: it pays for first allocations and kernel choice.
memory      the peak resident set of the process and its children, from wait4 (VmHWM), model files included
start       process start to the end of the run, less the step times: imports, loading, tokenising, saving
agreement   largest difference of the losses of one step; exit code 1 if attune and TRL in f32 differ by more than 1e-4

Run through scripts/bench.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from ctypes.util import find_library
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTESTANTS = ["attune", "attune-f32", "trl-f32", "trl-default", "trl-tuned"]
LOSS_TOLERANCE = 1e-4
SETTINGS = {"beta": 0.1, "lr": 5e-5, "max_grad_norm": 1.0}


def attune_run_file(folder, output, s, threads, precision):
    """attune's side of the settings. All of attune's option names stand here."""
    return f"""\
model:
  path: {folder}/model
  precision: {precision}
data:
  train: [{folder}/pairs.jsonl]
  held_out_fraction: 0
  max_tokens: {s["max_tokens"]}
  shuffle: false
  cache_dir: {output}/cache
adapter:
  kind: lora
  rank: 8
  alpha: 32
  dropout: 0
  targets: [q_proj, v_proj]
  path: {folder}/adapter_start
objective:
  - kind: dpo
    beta: {s["beta"]}
reference:
  kind: base
batch:
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
  threads: {threads}
  report: false
"""


def attune_metrics(output):
    """What attune's metrics.jsonl says of each step, in the form of trl_run.py. `seconds` counts from the start of the
    run, so the first step holds what came before it; it is left out anyway."""
    rows = [json.loads(line) for line in (output / "result" / "metrics.jsonl").open()]
    rows = [row for row in rows if "loss" in row]
    ends = [row["seconds"] for row in rows]
    return {
        "seconds": [b - a for a, b in zip([0.0] + ends, ends)],
        "before": 0.0,
        "loss": [row["loss"] for row in rows],
        "grad_norm": [row["grad_norm"] for row in rows],
        "padding": 1.0,
    }


def measure(command, log, env):
    """Runs a process to its end: wall seconds and peak resident MiB. Stops the benchmark if it fails."""
    with log.open("w") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(
            f"{' '.join(map(str, command[:3]))} ... gave exit code {process.returncode}:\n"
            + "".join(log.read_text().splitlines(keepends=True)[-15:])
        )
    return wall, usage.ru_maxrss / 1024


def run_one(name, folder, settings, args):
    """One run of one contestant: its measurements with wall seconds, peak MiB and pairs/s."""
    output = folder / "runs" / name
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    env = dict(os.environ)
    if name.startswith("attune"):
        precision = "f32" if name == "attune-f32" else "auto"
        (output / "run.yaml").write_text(attune_run_file(folder, output, settings, args.threads, precision))
        wall, peak = measure([str(args.attune), "train", str(output / "run.yaml")], output / "log.txt", env)
        result = attune_metrics(output)
    else:
        if name == "trl-tuned" and args.tcmalloc:
            env["LD_PRELOAD"] = args.tcmalloc
        wall, peak = measure(
            [
                str(args.python),
                str(HERE / "trl_run.py"),
                "--mode",
                name.removeprefix("trl-"),
                "--dir",
                str(folder),
                "--out",
                str(output / "result.json"),
                "--settings",
                json.dumps(settings),
                "--threads",
                str(args.threads),
            ],
            output / "log.txt",
            env,
        )
        result = json.loads((output / "result.json").read_text())
    steps = len(result["seconds"])
    if steps != settings["steps"]:
        sys.exit(f"{name} made {steps} steps, expected {settings['steps']}; see {output}/log.txt")
    timed = sum(result["seconds"][1:]) + result["before"] * (steps - 1) / steps
    training = sum(result["seconds"]) + result["before"]
    if name.startswith("attune"):  # its first step's time is not separate from what came before
        training = timed * steps / (steps - 1)
    return result | {
        "wall": wall,
        "peak_mib": peak,
        "pairs_per_s": settings["batch"] * (steps - 1) / timed,
        "start_and_end": wall - training,
    }


def spread(values, digits=2):
    """Median (lowest - highest)."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} - {high:.{digits}f})"


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def report(rounds, settings, machine):
    """Prints tables in Markdown; true if attune and TRL in f32 agree, or were not both run."""
    names = list(rounds[0])
    print(
        f"\n{machine['cpu']}, {machine['cores']} cores; {len(rounds)} rounds of {settings['steps']} steps of "
        f"{settings['batch']} pairs; median (lowest - highest)\n"
    )
    print("| run | pairs/s | peak MiB | start and end, s | padded / real tokens |\n|---|---|---|---|---|")
    for n in names:
        column = lambda key: [r[n][key] for r in rounds]
        print(
            f"| {n} | {spread(column('pairs_per_s'), 3)} | {spread(column('peak_mib'), 0)} | "
            f"{spread(column('start_and_end'), 1)} | {rounds[0][n]['padding']:.2f} |"
        )
    good = True
    for ours in (n for n in names if n.startswith("attune")):
        theirs = [n for n in names if not n.startswith("attune")]
        if theirs:
            print(
                f"\n| {ours} against | times its pairs/s | times its memory | largest loss difference | of gradient norms |\n"
                "|---|---|---|---|---|"
            )
        for n in theirs:
            speed = [r[ours]["pairs_per_s"] / r[n]["pairs_per_s"] for r in rounds]
            memory = [r[ours]["peak_mib"] / r[n]["peak_mib"] for r in rounds]
            loss = max(abs(a - b) for r in rounds for a, b in zip(r[ours]["loss"], r[n]["loss"]))
            norm = max(abs(a / b - 1) for r in rounds for a, b in zip(r[ours]["grad_norm"], r[n]["grad_norm"]))
            print(f"| {n} | {spread(speed)} | {spread(memory)} | {loss:.1e} | {norm:.1e} relative |")
            if n == "trl-f32":  # a NaN does not agree
                good = good and all(
                    abs(a - b) <= LOSS_TOLERANCE for r in rounds for a, b in zip(r[ours]["loss"], r[n]["loss"])
                )
    if "trl-f32" in names:
        print(f"\nlosses of attune and trl-f32 {'agree' if good else 'DO NOT AGREE'} within {LOSS_TOLERANCE:.0e}")
    return good


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has TRL")
    parser.add_argument("--attune", type=Path, required=True, help="the program")
    parser.add_argument("--out", type=Path, required=True, help="folder for inputs, logs and result.json")
    parser.add_argument("--gguf", type=Path, required=True, help="SmolLM2-135M-Instruct as a GGUF")
    parser.add_argument("--data", type=Path, required=True, help="folder of test data")
    parser.add_argument("--pairs", type=Path, help="conversational JSONL to use in place of PandaLM")
    parser.add_argument("--steps", type=int, default=8, help="optimizer steps a run, 2 or more")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant, in turn")
    parser.add_argument("--batch", type=int, default=8, help="pairs a step")
    parser.add_argument("--max-tokens", type=int, default=1024, help="longest row; longer ones are left out")
    parser.add_argument("--grouped", action="store_true", help="batches of rows of like length")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 is all")
    parser.add_argument("--only", default=",".join(CONTESTANTS), help="contestants, in the order in which they run")
    args = parser.parse_args()
    names = args.only.split(",")
    unknown = [n for n in names if n not in CONTESTANTS]
    if unknown or args.steps < 2 or args.rounds < 1:
        parser.error(
            f"unknown contestant {unknown[0]}; there are {CONTESTANTS}"
            if unknown
            else "--steps must be 2 or more and --rounds 1 or more"
        )
    if any(n.startswith("attune") for n in names) and not args.attune.exists():
        sys.exit(
            f"{args.attune}: no such program. Build it with scripts/test, or pass --only trl-f32,trl-default,trl-tuned"
        )
    folder = args.out.resolve()
    settings = SETTINGS | {"batch": args.batch, "steps": args.steps, "max_tokens": args.max_tokens}
    args.tcmalloc = find_library("tcmalloc_minimal")
    if "trl-tuned" in names and not args.tcmalloc:
        print("trl-tuned runs without tcmalloc, which gives it up to half more speed: install libtcmalloc-minimal4")
    if os.getloadavg()[0] > 0.5:
        print(f"the machine is busy (load {os.getloadavg()[0]:.1f}): these figures will be noisy")

    command = [
        args.python,
        HERE / "prepare.py",
        "--gguf",
        args.gguf,
        "--data",
        args.data,
        "--out",
        folder,
        "--steps",
        args.steps,
        "--batch",
        args.batch,
        "--max-tokens",
        args.max_tokens,
    ]
    command += ["--grouped"] * args.grouped + (["--pairs", args.pairs] if args.pairs else [])
    if subprocess.run(list(map(str, command))).returncode != 0:
        sys.exit("the inputs could not be made")
    rounds = []
    for i in range(args.rounds):
        rounds.append({})
        for n in names:
            rounds[i][n] = run_one(n, folder, settings, args)
            print(
                f"round {i + 1} {n}: {rounds[i][n]['pairs_per_s']:.3f} pairs/s, "
                f"{rounds[i][n]['peak_mib']:.0f} MiB, loss {rounds[i][n]['loss'][0]:.6f} .. "
                f"{rounds[i][n]['loss'][-1]:.6f}",
                flush=True,
            )
    machine = {"cpu": cpu_name(), "cores": os.cpu_count(), "threads": args.threads, "tcmalloc": args.tcmalloc}
    (folder / "result.json").write_text(
        json.dumps({"machine": machine, "settings": settings, "grouped": args.grouped, "rounds": rounds}, indent=1)
    )
    good = report(rounds, settings, machine)
    print(f"\nall figures: {folder / 'result.json'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
