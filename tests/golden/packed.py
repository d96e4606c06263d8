"""Log-probabilities, DPO loss and gradients of preference groups, by an independent padded implementation in float64.

Every prompt + completion is its own right-padded row with an attention mask, run through transformers; nothing is
packed and no prompt is shared, so these are the numbers that a packed implementation must reproduce.

Makes tests/golden/packed.json, the input, the same for each model of tests/golden/models named in it:
    beta, groups[] = {prompt: ids, completions: [ids], comparisons: [[winner, loser, probability, weight]]} where
    winner and loser are indices into the S sequences of all groups in order, and reference_logps[S], made up.
and tests/golden/packed.safetensors, per model M in M.full (all parameters trained) and M.lora (a PEFT adapter on q_proj
and v_proj, r=3, alpha=7, random B):
    logps          f64 [S]   sum over the completion of log p(token | all before)
    token_logps    f64 [T]   the summands, sequence after sequence
    losses         f64 [P]   -p log sigmoid(z) - (1-p) log sigmoid(-z),
                             z = beta ((logp_w - ref_w) - (logp_l - ref_l))
    loss           f64 [1]   sum(weight * losses) / sum(weight)
    grad.NAME      f64       d loss / d NAME for a choice of parameters; all A and B for M.lora
    adapter.NAME   f32       M.lora only: the adapter's weights, with PEFT's names

Run: python tests/golden/packed.py (after models.py)
"""

import random

import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tools import HERE, exact64, token_logps, versions, write_json, write_tensors

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
BETA = 0.3
MODELS = ("qwen3", "smollm2", "llama3")
GRADIENTS = (
    "model.embed_tokens.weight",
    "model.norm.weight",
    "model.layers.0.input_layernorm.weight",
    "model.layers.1.self_attn.q_proj.weight",
    "model.layers.1.self_attn.k_proj.weight",
    "model.layers.1.self_attn.k_norm.weight",
    "model.layers.2.mlp.down_proj.weight",
    "lm_head.weight",
)
# prompt length, completion lengths, comparisons (winner, loser, probability, weight) within the group
SHAPES = [
    (3, [5, 2], [(0, 1, 1.0, 1.0)]),
    (11, [7, 1, 4], [(0, 1, 0.9, 1.0), (2, 0, 0.7, 0.5), (1, 2, 1.0, 2.0)]),
    (1, [13, 3, 3, 1, 8], [(0, 1, 1.0, 1.0), (2, 1, 0.6, 0.25), (3, 4, 0.0, 1.5), (4, 0, 0.5, 1.0)]),
    (11, [6], []),
    (1, [1, 1], [(1, 0, 0.8, 3.0)]),
    (3, [12, 9, 10], [(2, 1, 1.0, 0.75)]),
]


def make_groups():
    """Random groups; in the third, completion 2 begins with completion 1's first two tokens."""
    rng, groups, first = random.Random(5), [], 0
    for prompt, lengths, comparisons in SHAPES:
        draw = lambda n: [rng.randrange(100) for _ in range(n)]
        group = {
            "prompt": draw(prompt),
            "completions": [draw(n) for n in lengths],
            "comparisons": [[first + w, first + l, p, c] for w, l, p, c in comparisons],
        }
        groups.append(group)
        first += len(lengths)
    groups[2]["completions"][2][:2] = groups[2]["completions"][1][:2]
    return groups, [round(-2.0 * len(c) - rng.random() * 3, 3) for g in groups for c in g["completions"]]


def score(model, groups):
    """Per-token log-probs of every completion from one right-padded batch: a list of S tensors."""
    rows = [(g["prompt"], c) for g in groups for c in g["completions"]]
    width = max(len(p) + len(c) for p, c in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, (p, c) in enumerate(rows):
        ids[i, : len(p) + len(c)] = torch.tensor(p + c)
        mask[i, : len(p) + len(c)] = 1
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    return [token_logps(logits[i], ids[i])[len(p) - 1 : len(p) + len(c) - 1] for i, (p, c) in enumerate(rows)]


def dpo(logps, reference, groups):
    """Losses [P] and their weighted mean."""
    winner, loser, p, weight = map(list, zip(*[x for g in groups for x in g["comparisons"]]))
    p, weight = (torch.tensor(x, dtype=torch.float64) for x in (p, weight))
    h = logps - reference
    z = BETA * (h[winner] - h[loser])
    losses = p * torch.log1p(torch.exp(-z)) + (1 - p) * torch.log1p(torch.exp(z))
    return losses, (weight * losses).sum() / weight.sum()


def run(model, groups, reference, wanted):
    """Scores, losses and gradients; checks the padded rows against one row at a time."""
    parts = score(model, groups)
    with torch.no_grad():
        alone = [
            score(model, [{"prompt": g["prompt"], "completions": [c]}])[0] for g in groups for c in g["completions"]
        ]
    assert max((a - b).abs().max().item() for a, b in zip(parts, alone)) < 1e-12, "padding must not matter"
    logps = torch.stack([x.sum() for x in parts])
    losses, loss = dpo(logps, reference, groups)
    model.zero_grad()
    loss.backward()
    out = {"logps": logps, "token_logps": torch.cat(parts), "losses": losses, "loss": loss[None]}
    for name, p in model.named_parameters():
        name = name.removeprefix("base_model.model.").replace(".default", "")
        if wanted(name):
            assert p.grad.dtype == torch.float64 and p.grad.abs().max() > 0
            out["grad." + name] = p.grad
    return out


def main():
    groups, reference = make_groups()
    write_json(
        HERE / "packed.json",
        {
            "versions": versions("torch", "transformers", "peft"),
            "script": "packed.py",
            "models": MODELS,
            "beta": BETA,
            "groups": groups,
            "reference_logps": reference,
        },
    )
    reference, out = torch.tensor(reference, dtype=torch.float64), {}
    for name in MODELS:
        load = lambda: exact64(
            AutoModelForCausalLM.from_pretrained(
                HERE / "models" / name, dtype=torch.float64, attn_implementation="sdpa"
            ).eval()
        )
        full = run(load(), groups, reference, lambda n: n in GRADIENTS)
        lora = get_peft_model(
            load(),
            LoraConfig(r=3, lora_alpha=7, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
        )
        generator, adapter = torch.Generator().manual_seed(31), {}
        for key, p in sorted(lora.named_parameters()):
            if "lora_" in key:
                value = 0.2 * torch.randn(p.shape, generator=generator)
                p.data = value.double()
                adapter["adapter." + key.removeprefix("base_model.model.").replace(".default", "")] = value
        low = run(lora.eval(), groups, reference, lambda n: "lora_" in n) | adapter
        print(
            name,
            "loss",
            full["loss"].item(),
            "with adapter",
            low["loss"].item(),
            "adapter moves log-probs by",
            (full["logps"] - low["logps"]).abs().max().item(),
        )
        out |= {f"{name}.full.{k}": v for k, v in full.items()} | {f"{name}.lora.{k}": v for k, v in low.items()}
    write_tensors(
        HERE / "packed.safetensors",
        out,
        versions=versions("torch", "transformers", "peft"),
        script="tests/golden/packed.py",
    )


if __name__ == "__main__":
    main()
