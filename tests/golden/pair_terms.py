"""Values and gradients of the objective terms over pairs, worked in 200-digit arithmetic.

Every kind's equation, as its section in docs/PAPERS.md has it, for one comparison that is won with probability p. A
row's gradients are central differences with a step of 1e-25. Kinds that couple comparisons (aot, beta_dpo, dr_dpo) or
read tokens (ld_dpo, wpo) are not here.

Makes tests/golden/pair_terms.json: rows[], for each kind with options at random, margins up to a few hundred. Each row:
kind, options, p, lp_w, lp_l, rf_w, rf_l, n_w, n_l, K_w, K_l, s_w, s_l (divergences; scores, which are the values of
every column, too), loss, d_lp_w, d_lp_l. Inputs are multiples of 1/128 so that none is rounded.

Run: python tests/golden/pair_terms.py
"""

import random

from mpmath import atanh, exp, fabs, log, log1p, mp, mpf

from tools import HERE, versions, write_json

mp.dps = 200
STEP = mpf(10) ** -25


def s(t):
    return 1 / (1 + exp(-t))


def f(t):
    """-log sigmoid(t)."""
    return log1p(exp(-t)) if t > 0 else -t + log1p(exp(t))


def h(x, side):
    return x["lp_" + side] - x["rf_" + side]


def margin(x):
    return h(x, "w") - h(x, "l")


def ties(x, o):
    z, t, p = o["beta"] * margin(x), o["tie_rate"], x["p"]
    if o["model"] == "davidson":
        nu = t / (1 - t)
        total = exp(z / 2) + exp(-z / 2) + 2 * nu
        win, lose, tie = exp(z / 2) / total, exp(-z / 2) / total, 2 * nu / total
    else:
        c = exp(2 * atanh(t))
        win, lose = 1 / (1 + c * exp(-z)), 1 / (1 + c * exp(z))
        tie = (c * c - 1) * win * lose
    return -log(tie) if p == 0.5 else -p * log(win) - (1 - p) * log(lose)


def exo(x, o):
    q, e = s(o["beta"] * margin(x)), o["label_smoothing"]
    label = (1 - e) * x["p"] + e * (1 - x["p"])
    return q * log(q / label) + (1 - q) * log((1 - q) / (1 - label))


def gdpo(x, o):
    return f(o["beta"] * (2 * x["p"] - 1) * margin(x))


def reward_aware(x, o):
    g, z = o["eta"] * (x["s_w"] - x["s_l"]), o["beta"] * margin(x)
    if o["form"] == "squared":
        return (g - z) ** 2
    a, b = s(g), s(z)
    return a * log(a / b) + (1 - a) * log((1 - a) / (1 - b))


def sppo(x, o):
    p = {"hard": (1 if x["p"] > 0.5 else 0 if x["p"] < 0.5 else mpf(0.5))}.get(o["targets"], x["p"])
    win, lose = (x["s_w"], x["s_l"]) if o["targets"] == "column" else (p, 1 - p)
    return sum((h(x, side) - (q - 0.5) / o["beta"]) ** 2 for side, q in (("w", win), ("l", lose))) / 2


def safe_dpo(x, o):
    z, unsafe = o["beta"] * margin(x), (x["s_w"] > o["threshold"], x["s_l"] > o["threshold"])
    if unsafe == (True, True):
        return mpf(0)
    if unsafe == (False, False):
        return x["p"] * f(z) + (1 - x["p"]) * f(-z)
    return f(z - o["delta"]) if unsafe == (False, True) else f(-z - o["delta"])


WHOLE = {"exo": exo, "gdpo": gdpo, "reward_aware": reward_aware, "safe_dpo": safe_dpo, "sppo": sppo, "ties": ties}


def discopop(x, o):
    t = o["beta"] * margin(x)
    m = s(t / o["tau"])
    return (1 - m) * f(t) + m * exp(-t)


def f_dpo(x, o):
    def g(t):
        return {
            "reverse_kl": lambda: t,
            "forward_kl": lambda: -exp(-t),
            "js": lambda: log(2 * exp(t) / (1 + exp(t))),
            "alpha": lambda: (1 - exp(-o["alpha"] * t)) / o["alpha"],
        }[o["divergence"]]()

    return f(o["beta"] * (g(h(x, "w")) - g(h(x, "l"))))


def ipo(x, o):
    n = (x["n_w"], x["n_l"]) if o["average"] == "mean" else (1, 1)
    return (h(x, "w") / n[0] - h(x, "l") / n[1] - 1 / (2 * o["tau"])) ** 2


def odpo(x, o):
    gap = max(mpf(0.001), x["s_w"] - x["s_l"])
    return f(o["beta"] * margin(x) - o["alpha"] * (log(gap) if o["scale"] == "log" else gap))


def tdpo(x, o):
    alpha = 1 if o["version"] == 1 else o["alpha"]
    return f(o["beta"] * (margin(x) - alpha * (x["K_l"] - x["K_w"])))


def robust(x, o):
    z, e = o["beta"] * margin(x), o["label_smoothing"]
    return ((1 - e) * f(z) - e * f(-z)) / (1 - 2 * e)


# Loss of a certain comparison; a row's loss is p times it and 1 - p times that of the comparison turned round.
CERTAIN = {
    "anchor": lambda x, o: f(o["beta"] * h(x, "w") - o["delta"]),
    "apo_down": lambda x, o: s(o["beta"] * h(x, "w")) + 1 - s(o["beta"] * margin(x)),
    "apo_zero": lambda x, o: 1 - s(o["beta"] * h(x, "w")) + s(o["beta"] * h(x, "l")),
    "discopop": discopop,
    "dpo_norm": lambda x, o: f(o["beta"] * (h(x, "w") / x["n_w"] - h(x, "l") / x["n_l"])),
    "dpop": lambda x, o: f(o["beta"] * (margin(x) - o["lambda"] * max(mpf(0), -h(x, "w")))),
    "f_dpo": f_dpo,
    "hinge": lambda x, o: max(mpf(0), 1 - o["beta"] * margin(x)),
    "ipo": ipo,
    "modpo": lambda x, o: f(
        (o["beta"] * margin(x) - mpf(o["others"]["reward"]) * (x["s_w"] - x["s_l"])) / o["own_weight"]
    ),
    "nca": lambda x, o: f(o["beta"] * h(x, "w")) + (f(-o["beta"] * h(x, "w")) + f(-o["beta"] * h(x, "l"))) / 2,
    "odpo": odpo,
    "r_dpo": lambda x, o: f(o["beta"] * margin(x) + o["alpha"] * (x["n_w"] - x["n_l"])),
    "robust": robust,
    "slic": lambda x, o: max(mpf(0), o["delta"] - x["lp_w"] + x["lp_l"]) - o["sft_weight"] * x["lp_w"],
    "tdpo": tdpo,
}


def turned(x):
    return {**x, **{a + b: x[a + c] for a in ("lp_", "rf_", "n_", "K_", "s_") for b, c in ("wl", "lw")}}


def loss(kind, x, o):
    if kind in WHOLE:
        return WHOLE[kind](x, o)
    return x["p"] * CERTAIN[kind](x, o) + (1 - x["p"]) * CERTAIN[kind](turned(x), o)


def options(kind, rng):
    """Options at random."""
    some = lambda *choices: rng.choice(choices)
    beta = {"beta": some(0.05, 0.1, 0.5, 1.0)}
    return {
        "anchor": lambda: {**beta, "delta": some(-0.5, 0.0, 0.75)},
        "discopop": lambda: {**beta, "tau": some(0.05, 0.5, 1.0)},
        "dpop": lambda: {**beta, "lambda": some(0.0, 5.0, 50.0)},
        "exo": lambda: {**beta, "label_smoothing": some(0.001, 0.1, 0.25)},
        "f_dpo": lambda: {
            **beta,
            "divergence": some("alpha", "forward_kl", "js", "reverse_kl"),
            "alpha": some(0.3, 0.5, 0.7),
        },
        "ipo": lambda: {"tau": some(0.1, 0.5), "average": some("mean", "sum")},
        "modpo": lambda: {**beta, "own_weight": some(0.25, 0.7, 1.0), "others": {"reward": some("0.75", "-2", "0")}},
        "odpo": lambda: {**beta, "alpha": some(0.5, 1.0), "scale": some("linear", "log")},
        "r_dpo": lambda: {**beta, "alpha": some(0.0, 0.01, 0.5)},
        "reward_aware": lambda: {**beta, "eta": some(0.5, 2.0), "form": some("kl_bwd", "squared")},
        "robust": lambda: {**beta, "label_smoothing": some(0.0, 0.1, 0.4)},
        "safe_dpo": lambda: {**beta, "delta": some(0.0, 2.0), "threshold": some(0.25, 0.5)},
        "slic": lambda: {"delta": some(0.5, 1.0), "sft_weight": some(0.0, 0.1)},
        "sppo": lambda: {"beta": some(0.01, 0.25), "targets": some("column", "hard", "probability")},
        "tdpo": lambda: {**beta, "version": some(1, 2), "alpha": some(0.5, 2.0)},
        "ties": lambda: {**beta, "model": some("davidson", "rao_kupper"), "tie_rate": some(0.1, 0.5, 0.9)},
    }.get(kind, lambda: beta)()


def row(kind, rng):
    o = options(kind, rng)
    reach = rng.choice([1, 4, 16] if kind == "f_dpo" else [1, 16, 256])
    grid = lambda top: round(rng.uniform(0, top) * 64) / 64
    x = {"p": rng.choice([1.0, 1.0, 0.0, 0.5, 0.75, 0.125])}
    x.update({name: -grid(reach) for name in ("lp_w", "lp_l", "rf_w", "rf_l")})
    x["lp_w"] -= 1 / 128  # off the grid, and so off every kink
    x.update({name: rng.randint(2, 40) for name in ("n_w", "n_l")})
    x.update({name: grid(2) for name in ("K_w", "K_l")})
    x.update({name: grid(1) for name in ("s_w", "s_l")})
    exact = {name: mpf(value) for name, value in x.items()}
    exact_o = {name: mpf(value) if isinstance(value, float) else value for name, value in o.items()}
    at = lambda name, move: loss(kind, {**exact, name: exact[name] + move}, exact_o)
    slopes = {"d_" + n: (at(n, STEP) - at(n, -STEP)) / (2 * STEP) for n in ("lp_w", "lp_l")}
    results = {"loss": at("lp_w", 0), **slopes}
    return {"kind": kind, "options": o, **x, **{k: float(v) for k, v in results.items()}}


def main():
    rng = random.Random(11)
    rows = [row(kind, rng) for kind in sorted([*WHOLE, *CERTAIN]) for _ in range(12)]
    # by hand: f(0.15) = 0.620957 is that of one pair with beta 0.1 and margin 1.5
    assert fabs(f(mpf("0.15")) - mpf("0.620957")) < 1e-6
    write_json(HERE / "pair_terms.json", {"versions": versions("mpmath"), "script": "pair_terms.py", "rows": rows})
    print(len(rows), "rows, losses up to", max(r["loss"] for r in rows))


if __name__ == "__main__":
    main()
