"""Makes what every contestant of the comparison starts from.

OUT/model/          SmolLM2-135M-Instruct in f32 as a Hugging Face folder, dequantised from a GGUF
OUT/pairs.jsonl     conversational rows, as many as the run trains on, each once
OUT/adapter_start/  a LoRA adapter in PEFT's format: r=8, alpha=32, q_proj and v_proj, A as peft draws it, B of std
                    0.02, so that policy and reference differ from the first step on

Rows are PandaLM's pairs that the majority of three annotators decided (ties and empty answers dropped, rows of more
than --max-tokens tokens too), in a random order with a fixed seed. --grouped puts rows of like length into one batch,
which favours trainers that pad.

Run through scripts/bench, or: python bench/trl/prepare.py --gguf FILE --data DIR --out DIR
"""

import argparse
import gzip
import json
import os
import random
import shutil
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TQDM_DISABLE="1")
import torch  # noqa: E402
import transformers  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

transformers.utils.logging.disable_progress_bar()


def dequantise(gguf, out):
    """Writes the GGUF's model and tokenizer as an f32 folder, unless it was made from this very file before.
    transformers calls a model from a GGUF quantised and will not save it, so a fresh model gets its weights."""
    source = f"{gguf.resolve()} {gguf.stat().st_size} {gguf.stat().st_mtime_ns}\n"
    stamp = out / "source.txt"
    if stamp.exists() and stamp.read_text() == source:
        return
    shutil.rmtree(out, ignore_errors=True)
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.pad_token = tokenizer.eos_token
    for holder in (model.config, model.generation_config):
        holder.bos_token_id, holder.eos_token_id, holder.pad_token_id = 1, 2, 2
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    stamp.write_text(source)


def pandalm(data):
    """Conversational rows from PandaLM's human votes (annotator1..3: 1 or 2 is the better answer, 0 a tie)."""
    source = data / "text" / "pandalm" / "pairs.json.gz"
    if not source.exists():
        sys.exit(f"{source}: no such file. Set ATTUNE_TEST_DATA to the folder of test data, or pass --pairs FILE.jsonl")
    rows = []
    for item in json.loads(gzip.open(source).read()):
        votes = [item[f"annotator{i}"] for i in (1, 2, 3)]
        lead = votes.count(1) - votes.count(2)
        answers = [x if isinstance(x, str) else json.dumps(x) for x in (item["response1"], item["response2"])]
        if lead == 0 or not all(x.strip() for x in answers):
            continue
        chosen, rejected = answers if lead > 0 else answers[::-1]
        question = item["instruction"] + (f"\n\n{item['input']}" if item["input"] else "")
        rows.append(
            {
                "prompt": [{"role": "user", "content": question}],
                "chosen": [{"role": "assistant", "content": chosen}],
                "rejected": [{"role": "assistant", "content": rejected}],
            }
        )
    return rows


def select(rows, tokenizer, args):
    """The rows of the run, shuffled; with --grouped, batches of like length in random order."""

    def length(row):
        text = lambda key: tokenizer.apply_chat_template(row["prompt"] + row[key], tokenize=False)
        return max(len(tokenizer(text(key), add_special_tokens=False)["input_ids"]) for key in ("chosen", "rejected"))

    random.Random(0).shuffle(rows)
    sized = [(length(row), row) for row in rows]
    fitting = [x for x in sized if x[0] <= args.max_tokens]
    wanted = args.steps * args.batch
    if len(fitting) < wanted:
        sys.exit(f"{args.steps} steps of {args.batch} need {wanted} pairs, the data has {len(fitting)} that fit")
    taken = fitting[:wanted]
    if args.grouped:
        taken.sort(key=lambda x: x[0])
        batches = [taken[i : i + args.batch] for i in range(0, wanted, args.batch)]
        random.Random(1).shuffle(batches)
        taken = [x for batch in batches for x in batch]
    mean = sum(x[0] for x in taken) / wanted
    print(
        f"{wanted} of {len(rows)} pairs ({len(rows) - len(fitting)} too long); longer side {mean:.0f} tokens on average"
    )
    return [row for _, row in taken]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, help="conversational JSONL to use in place of PandaLM")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--grouped", action="store_true")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    model_dir = args.out / "model"
    dequantise(args.gguf, model_dir)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    rows = [json.loads(x) for x in args.pairs.open()] if args.pairs else pandalm(args.data)
    rows = select(rows, tokenizer, args)
    (args.out / "pairs.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    model = get_peft_model(
        model,
        LoraConfig(r=8, lora_alpha=32, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    )
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.02)
    model.save_pretrained(args.out / "adapter_start")


if __name__ == "__main__":
    main()
