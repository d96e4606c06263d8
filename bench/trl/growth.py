#!/usr/bin/env python3
"""How attune's cost grows, one quantity at a time: measured points, their log-log slope, and the slope expected.

usage: growth.py --attune PROGRAM --tokenizer FOLDER --out FOLDER [--only tokens,length] [--repeat 2] [--table FILE]

    tokens    tokens of a step, LoRA-DPO: more pairs of one length
    pairs     pairs in the file, read, tokenised and kept, for one step of a tiny model; the time of the step's own
              pairs is taken off, so that it is the others' alone. Expected of time: 1; of memory: 0, but for 13 bytes
              a pair
    answers   answers to one prompt, scored as one group
    length    tokens of a prompt, scored with answers of 32 tokens
    model     weights, scored: random models of the shapes of SmolLM2 135M, 360M and 1.7B
    threads   CPU threads, scored. Expected: -1

Times are the lowest of --repeat runs: disturbances only add. Training: the median step but the first, as metrics.jsonl
has it. Scoring: the seconds of the pass, without loading. Where nothing else is said, the expected slope is that of the
arithmetic at the same points:
    2 * (linear_weights * tokens + V*D * scored_rows + 2 * heads * head_dim * layers * attended) multiply-adds a pass,
attended being the sum over tokens of what each token sees. Memory is the peak resident set, model files included.

Models are random, written as Hugging Face folders with weights in bf16; FOLDER of --tokenizer is that of any SmolLM2
(scripts/bench leaves one in build/bench/trl/model). Needs numpy.
"""

import argparse
import itertools
import json
import math
import re
import shutil
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from measure import Process

VOCABULARY = 49152
SHAPES = {  # layers, width, heads, key and value heads, feed-forward width
    "tiny": (2, 64, 2, 1, 128),
    "135M": (30, 576, 9, 3, 1536),
    "360M": (32, 960, 15, 5, 2560),
    "1.7B": (24, 2048, 32, 32, 8192),
}


def tensors_of(shape):
    layers, width, heads, kv_heads, inner = shape
    dim = width // heads
    yield "model.embed_tokens.weight", (VOCABULARY, width)
    for i in range(layers):
        layer = f"model.layers.{i}."
        for name, out, into in [
            ("self_attn.q_proj", heads * dim, width),
            ("self_attn.k_proj", kv_heads * dim, width),
            ("self_attn.v_proj", kv_heads * dim, width),
            ("self_attn.o_proj", width, heads * dim),
            ("mlp.gate_proj", inner, width),
            ("mlp.up_proj", inner, width),
            ("mlp.down_proj", width, inner),
        ]:
            yield f"{layer}{name}.weight", (out, into)
        yield f"{layer}input_layernorm.weight", (width,)
        yield f"{layer}post_attention_layernorm.weight", (width,)
    yield "model.norm.weight", (width,)


def write_model(folder, shape, tokenizer):
    """A random model, tied head, std 0.02; bf16 is the upper half of an f32. Speed does not ask for numbers that are
    all different: one block of them is repeated."""
    if (folder / "model.safetensors").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    layers, width, heads, kv_heads, inner = shape
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": width // heads,
        "intermediate_size": inner,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 16384,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100000.0,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / name)
    block = np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32) * np.float32(0.02)
    halves = (block.view(np.uint32) >> 16).astype("<u2")
    one = np.array([0x3F80], dtype="<u2")  # 1.0, of norms
    header, at = {}, 0
    for name, dims in tensors_of(shape):
        size = 2 * math.prod(dims)
        header[name] = {"dtype": "BF16", "shape": list(dims), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    unfinished = folder / "unfinished"
    with unfinished.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for _, dims in tensors_of(shape):
            left = math.prod(dims)
            source = one.repeat(left) if len(dims) == 1 else halves
            while left > 0:
                part = source[:left]
                out.write(part.tobytes())
                left -= part.size
    unfinished.rename(folder / "model.safetensors")


class Words:
    """Texts of a given number of tokens: words that are one token each."""

    def __init__(self, tokenizer):
        vocabulary = json.loads((tokenizer / "tokenizer.json").read_text())["model"]["vocab"]
        self.words = sorted(" " + word[1:] for word in vocabulary if re.fullmatch("Ġ[a-z]{3,8}", word))[:4000]
        self.random = np.random.default_rng(1)

    def text(self, tokens):
        return "".join(self.words[i] for i in self.random.integers(len(self.words), size=tokens))

    def row(self, prompt, answers):
        """A plain row; an answer's end token is one of its tokens."""
        texts = [self.text(n - 1) for n in answers]
        if len(texts) == 2:
            return {"prompt": self.text(prompt), "chosen": texts[0], "rejected": texts[1]}
        return {"prompt": self.text(prompt), "completions": texts, "scores": list(range(len(texts)))}


def macs(shape, prompt, answers):
    """Multiply-adds of one forward pass over one group."""
    layers, width, heads, kv_heads, inner = shape
    dim = width // heads
    linear = layers * (width * dim * 2 * (heads + kv_heads) + 3 * width * inner)
    attended = prompt * (prompt + 1) / 2 + sum(n * prompt + n * (n + 1) / 2 for n in answers)
    scored = sum(answers)
    return linear * (prompt + scored) + VOCABULARY * width * scored + 2 * heads * dim * layers * attended


def weights_of(shape):
    return sum(math.prod(dims) for _, dims in tensors_of(shape))


def slope(xs, ys):
    """Of log y against log x, by least squares."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


class Lab:
    def __init__(self, args):
        self.attune, self.out, self.repeat = str(args.attune.resolve()), args.out.resolve(), args.repeat
        self.tokenizer, self.words = args.tokenizer, Words(args.tokenizer)

    def model(self, name):
        folder = self.out / "models" / name
        write_model(folder, SHAPES[name], self.tokenizer)
        return folder

    def rows(self, rows):
        file = self.out / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file

    def fresh(self):
        work = self.out / "run"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        return work

    def best(self, run):
        points = [run() for _ in range(self.repeat)]
        return min(p[0] for p in points), statistics.median(p[1] for p in points)

    def score(self, model, group, count=1, threads=0):
        """(seconds of the pass, peak MiB) for `count` groups of (prompt, answers) tokens."""
        prompt, answers = group
        file = self.rows(self.words.row(prompt, answers) for _ in range(count))
        window = prompt + max(answers)

        def run():
            work = self.fresh()
            command = [self.attune, "score", str(self.model(model)), str(file), "--log=json", f"--threads={threads}"]
            command += [f"--max_tokens={window}", f"--cache_dir={work}/cache", f"--output={work}/scores.jsonl"]
            process = Process(command, work / "log.txt")
            summary = json.loads(process.errors().splitlines()[-1])
            wanted = count * (prompt + sum(answers))
            if summary["tokens"] != wanted:
                sys.exit(f"{work}/log.txt: {summary['tokens']} tokens, expected {wanted}")
            return summary["seconds"], process.peak_mib

        return self.best(run)

    def train(self, model, file, comparisons, steps):
        """(median seconds of a step but the first, peak MiB, wall seconds)."""
        work = self.fresh()
        (work / "run.yaml").write_text("objective:\n  - kind: dpo\n")
        command = [self.attune, "train", str(work / "run.yaml"), "--log=quiet", f"--model.path={self.model(model)}"]
        command += [f"--data.train={file}", "--data.held_out_fraction=0", "--data.shuffle=false"]
        command += [f"--data.cache_dir={work}/cache"]
        command += ["--adapter.dropout=0", f"--batch.comparisons={comparisons}"]
        command += [f"--train.output={work}/result", f"--train.max_steps={steps}", "--train.report=false"]
        process = Process(command, work / "log.txt")
        rows = [row for row in map(json.loads, (work / "result" / "metrics.jsonl").open()) if "loss" in row]
        if len(rows) != steps:
            sys.exit(f"{work}/log.txt: {len(rows)} steps, expected {steps}")
        ends = [row["seconds"] for row in rows]
        step = statistics.median([b - a for a, b in zip(ends, ends[1:])] or ends)
        return step, process.peak_mib, process.wall


def tokens(lab):
    shape, group = SHAPES["135M"], (64, [64, 64])
    for pairs in (1, 2, 4, 8):
        file = lab.rows(lab.words.row(*group) for _ in range(3 * pairs))
        seconds, peak = lab.best(lambda: lab.train("135M", file, pairs, 3)[:2])
        yield pairs * 192, seconds, peak, 3 * pairs * macs(shape, *group)


def pairs(lab):
    """Beyond 10,000 rows they come again: their texts have no part in what is kept of a row."""
    few = [json.dumps(lab.words.row(64, [64, 64])) + "\n" for _ in range(10_000)]

    def cost(count):
        file = lab.out / "rows.jsonl"
        with file.open("w") as out:
            out.writelines(itertools.islice(itertools.cycle(few), count))
        return lab.best(lambda: lab.train("tiny", file, 8, 1)[:0:-1])

    start = cost(8)[0]
    for count in (1_000, 10_000, 100_000, 1_000_000):
        wall, peak = cost(count)
        yield count, max(wall - start, 1e-3), peak, count


def answers(lab):
    for count in (2, 4, 8, 16):
        group = (256, [64] * count)
        yield count, *lab.score("135M", group), macs(SHAPES["135M"], *group)


def length(lab):
    for prompt in (128, 512, 2048, 8192):
        group = (prompt - 32, [32, 32])
        yield prompt, *lab.score("135M", group), macs(SHAPES["135M"], *group)


def model(lab):
    for name in ("135M", "360M", "1.7B"):
        yield weights_of(SHAPES[name]), *lab.score(name, (192, [32, 32])), macs(SHAPES[name], 192, [32, 32])


def threads(lab):
    for count in (1, 2):
        yield count, *lab.score("135M", (256, [128, 128]), count=2, threads=count), 1 / count


AXES = {f.__name__: f for f in (tokens, pairs, answers, length, model, threads)}
UNITS = {
    "tokens": "tokens a step",
    "pairs": "pairs in the file",
    "answers": "answers to a prompt",
    "length": "tokens of prompt and answer",
    "model": "weights",
    "threads": "threads",
}


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--attune", type=Path, required=True, help="the program")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with SmolLM2's tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for models, logs and growth.json")
    parser.add_argument("--only", default=",".join(AXES), help="quantities, in this order")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each point")
    parser.add_argument("--table", type=Path, help="file for the table in Markdown")
    args = parser.parse_args()
    unknown = [name for name in args.only.split(",") if name not in AXES]
    if unknown:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(AXES)}")
    if args.repeat < 1:
        parser.error("--repeat must be 1 or more")
    lab = Lab(args)
    lab.out.mkdir(parents=True, exist_ok=True)
    found = {}
    lines = [
        "| what grows | points | seconds | slope | expected | peak MiB | slope of memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in args.only.split(","):
        points = []
        for point in AXES[name](lab):
            points.append(point)
            print(f"{name} {point[0]:,}: {point[1]:.3f} s, {point[2]:.0f} MiB", flush=True)
        xs, seconds, peaks, expected = zip(*points)
        one = SimpleNamespace(
            points=xs,
            seconds=seconds,
            peak_mib=peaks,
            slope=slope(xs, seconds),
            expected_slope=slope(xs, expected),
            memory_slope=slope(xs, peaks),
        )
        found[name] = vars(one)
        texts = [
            UNITS[name],
            " ".join(f"{x:,}" for x in xs),
            " ".join(f"{s:.2f}" for s in seconds),
            f"{one.slope:.2f}",
            f"{one.expected_slope:.2f}",
            " ".join(f"{p:.0f}" for p in peaks),
            f"{one.memory_slope:.2f}",
        ]
        lines.append("| " + " | ".join(texts) + " |")
    (lab.out / "growth.json").write_text(json.dumps(found, indent=1))
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    if args.table:
        args.table.write_text(text)


if __name__ == "__main__":
    main()
