"""PEFT adapters for the tiny Llama-3 model, saved by peft, with the logits they give.

Makes tests/golden/lora/<name>/: adapter_config.json, adapter_model.safetensors, golden.safetensors for
    plain    r=5, alpha=13, targets q_proj v_proj down_proj, random A and B:  W x + (13/5) B A x
    rslora   the same with use_rslora:                                       W x + (13/sqrt 5) B A x
golden.safetensors: ids.n (int64 [n]), logits32.n (f32 [n, V]), logits64.n (f64 [n, V]), logps64.n (f64 [n-1]) for n in
7 13 29 (logits32 only for n <= 13), as in models.py; `merged64.name` (f64) is W + scale B A of a weight of each target.

Run: python tests/golden/lora_peft.py (after models.py)
"""

import json
import shutil

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from tools import HERE, exact64, token_logps, versions, write_tensors

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
MODEL = HERE / "models" / "llama3"


def load(dtype, attention):
    return AutoModelForCausalLM.from_pretrained(MODEL, dtype=dtype, attn_implementation=attention).eval()


def save_adapter(folder, seed, use_rslora):
    """A new adapter whose B is not zero, written by save_pretrained; the model card is not kept."""
    torch.manual_seed(seed)
    model = get_peft_model(
        load(torch.float32, "eager"),
        LoraConfig(
            r=5,
            lora_alpha=13,
            lora_dropout=0.05,
            target_modules=["q_proj", "v_proj", "down_proj"],
            use_rslora=use_rslora,
            task_type="CAUSAL_LM",
            base_model_name_or_path="models/llama3",
        ),
    )
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        if "lora_" in name:
            p.data = 0.15 * torch.randn(p.shape, generator=generator)
    shutil.rmtree(folder, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = "models/llama3"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["target_modules"].sort()  # peft writes a set, in an order that changes from run to run
    path.write_text(json.dumps(config, indent=2) + "\n")


def golden(folder, seed):
    """Logits of the adapter loaded by peft, and its merged weights."""
    model32 = PeftModel.from_pretrained(load(torch.float32, "eager"), folder).eval()
    base = exact64(load(torch.float64, "sdpa"))
    model64 = PeftModel.from_pretrained(base, folder).double().eval()
    generator, out = torch.Generator().manual_seed(seed), {}
    with torch.no_grad():
        for n in (7, 13, 29):
            ids = torch.randint(0, base.config.vocab_size, (n,), generator=generator)
            logits32, logits64 = (m(input_ids=ids[None], use_cache=False).logits[0] for m in (model32, model64))
            assert (logits32 - logits64).abs().max() < 1e-5
            with model64.disable_adapter():
                plain = model64(input_ids=ids[None], use_cache=False).logits[0]
            moved = (plain - logits64).abs().max().item()
            out |= {f"ids.{n}": ids, f"logits64.{n}": logits64, f"logps64.{n}": token_logps(logits64, ids)}
            if n <= 13:
                out[f"logits32.{n}"] = logits32
        merged = model64.merge_and_unload().state_dict()
    for name in ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"):
        name = f"model.layers.1.{name}.weight"
        out["merged64." + name] = merged[name]
    write_tensors(
        folder / "golden.safetensors",
        out,
        versions=versions("torch", "transformers", "peft"),
        script="tests/golden/lora_peft.py",
        model="models/llama3",
    )
    print(folder.name, "moves logits by", moved, {p.name: p.stat().st_size for p in sorted(folder.iterdir())})


def main():
    for name, seed, use_rslora in (("plain", 37, False), ("rslora", 41, True)):
        save_adapter(HERE / "lora" / name, seed, use_rslora)
        golden(HERE / "lora" / name, seed)


if __name__ == "__main__":
    main()
