#!/usr/bin/env python3
"""Runs text tests: a file with commands and what they must print.

    # A comment.
    write run.yaml
      optim:
        lr: fast
    $ attune config check run.yaml
    err attune: run.yaml:2:3: optim.lr must be a number, got fast
    exit 2

`write FILE` is followed by its content, two spaces in. `$` runs a line of shell in a folder of its
own, with the built programs first on PATH and $SOURCE naming the source tree. The `out` and `err`
lines after it are all that it may print; without any, that stream must be empty. `...` stands for
any text in a line, and alone for any number of lines. Without an `exit` line the code must be 0.
`new none` says that the command leaves no file and no folder that was not there before it.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile


class Command:
    def __init__(self, line, number):
        self.line, self.number = line, number
        self.want = {"out": [], "err": []}
        self.exit = 0
        self.nothing_new = False


def parse(path):
    """The steps of a test file: ("write", name, text) and Command."""
    steps = []
    for number, line in enumerate(path.read_text().split("\n"), 1):
        where = f"{path}:{number}"
        if steps and isinstance(steps[-1], list) and line.startswith("  "):
            steps[-1][2] += line[2:] + "\n"
            continue
        word, _, rest = line.partition(" ")
        if not line or word == "#":
            continue
        if word == "write":
            steps.append(["write", rest, ""])
        elif word == "$":
            steps.append(Command(rest, number))
        elif line == "new none" and steps and isinstance(steps[-1], Command):
            steps[-1].nothing_new = True
        elif word in ("out", "err", "exit") and steps and isinstance(steps[-1], Command):
            if word == "exit":
                steps[-1].exit = int(rest)
            else:
                steps[-1].want[word].append(rest)
        else:
            sys.exit(f"{where}: expected write, $, out, err, exit, new none or a comment, got: {line}")
    return steps


def matches(want, got):
    """Whether the lines `got` are what the patterns `want` describe."""
    pattern = ""
    for line in want:
        if line == "...":
            pattern += r"(?:.*\n)*"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, got) is not None


def run(command, folder, environment):
    """What is wrong with what the command did, as a list of texts."""
    before = set(pathlib.Path(folder).rglob("*"))
    done = subprocess.run(["/bin/sh", "-c", command.line], cwd=folder, env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=100)
    faults = []
    if done.returncode != command.exit:
        faults.append(f"exit {done.returncode}, expected {command.exit}")
    left = sorted(set(pathlib.Path(folder).rglob("*")) - before)
    if command.nothing_new and left:
        faults.append(f"left {', '.join(str(path.relative_to(folder)) for path in left)}")
    for name, stream in (("out", done.stdout), ("err", done.stderr)):
        got = stream.decode("utf-8", "backslashreplace")
        got += "" if got.endswith("\n") or not got else "\n"
        if not matches(command.want[name], got):
            expected = "".join(f"    {name} {line}\n" for line in command.want[name])
            actual = "".join(f"    {name} {line}\n" for line in got.split("\n")[:-1])
            faults.append(f"expected\n{expected or '    nothing on ' + name + chr(10)}"
                          f"  got\n{actual or '    nothing on ' + name + chr(10)}".rstrip())
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True, help="folder of attune")
    parser.add_argument("--source", required=True, help="the source tree")
    parser.add_argument("tests", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    environment = {**os.environ, "SOURCE": os.path.abspath(options.source),
                   "PATH": f"{os.path.abspath(options.programs)}:{os.environ['PATH']}",
                   "LC_ALL": "C.UTF-8"}
    failed = commands = 0
    for path in options.tests:
        with tempfile.TemporaryDirectory(prefix=f"attune-{path.stem}-") as folder:
            for step in parse(path):
                if isinstance(step, list):
                    target = pathlib.Path(folder, step[1])
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(step[2])
                    continue
                commands += 1
                faults = run(step, folder, environment)
                failed += bool(faults)
                for fault in faults:
                    print(f"{path}:{step.number}: $ {step.line}\n  {fault}")
    print(f"{commands} commands, {failed} failed")
    sys.exit(1 if failed or commands == 0 else 0)


if __name__ == "__main__":
    main()
