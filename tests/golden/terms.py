"""Values and gradients of the DPO term, worked in 60-digit arithmetic.

Equations (Rafailov et al. 2023, eq. 7; label smoothing as in the conservative DPO note; soft probabilities):
    z = beta ((lp_w - rf_w) - (lp_l - rf_l))
    q = (1 - label_smoothing) p + label_smoothing (1 - p)      p: probability that the winner is preferred
    loss = -q log sigmoid(z) - (1 - q) log sigmoid(-z)
    d loss / d lp_w = beta (sigmoid(z) - q) = - d loss / d lp_l
    reward = beta (lp - rf)

Makes tests/golden/dpo_terms.json:
    named[]   three pairs under dpo, dpo with label_smoothing 0.1, and probabilities 0.9 0.5 0.3, all with beta 0.1
    random[]  200 rows; |z| passes 1e4, and all log-probs are multiples of 1/64 so that no input is rounded
Each row: kind, beta, label_smoothing, p, lp_w, lp_l, rf_w, rf_l, z, loss, d_lp_w, d_lp_l, reward_w, reward_l.
Numbers are the doubles nearest to the exact values of the row's double inputs.

Run: python tests/golden/terms.py
"""

import random

from mpmath import exp, log1p, mp, mpf

from tools import HERE, versions, write_json

mp.dps = 60


def softplus(t):
    """log(1 + e^t), kept exact for large |t|."""
    return t + log1p(exp(-t)) if t > 0 else log1p(exp(t))


def sigmoid(t):
    return 1 / (1 + exp(-t))


def row(kind, beta, smoothing, p, lp_w, lp_l, rf_w, rf_l):
    """One row with its inputs and its exact results rounded to doubles."""
    b, e = mpf(beta), mpf(smoothing)
    h_w, h_l = mpf(lp_w) - mpf(rf_w), mpf(lp_l) - mpf(rf_l)
    z, q = b * (h_w - h_l), (1 - e) * mpf(p) + e * (1 - mpf(p))
    # sigmoid(z) - q without cancellation where q is 1
    slope = b * (-sigmoid(-z) + (1 - q))
    results = dict(
        z=z,
        loss=q * softplus(-z) + (1 - q) * softplus(z),
        d_lp_w=slope,
        d_lp_l=-slope,
        reward_w=b * h_w,
        reward_l=b * h_l,
    )
    return dict(
        kind=kind,
        beta=beta,
        label_smoothing=smoothing,
        p=p,
        lp_w=lp_w,
        lp_l=lp_l,
        rf_w=rf_w,
        rf_l=rf_l,
        **{k: float(v) for k, v in results.items()}
    )


def main():
    lp_w, lp_l, rf_w, rf_l = ([-10.0, -20.0, -5.0], [-12.0, -18.5, -9.0], [-11.0, -19.0, -7.0], [-11.5, -19.5, -8.0])
    pairs = list(zip(lp_w, lp_l, rf_w, rf_l))
    named = [row("dpo", 0.1, 0.0, 1.0, *x) for x in pairs]
    named += [row("cdpo", 0.1, 0.1, 1.0, *x) for x in pairs]
    named += [row("soft", 0.1, 0.0, p, *x) for p, x in zip((0.9, 0.5, 0.3), pairs)]
    # by hand: row 1 of dpo has D = (-10+11) - (-12+11.5) = 1.5, z = 0.15, log(1 + e^-0.15) = 0.620957
    assert [round(r["loss"], 6) for r in named] == [
        0.620957,
        0.798139,
        0.554355,
        0.635957,
        0.778139,
        0.584355,
        0.635957,
        0.698139,
        0.764355,
    ]
    assert [round(r["d_lp_w"], 5) for r in named[::3]] == [-0.04626, -0.03626, -0.03626]

    rng, rows = random.Random(7), []
    for i in range(200):
        reach = 10.0 ** rng.uniform(-1, 4)  # how far apart the log-probs lie
        beta = rng.choice([0.01, 0.1, 0.5, 1.0, 5.0])
        grid = lambda: -round(rng.uniform(0, reach) * 64) / 64
        smoothing = rng.choice([0.0, 0.0, 0.1, 0.25, 0.49])
        p = rng.choice([1.0, 1.0, 0.0, 0.5, round(rng.random(), 3)])
        lp = [grid() for _ in range(4)]
        if i < 6:  # z = -1e4, 1e4, and their neighbours, soft and hard
            beta, lp = 1.0, [(-1) ** i * 5000.0 - 6000.0, (-1) ** (i + 1) * 5000.0 - 6000.0, -6000.0, -6000.0]
        if 6 <= i < 9:  # exactly no margin
            lp = [lp[0], lp[1], lp[0], lp[1]]
        rows.append(row("random", beta, smoothing, p, *lp))
    assert max(abs(r["z"]) for r in rows) >= 1e4 and sum(abs(r["z"]) > 700 for r in rows) > 10
    write_json(
        HERE / "dpo_terms.json", {"versions": versions("mpmath"), "script": "terms.py", "named": named, "random": rows}
    )
    print(len(named), len(rows), "rows, |z| up to", max(abs(r["z"]) for r in rows))


if __name__ == "__main__":
    main()
