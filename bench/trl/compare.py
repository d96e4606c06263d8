"""attune against TRL: the same rows, order, batch, adapter and learning rate, in turn, as separate processes.

Prints tables of speed, memory and times to start, what attune's are times each of TRL's (median, lowest and highest
round), and whether losses and gradient norms agree; writes all of it to OUT/CASE/result.json, the tables to --table.
README.md says what each figure is. Standard library only, so that this process is small: a child's peak resident memory
never reads lower than its parent's. Exit code 1 if attune and TRL in f32 do not agree.

Run through scripts/bench.
"""

import argparse
import json
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from types import SimpleNamespace

from cases import CASES, COMMON, contestants_of, is_ours, shape_of
from contestants import HERE, run_one
from measure import cpu_name, products
from report import figures_of, line_of, report, write_result


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has TRL")
    parser.add_argument("--attune", type=Path, required=True, help="the program")
    parser.add_argument("--out", type=Path, required=True, help="folder for inputs, logs and results")
    parser.add_argument("--gguf", type=Path, required=True, help="SmolLM2-135M-Instruct as a GGUF")
    parser.add_argument("--data", type=Path, required=True, help="folder of test data")
    parser.add_argument("--case", choices=list(CASES), default="pandalm", help="what is compared")
    parser.add_argument("--pairs", type=Path, help="JSONL of pairs to use in place of the case's rows")
    parser.add_argument("--steps", type=int, default=8, help="steps a run, 2 or more; in scoring batches of rows")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant, in turn")
    parser.add_argument("--batch", type=int, help="pairs a step, or prompts; without it the case's own")
    parser.add_argument("--max-tokens", type=int, default=1024, help="longest row; longer ones are left out")
    parser.add_argument("--grouped", action="store_true", help="batches of rows of like length for all contestants")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 is all")
    parser.add_argument("--only", help="contestants, in the order in which they run; without it all of the case")
    parser.add_argument("--table", type=Path, help="file for the tables in Markdown")
    args = parser.parse_args()
    known = contestants_of(args.case)
    args.names = args.only.split(",") if args.only else list(known)
    unknown = [n for n in args.names if n not in known]
    if unknown:
        parser.error(f"case {args.case} has no contestant {unknown[0]}; there are {', '.join(known)}")
    if args.steps < 2 or args.rounds < 1 or (args.batch is not None and args.batch < 1):
        parser.error("--steps must be 2 or more, --rounds and --batch 1 or more")
    if any(map(is_ours, args.names)) and not args.attune.exists():
        theirs = ",".join(n for n in known if not is_ours(n))
        sys.exit(f"{args.attune}: no such program. Build it with scripts/test, or pass --only {theirs}")
    return args


def prepare(args, out, settings):
    command = [args.python, HERE / "prepare.py", "--gguf", args.gguf, "--data", args.data, "--out", out]
    command += ["--case", args.case, "--rows", settings["rows"], "--steps", args.steps, "--batch", settings["batch"]]
    command += ["--max-tokens", args.max_tokens, "--new-tokens", settings.get("new_tokens", 0)]
    command += ["--grouped"] * args.grouped + (["--pairs", args.pairs] if args.pairs else [])
    if subprocess.run(list(map(str, command))).returncode != 0:
        sys.exit("the inputs could not be made")


def main():
    args = arguments()
    out = args.out.resolve()
    settings = COMMON | CASES[args.case] | {"steps": args.steps, "max_tokens": args.max_tokens}
    if args.batch:
        settings["batch"] = args.batch
    known = contestants_of(args.case)
    tcmalloc = find_library("tcmalloc_minimal")
    if not tcmalloc and any(known[n].get("tcmalloc") for n in args.names):
        print("trl-tuned runs without tcmalloc, which gives it up to half more speed: install libtcmalloc-minimal4")
    if os.getloadavg()[0] > 0.5:
        print(f"the machine is busy (load {os.getloadavg()[0]:.1f}): these figures will be noisy")
    prepare(args, out, settings)

    folder = out / args.case
    ctx = SimpleNamespace(
        attune=args.attune.resolve(),
        python=args.python,
        out=out,
        case=args.case,
        folder=folder,
        settings=settings,
        threads=args.threads,
        tcmalloc=tcmalloc,
    )
    sizes = folder / "sizes.json"
    sizes = json.loads(sizes.read_text())["pairs"] if settings["task"] != "generate" else None
    shape = shape_of(out / "model")
    rounds = []
    for i in range(args.rounds):
        rounds.append({})
        for n in args.names:
            rates = products(ctx.attune)
            run = run_one(ctx, n, known[n])
            rounds[i][n] = run | figures_of(n, run, settings, sizes, shape, rates)
            print(f"round {i + 1} {line_of(n, rounds[i][n], settings['task'])}", flush=True)
    machine = {"cpu": cpu_name(), "cores": os.cpu_count(), "threads": args.threads, "tcmalloc": tcmalloc}
    lines, ratios, good = report(args.case, rounds, settings, machine)
    write_result(
        folder / "result.json",
        case=args.case,
        machine=machine,
        settings=settings,
        grouped=args.grouped,
        pairs=sizes,
        ratios=ratios,
        agree=good,
        rounds=rounds,
    )
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    if args.table:
        args.table.write_text(text)
    print(f"all figures: {folder / 'result.json'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
