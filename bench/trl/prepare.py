"""Makes what every contestant of the comparison starts from.

OUT/model/             SmolLM2-135M-Instruct in f32 as a Hugging Face folder, dequantised from a GGUF
OUT/adapter_start/     a LoRA adapter in PEFT's format: r=8, alpha=32, q_proj and v_proj, A as peft draws it, B of std
                       0.02, so that policy and reference differ from the first step on
OUT/CASE/pairs.jsonl   rows with prompt, chosen and rejected, as many as the run trains on, each once
OUT/CASE/groups.jsonl  the same with each prompt once, where a prompt has more than two answers; for attune
OUT/CASE/sizes.json    each pair's share of its group's tokens and scored rows, and the order by length
OUT/CASE/prompts.json  of generation: prompts whose likeliest continuation is long enough, and that continuation

Run through scripts/bench.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TQDM_DISABLE="1")
import rows as rows_of  # noqa: E402
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


def start_adapter(model_dir, out):
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
    model.save_pretrained(out)


def lasting_prompts(groups, tokenizer, model_dir, count, new_tokens):
    """The first `count` questions to which the model's likeliest answer has at least `new_tokens` tokens, so that no
    side ends early: [{"text", "answer"}]."""
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()
    found = []
    for group in groups:
        text = group["prompt"][0]["content"]
        if text.startswith("-") or text != text.strip():  # would read as a flag, or be trimmed
            continue
        rendered = tokenizer.apply_chat_template(group["prompt"], tokenize=False, add_generation_prompt=True)
        inputs = tokenizer(rendered, add_special_tokens=False, return_tensors="pt")
        made = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        if len(made) == new_tokens and tokenizer.eos_token_id not in made:
            found.append({"text": text, "answer": tokenizer.decode(made)})
        if len(found) == count:
            return found
    sys.exit(f"only {len(found)} of the prompts have answers of {new_tokens} tokens, {count} are needed")


def write_json_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--case", default="pandalm", help="name of the folder below OUT")
    parser.add_argument("--rows", choices=["pandalm", "gsm8k", "equal"], default="pandalm")
    parser.add_argument("--pairs", type=Path, help="JSONL of pairs to use in place of --rows")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--grouped", action="store_true")
    parser.add_argument("--new-tokens", type=int, default=0, help="make --batch prompts for generation instead")
    args = parser.parse_args()

    folder = args.out / args.case
    folder.mkdir(parents=True, exist_ok=True)
    model_dir = args.out / "model"
    dequantise(args.gguf, model_dir)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    if args.pairs:
        groups = rows_of.from_file(args.pairs)
    elif args.rows == "equal":
        groups = rows_of.equal(args.data, tokenizer)
    else:
        groups = {"pandalm": rows_of.pandalm, "gsm8k": rows_of.gsm8k}[args.rows](args.data)
    if args.new_tokens:
        prompts = lasting_prompts(groups, tokenizer, model_dir, args.batch, args.new_tokens)
        (folder / "prompts.json").write_text(json.dumps(prompts, indent=1))
        return
    groups = rows_of.select(groups, tokenizer, args)
    pairs, sizes = rows_of.pair_rows(groups)
    write_json_lines(folder / "pairs.jsonl", pairs)
    grouped = rows_of.group_rows(groups)
    (folder / "groups.jsonl").unlink(missing_ok=True)
    if grouped:
        write_json_lines(folder / "groups.jsonl", grouped)
    # Rows that came in batches of like length keep their order, so that all losses can be compared.
    order = list(range(len(sizes))) if args.grouped else rows_of.sorted_order(sizes, args.batch)
    (folder / "sizes.json").write_text(json.dumps({"pairs": sizes, "by_length": order}))
    start_adapter(model_dir, args.out / "adapter_start")


if __name__ == "__main__":
    main()
