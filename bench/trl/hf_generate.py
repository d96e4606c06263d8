"""One run of transformers' generate for the comparison: greedy, a fixed number of new tokens, left padding.

Run through compare.py.
"""

import argparse
import json
import os
import time
from importlib.metadata import version
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TQDM_DISABLE="1")
import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True, help="what prepare.py made")
    parser.add_argument("--case", default="generate")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--batch", type=int, default=8, help="prompts that are continued together")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.dir / "model", padding_side="left")
    if args.threads:
        torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.dir / "model", dtype=getattr(torch, args.dtype)).eval()
    prompts = [item["text"] for item in json.loads((args.dir / args.case / "prompts.json").read_text())]
    chat = lambda text: tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
    )
    texts, made_tokens, prefill, total, first_ended = [], 0, 0.0, 0.0, 0.0
    for i in range(0, len(prompts), args.batch):
        inputs = tokenizer(
            [chat(p) for p in prompts[i : i + args.batch]], add_special_tokens=False, return_tensors="pt", padding=True
        )
        length = inputs["input_ids"].shape[1]
        # One token alone tells what the prompt costs; it is also the warm-up of what is timed.
        start = time.perf_counter()
        model.generate(**inputs, max_new_tokens=1, do_sample=False)
        first_ended = first_ended or time.time()
        prefill += time.perf_counter() - start
        start = time.perf_counter()
        made = model.generate(**inputs, max_new_tokens=args.new_tokens, do_sample=False)[:, length:]
        total += time.perf_counter() - start
        for row in made:
            ids = [t for t in row.tolist() if t != tokenizer.eos_token_id]
            made_tokens += len(ids)
            texts.append(tokenizer.decode(ids))
    args.out.write_text(
        json.dumps(
            {
                "tokens": made_tokens,
                "texts": texts,
                "prefill": prefill,
                "seconds": total,
                "first_ended": first_ended,
                "threads": torch.get_num_threads(),
                "versions": {p: version(p) for p in ("torch", "transformers")},
            }
        )
    )


if __name__ == "__main__":
    main()
