"""The cases of the comparison, their contestants, and what one pair of a case needs of arithmetic."""

import json

COMMON = {"beta": 0.1, "max_grad_norm": 1.0}

# `task` is what TRL and attune do; `inline` is attune's reference that each step computes anew.
CASES = {
    "pandalm": {"task": "lora", "rows": "pandalm", "batch": 8, "lr": 5e-5, "inline": "base"},
    "gsm8k": {"task": "lora", "rows": "gsm8k", "batch": 8, "lr": 5e-5, "inline": "base"},
    "equal": {"task": "lora", "rows": "equal", "batch": 8, "lr": 5e-5, "inline": "base"},
    "full": {"task": "full", "rows": "pandalm", "batch": 4, "lr": 1e-6, "inline": "model"},
    "score": {"task": "score", "rows": "pandalm", "batch": 8, "lr": 0.0},
    "generate": {"task": "generate", "rows": "pandalm", "batch": 8, "new_tokens": 64},
}
TITLES = {
    "pandalm": "LoRA, PandaLM's pairs in random order",
    "gsm8k": "LoRA, one prompt with four answers and four pairs (GSM8K)",
    "equal": "LoRA, prompt and both answers of 256 tokens each: nothing to pad",
    "full": "full fine-tuning, PandaLM's pairs in random order",
    "score": "log-probs of PandaLM's pairs, no training",
    "generate": "greedy generation, PandaLM's prompts",
}

TRAIN = {
    "attune": {"precision": "auto", "cached": False},
    "attune-cached": {"precision": "auto", "cached": True},
    "attune-f32": {"precision": "f32", "cached": False},
    "attune-cached-f32": {"precision": "f32", "cached": True},
    "attune-cached-bf16": {"precision": "bf16", "cached": True},
    "trl-f32": {"mode": ""},
    "trl-default": {"mode": "bf16"},
    "trl-tuned": {"mode": "bf16,tuned", "tcmalloc": True},
    "trl-tuned-f32": {"mode": "tuned", "tcmalloc": True},
    "trl-patched": {"mode": "bf16,tuned,patch", "tcmalloc": True},
    "trl-patched-f32": {"mode": "tuned,patch", "tcmalloc": True},
}
SCORE = {
    "attune": {"precision": "f32"},
    "attune-bf16": {"precision": "bf16"},
    **{name: how for name, how in TRAIN.items() if name.startswith("trl")},
}
GENERATE = {
    "attune": {"precision": "f32", "batch": 8},
    "attune-bf16": {"precision": "bf16", "batch": 8},
    "attune-one": {"precision": "f32", "batch": 1},
    "attune-one-bf16": {"precision": "bf16", "batch": 1},
    "hf-f32": {"dtype": "float32", "batch": 8},
    "hf-bf16": {"dtype": "bfloat16", "batch": 8},
    "hf-one-f32": {"dtype": "float32", "batch": 1},
    "hf-one-bf16": {"dtype": "bfloat16", "batch": 1},
}

# (name, other): their losses, sums of log-probs or texts must agree if both ran; both compute in f32.
MUST_AGREE = [
    ("attune", "trl-f32"),
    ("attune-cached", "trl-f32"),
    ("attune-f32", "trl-f32"),
    ("attune-cached-f32", "trl-f32"),
    ("trl-patched-f32", "trl-tuned-f32"),
]
LOSS_TOLERANCE = 1e-4  # of a step's loss
LOGP_TOLERANCE = 1e-2  # nats, of the sum of a completion of up to a thousand tokens


def contestants_of(case):
    return {"score": SCORE, "generate": GENERATE}.get(CASES[case]["task"], TRAIN)


def is_ours(name):
    return name.startswith("attune")


def shape_of(model_dir):
    """(weights of the layers' products, weights of the head's product)."""
    c = json.loads((model_dir / "config.json").read_text())
    width, heads = c["hidden_size"], c["num_attention_heads"]
    head_dim = c.get("head_dim") or width // heads
    attention = width * head_dim * 2 * (heads + c["num_key_value_heads"])
    layer = attention + 3 * width * c["intermediate_size"]
    return c["num_hidden_layers"] * layer, c["vocab_size"] * width


def passes_of(task, reference):
    """How often the products of one forward pass are needed: forward, backward by the inputs, with every weight trained
    also by the weights, and the reference's forward pass."""
    return {"lora": 2, "full": 3, "score": 1}[task] + (1 if reference else 0)


def kinds_of(name, products):
    """The kinds of products, as doctor names them, of a contestant's forward and backward pass. `auto` narrows where that
    pays."""
    how = contestants_of("pandalm")[name]
    if how.get("precision") == "auto":
        return "f32", "bf16" if products["bf16"] >= 1.15 * products["f32"] else "f32"
    narrow = how.get("precision") == "bf16" or "bf16" in how.get("mode", "")
    return ("bf16", "bf16") if narrow else ("f32", "f32")


def flops(shape, tokens, scored, passes):
    linear, head = shape
    return 2.0 * (linear * tokens + head * scored) * passes
