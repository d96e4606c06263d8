"""What the golden scripts share: where outputs go, versions, seeded weights, JSON and safetensors writers.

Every script here makes its numbers with public libraries or plain arithmetic and shares no code with attune.
Run one with `python tests/golden/NAME.py` from any folder; the same versions give the same bytes.
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent


def versions(*packages):
    """One line naming the interpreter and the packages whose numbers an output holds."""
    return " ".join([f"python {platform.python_version()}"] + [f"{p} {version(p)}" for p in packages])


def write_json(path, value):
    """Writes JSON whose floats read back to the same bits, one record a line where a list holds records."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for key, item in value.items():
        if isinstance(item, list) and item and isinstance(item[0], (dict, list)):
            inner = ",\n".join("  " + json.dumps(x, ensure_ascii=False) for x in item)
            lines.append(f"{json.dumps(key)}: [\n{inner}\n]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def write_tensors(path, tensors, **metadata):
    """Writes contiguous copies of `tensors` as safetensors, and `metadata` as one JSON text under "about": several
    metadata keys would be written in an order that changes from run to run."""
    from safetensors.torch import save_file

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {k: v.detach().clone().contiguous() for k, v in tensors.items()},
        str(path),
        metadata={"about": json.dumps(metadata)},
    )


def randomise(model, seed):
    """Fills every parameter so that no part is neutral: matrices N(0, 0.12^2), embeddings and heads N(0, 0.25^2),
    norm weights 1 + N(0, 0.2^2), biases N(0, 0.3^2). Tied weights are filled once."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name:
                p.copy_(1 + 0.2 * noise)
            elif name.endswith("bias"):
                p.copy_(0.3 * noise)
            elif "embed_tokens" in name or "lm_head" in name:
                p.copy_(0.25 * noise)
            else:
                p.copy_(0.12 * noise)


def token_logps(logits, ids):
    """log p(ids[t] | ids[<t]) for t = 1 .. n-1 from logits [n, vocab]: shape [n-1]."""
    return logits[:-1].log_softmax(-1).gather(-1, ids[1:, None])[:, 0]


def frequencies64(config):
    """Rotary frequencies theta^(-2i/d) in float64, i = 0 .. d/2-1; for rope_type llama3 with wavelength w = 2 pi/f and
    original context c: f where w < c/high, f/factor where w > c/low, and between them the blend
    (1-s) f/factor + s f with s = (c/w - low) / (high - low)."""
    import math

    import torch

    rope = config.rope_parameters
    d = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    plain = [rope["rope_theta"] ** (-2 * i / d) for i in range(d // 2)]
    if rope["rope_type"] == "default":
        return torch.tensor(plain, dtype=torch.float64)
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    context, scaled = rope["original_max_position_embeddings"], []
    for f in plain:
        turns = context * f / (2 * math.pi)
        s = min(1.0, max(0.0, (turns - low) / (high - low)))
        scaled.append((1 - s) * f / factor + s * f)
    return torch.tensor(scaled, dtype=torch.float64)


def exact64(model):
    """Makes a transformers decoder compute in float64 throughout, in place. Its .double() alone is not enough: norms,
    the softmax of eager attention and the rotary table would still be float32. Load it with
    attn_implementation="sdpa", which keeps float64."""
    import torch

    assert model.config._attn_implementation == "sdpa", "eager attention rounds its softmax to float32"
    model.double()
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = lambda x, m=module: m.weight * (
                x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + m.variance_epsilon)
            )
    base = model
    while not hasattr(base, "rotary_emb"):
        base = base.get_base_model() if hasattr(base, "get_base_model") else base.model
    frequencies = frequencies64(model.config)

    def rotary(x, position_ids):
        angles = position_ids[..., None].double() * frequencies
        angles = torch.cat((angles, angles), -1)
        return angles.cos(), angles.sin()

    base.rotary_emb.forward = rotary
    return model
