"""Tiny random decoders of each family with their logits, by transformers (eager attention in float32).

Makes tests/golden/models/<family>/: config.json, model.safetensors (or shards with an index), golden.safetensors.

golden.safetensors, for one unpadded sequence of each length n in 1 2 7 13 29 61 (V = vocabulary):
    ids.n          int64 [n]
    logits32.n     f32 [n, V]     n <= 13, computed in float32
    logits64.n     f64 [n, V]     n <= 29, the same weights in float64 throughout (tools.exact64)
    last64.61      f64 [V]        the last row at n = 61
    logps32.n      f32 [n-1]      n >= 2: log softmax(logits[t-1])[ids[t]]
    logps64.n      f64 [n-1]
The metadata (JSON under "about") gives versions, and `max_diff_32_64`: how far float32 itself is from float64.

Families: llama2 (no shared heads, untied), llama3 (grouped heads, llama3 rope scaling whose three bands all occur
within 61 positions), smollm2 (tied, grouped), mistral (head_dim other than hidden/heads), qwen2 (q/k/v biases, tied),
qwen3 (q/k norms, explicit head_dim, tied). qwen3-sharded is qwen3 in three shards with an index; smollm2-bf16 is
smollm2 rounded to bfloat16 with golden numbers of the rounded weights computed in float32 and float64.
llama3, smollm2 and qwen2 carry the keys of transformers 4 (rope_theta, rope_scaling, torch_dtype), the others those of
transformers 5 (rope_parameters, dtype); llama3/config_v5.json says the same as its config.json in the newer keys.
Both forms are read back by transformers here and must give the same logits.

Run: python tests/golden/models.py
"""

import json
import shutil

import torch
import transformers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tools import HERE, exact64, randomise, token_logps, versions, write_tensors

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
OUT = HERE / "models"
LENGTHS = (1, 2, 7, 13, 29, 61)
LLAMA3_ROPE = dict(
    rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
)

# family: model class, config, seed, keys of transformers 4?
FAMILIES = {
    "llama2": (
        LlamaForCausalLM,
        LlamaConfig(
            vocab_size=113,
            hidden_size=32,
            intermediate_size=45,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=4,
            rms_norm_eps=1e-5,
            max_position_embeddings=128,
            tie_word_embeddings=False,
            rope_parameters=dict(rope_type="default", rope_theta=10000.0),
            bos_token_id=1,
            eos_token_id=2,
        ),
        11,
        False,
    ),
    "llama3": (
        LlamaForCausalLM,
        LlamaConfig(
            vocab_size=109,
            hidden_size=36,
            intermediate_size=43,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=8,
            rms_norm_eps=1e-5,
            max_position_embeddings=256,
            tie_word_embeddings=False,
            rope_parameters=dict(rope_theta=100.0, **LLAMA3_ROPE),
            bos_token_id=107,
            eos_token_id=108,
        ),
        13,
        True,
    ),
    "smollm2": (
        LlamaForCausalLM,
        LlamaConfig(
            vocab_size=103,
            hidden_size=36,
            intermediate_size=47,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=3,
            rms_norm_eps=1e-5,
            max_position_embeddings=128,
            tie_word_embeddings=True,
            rope_parameters=dict(rope_type="default", rope_theta=100000.0),
            bos_token_id=1,
            eos_token_id=2,
        ),
        17,
        True,
    ),
    "mistral": (
        MistralForCausalLM,
        MistralConfig(
            vocab_size=127,
            hidden_size=28,
            intermediate_size=51,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=10,
            sliding_window=None,
            rms_norm_eps=1e-6,
            max_position_embeddings=128,
            tie_word_embeddings=False,
            rope_parameters=dict(rope_type="default", rope_theta=1000.0),
            bos_token_id=1,
            eos_token_id=2,
        ),
        19,
        False,
    ),
    "qwen2": (
        Qwen2ForCausalLM,
        Qwen2Config(
            vocab_size=131,
            hidden_size=42,
            intermediate_size=41,
            num_hidden_layers=3,
            num_attention_heads=3,
            num_key_value_heads=1,
            rms_norm_eps=1e-6,
            max_position_embeddings=128,
            tie_word_embeddings=True,
            use_sliding_window=False,
            rope_parameters=dict(rope_type="default", rope_theta=1000000.0),
            bos_token_id=129,
            eos_token_id=130,
        ),
        23,
        True,
    ),
    "qwen3": (
        Qwen3ForCausalLM,
        Qwen3Config(
            vocab_size=101,
            hidden_size=30,
            intermediate_size=37,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=12,
            rms_norm_eps=1e-6,
            max_position_embeddings=128,
            tie_word_embeddings=True,
            use_sliding_window=False,
            rope_parameters=dict(rope_type="default", rope_theta=5000.0),
            bos_token_id=99,
            eos_token_id=100,
        ),
        29,
        False,
    ),
}


def old_keys(config):
    """The same config.json in the keys that transformers 4 wrote and most published folders still hold."""
    config = dict(config)
    rope = dict(config.pop("rope_parameters"))
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype", "float32")
    config.pop("layer_types", None)
    config["transformers_version"] = "4.46.3"
    return dict(sorted(config.items()))


def save(model, folder, old, shard=None):
    """Saves config and weights only, in old or new config keys."""
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    path = folder / "config.json"
    new = json.loads(path.read_text())
    if old:
        path.write_text(json.dumps(old_keys(new), indent=2) + "\n")
    return new


def logits_of(model, ids):
    """Logits [n, V] of one unpadded sequence."""
    with torch.no_grad():
        return model(input_ids=ids[None], use_cache=False).logits[0]


def golden(folder, seed):
    """Loads the folder as a user would, in float32 and float64, and writes golden.safetensors."""
    load = lambda dtype, attention: AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation=attention
    ).eval()
    model32, model64 = load(torch.float32, "eager"), exact64(load(torch.float64, "sdpa"))
    vocab = model32.config.vocab_size
    generator = torch.Generator().manual_seed(seed + 1000)
    out, worst = {}, 0.0
    for n in LENGTHS:
        ids = torch.randint(0, vocab, (n,), generator=generator)
        logits32, logits64 = logits_of(model32, ids), logits_of(model64, ids)
        worst = max(worst, (logits32 - logits64).abs().max().item())
        out[f"ids.{n}"] = ids
        if n <= 13:
            out[f"logits32.{n}"] = logits32
        if n <= 29:
            out[f"logits64.{n}"] = logits64
        else:
            out[f"last64.{n}"] = logits64[-1]
        if n > 1:
            out[f"logps32.{n}"] = token_logps(logits32, ids)
            out[f"logps64.{n}"] = token_logps(logits64, ids)
    write_tensors(
        folder / "golden.safetensors",
        out,
        versions=versions("torch", "transformers"),
        script="tests/golden/models.py",
        lengths=list(LENGTHS),
        max_diff_32_64=worst,
    )
    spread = logits64.std(-1).mean().item()
    sizes = {p.name: p.stat().st_size for p in sorted(folder.iterdir())}
    print(f"{folder.name}: f32-f64 {worst:.1e}, logit spread {spread:.2f}, {sizes}")
    return model64, ids, logits64


def main():
    for family, (kind, config, seed, old) in FAMILIES.items():
        torch.manual_seed(seed)
        model = kind(config).float().eval()
        randomise(model, seed)
        new = save(model, OUT / family, old)
        model64, ids, logits = golden(OUT / family, seed)
        if family == "llama3":
            (OUT / family / "config_v5.json").write_text(json.dumps(new, indent=2) + "\n")
            newer = exact64(LlamaForCausalLM(LlamaConfig(**new, attn_implementation="sdpa")).eval())
            newer.load_state_dict(model64.state_dict())
            assert torch.equal(logits_of(newer, ids), logits), "both config forms must mean the same model"
            plain = dict(new, rope_parameters=dict(rope_type="default", rope_theta=100.0))
            unscaled = exact64(LlamaForCausalLM(LlamaConfig(**plain, attn_implementation="sdpa")).eval())
            unscaled.load_state_dict(model64.state_dict())
            print("  rope scaling moves the logits by", (logits_of(unscaled, ids) - logits).abs().max().item())
        if family == "qwen3":
            save(model, OUT / "qwen3-sharded", old, shard="40KB")
            golden(OUT / "qwen3-sharded", seed)
            (OUT / "qwen3-sharded" / "golden.safetensors").unlink()
        if family == "smollm2":
            save(model.bfloat16(), OUT / "smollm2-bf16", old)
            golden(OUT / "smollm2-bf16", seed)


if __name__ == "__main__":
    main()
