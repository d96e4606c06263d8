"""AdamW, global-norm clipping and learning-rate schedules on given gradients.

AdamW (Loshchilov and Hutter 2019, alg. 2, as torch.optim.AdamW has it), for step t = 1, 2, ... with rate r:
    x <- x (1 - r decay);  m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2
    x <- x - r (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
Clipping before it, as torch.nn.utils.clip_grad_norm_: g <- g min(1, max_norm / (|g| + 1e-6)), |g| over all parameters.
Schedules as transformers.get_scheduler: step i = 0, 1, ... uses rate * f(i) with f = i / warmup for i < warmup, then
    constant 1;  linear (steps - i) / (steps - warmup);  cosine (1 + cos(pi (i - warmup) / (steps - warmup))) / 2.

Makes tests/golden/optim.json:
    adamw[]      per case its options and start (parameters "a" of shape [2, 3] and "b" of shape [5], flat), and steps[]
                 with lr, the gradients before clipping, their norm (null without clipping), the parameters after the
                 step: in float64 throughout ("after64"), and by a float32 optimizer ("after32"). All inputs are floats.
                 One case ends with a gradient of exactly zero and one of 1e15.
    schedules[]  kind, steps, warmup, base rate, and the rate used in each step from 0 to steps - 1

Run: python tests/golden/optim.py
"""

import math
import random

import torch
from transformers import get_scheduler

from tools import HERE, versions, write_json

torch.set_num_threads(1)
SHAPES = {"a": (2, 3), "b": (5,)}
CASES = [
    dict(name="plain", lr=1e-2, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0, clip=None),
    dict(name="decay", lr=3e-3, b1=0.9, b2=0.95, eps=1e-6, weight_decay=0.1, clip=None),
    dict(name="clip", lr=5e-3, b1=0.85, b2=0.99, eps=1e-8, weight_decay=0.01, clip=1.0),
    dict(name="extreme", lr=1e-3, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.02, clip=0.5),
]


def as_float32(x):
    """The nearest float32, as a Python float, so that both precisions start from the same numbers."""
    return torch.tensor(x, dtype=torch.float32).item()


def run(case, start, gradients, rates, dtype):
    """Parameters after each step (flat) and the norms before clipping."""
    params = {k: torch.tensor(start[k], dtype=dtype).reshape(SHAPES[k]).requires_grad_() for k in SHAPES}
    optimizer = torch.optim.AdamW(
        params.values(),
        lr=case["lr"],
        betas=(case["b1"], case["b2"]),
        eps=case["eps"],
        weight_decay=case["weight_decay"],
        foreach=False,
        fused=False,
    )
    after, norms = [], []
    for grad, rate in zip(gradients, rates):
        for k, p in params.items():
            p.grad = torch.tensor(grad[k], dtype=dtype).reshape(SHAPES[k])
        norms.append(
            None
            if case["clip"] is None
            else torch.nn.utils.clip_grad_norm_(params.values(), case["clip"], foreach=False).item()
        )
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        after.append({k: p.detach().flatten().tolist() for k, p in params.items()})
    return after, norms


def by_hand(case, start, gradients, rates):
    """The equations above in Python floats: what torch gives in float64 must equal this."""
    x, after = {k: list(v) for k, v in start.items()}, []
    m, v = ({k: [0.0] * len(s) for k, s in start.items()} for _ in range(2))
    for t, (grad, r) in enumerate(zip(gradients, rates), 1):
        norm = math.sqrt(sum(g * g for k in grad for g in grad[k]))
        shrink = 1.0 if case["clip"] is None else min(1.0, case["clip"] / (norm + 1e-6))
        for k in x:
            for i in range(len(x[k])):
                g = grad[k][i] * shrink
                m[k][i] = case["b1"] * m[k][i] + (1 - case["b1"]) * g
                v[k][i] = case["b2"] * v[k][i] + (1 - case["b2"]) * g * g
                step = m[k][i] / (1 - case["b1"] ** t) / (math.sqrt(v[k][i] / (1 - case["b2"] ** t)) + case["eps"])
                x[k][i] = x[k][i] * (1 - r * case["weight_decay"]) - r * step
        after.append({k: list(v) for k, v in x.items()})
    return after


def main():
    rng, adamw = random.Random(9), []
    for case in CASES:
        draw = lambda size: {
            k: [as_float32(rng.gauss(0, size)) for _ in range(math.prod(s))] for k, s in SHAPES.items()
        }
        start, gradients = draw(1.0), [draw(10.0 ** rng.uniform(-3, 1)) for _ in range(10)]
        if case["name"] == "extreme":
            gradients[8] = {k: [0.0 for _ in v] for k, v in gradients[8].items()}
            gradients[9] = {k: [as_float32(1e15 * g) for g in v] for k, v in gradients[9].items()}
        rates = [case["lr"] * (10 - t) / 10 for t in range(10)]
        after64, norms = run(case, start, gradients, rates, torch.float64)
        after32, _ = run(case, start, gradients, rates, torch.float32)
        hand = by_hand(case, start, gradients, rates)
        off = max(abs(a[k][i] - b[k][i]) for a, b in zip(after64, hand) for k in a for i in range(len(a[k])))
        assert off < 1e-12, (case, off)
        adamw.append(
            {
                **case,
                "start": start,
                "steps": [
                    dict(lr=r, gradient=g, norm=n, after64=x, after32=y)
                    for r, g, n, x, y in zip(rates, gradients, norms, after64, after32)
                ],
            }
        )
    schedules = []
    for kind, name in (("constant", "constant_with_warmup"), ("linear", "linear"), ("cosine", "cosine")):
        for steps, warmup in ((20, 2), (17, 0), (10, 10), (1, 0), (13, 5)):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=5e-3)
            schedule, rates = (get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps), [])
            for _ in range(steps):
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                schedule.step()
            schedules.append(dict(kind=kind, steps=steps, warmup=warmup, base=5e-3, rates=rates))
    write_json(
        HERE / "optim.json",
        {
            "versions": versions("torch", "transformers"),
            "script": "optim.py",
            "shapes": SHAPES,
            "adamw": adamw,
            "schedules": schedules,
        },
    )
    print(len(adamw), "AdamW cases,", len(schedules), "schedules")


if __name__ == "__main__":
    main()
