"""Values and slopes of every objective, in float64 numpy by the equations of objective_terms.py.

Makes tests/golden/objectives.json:
    batches[]   S completions of C tokens: lp, rf, count, token, ref_token, sequence, divergence, concentration;
                winner, loser, probability, weight (P); label, label_weight, rank, group, score, mismatched (S);
                group_weight; values{} by column (S). null: none.
    cases[]     name, batch (its index), terms[] (kind, weight, options) as in a run file, state{} that the term was
                left with by earlier steps, and
                loss      a number an item: the sum over terms of weight times the term's loss
                factors   a number an item; 0: nothing is asked of that item
                d_lp, d_token, d_divergence    slopes of sum_i factors_i loss_i; missing: 0
The named cases are three pairs that any implementation can be held to, with their published values in named(); the
others are seeded batches of seven pairs over eleven completions. Slopes are complex steps: exact to rounding.

Run: python tests/golden/objectives.py
"""

import math
import random

import numpy as np

import objective_terms
from objective_terms import Batch, odds
from tools import HERE, versions, write_json

STEP = 1e-40  # along the imaginary axis: nothing cancels, so it can be as small as it likes

FLOATS = ("lp", "rf", "count", "token", "ref_token", "divergence", "concentration", "probability", "weight", "label",
          "label_weight", "group_weight", "score", "mismatched")  # fmt: skip
# Their papers know hard labels only: with soft ones, the expected loss over who is preferred.
EITHER_WAY = ("hinge", "slic", "ipo", "nca", "robust", "odpo", "modpo", "dpo_norm", "r_dpo", "ld_dpo", "tdpo",
              "wpo", "anchor", "dpop", "discopop", "f_dpo", "apo_zero", "apo_down", "simpo",
              "alphapo", "nll", "cpo", "orpo", "bco")  # fmt: skip
LEAVES = ("lp", "token", "divergence")


def value(raw, term, state):
    """A term's losses."""
    arrays = {k: np.array(raw[k], complex) for k in FLOATS}
    arrays |= {k: np.array(raw[k]) for k in ("winner", "loser", "sequence", "rank", "group")}
    arrays["values"] = {k: np.array(v, complex) for k, v in raw["values"].items()}
    batch, f = Batch(**arrays, state=state), getattr(objective_terms, term["kind"])
    if term["kind"] not in EITHER_WAY or np.all(batch.probability == 1):
        return f(batch, term["options"])
    turned = Batch(**{**vars(batch), "winner": batch.loser, "loser": batch.winner})
    p = batch.probability
    return p * f(batch, term["options"]) + (1 - p) * f(turned, term["options"])


def run(raw, terms, state):
    return sum(term["weight"] * value(raw, term, state) for term in terms)


class File:
    """What is written: batches once each, and cases."""

    def __init__(self):
        self.batches, self.cases = [], []

    def index_of(self, raw):
        none = lambda x: [None if v != v else v for v in x]
        tidy = dict(raw, score=none(raw["score"]), values={k: none(v) for k, v in raw["values"].items()})
        if tidy not in self.batches:
            self.batches.append(tidy)
        return self.batches.index(tidy)

    def add(self, name, raw, terms, state=None):
        """The case, with its results."""
        state = state or {}
        loss = run(raw, terms, state)
        assert np.all(np.isfinite(loss)) and np.all(np.imag(loss) == 0), name
        factors = np.array([1 + 0.25 * i for i in range(len(loss))])
        if len(loss) == len(raw["lp"]):  # a loss for each completion
            factors *= np.array(raw["label"]) != 0
        slopes = {}
        for leaf in LEAVES:
            slope = []
            for i in range(len(raw[leaf])):
                moved = dict(raw, **{leaf: [x + STEP * 1j * (i == j) for j, x in enumerate(raw[leaf])]})
                slope.append(float(np.imag(np.sum(factors * run(moved, terms, state))) / STEP))
            if any(slope):
                slopes["d_" + leaf] = slope
        done = dict(name=name, batch=self.index_of(raw), terms=terms, state=state)
        done |= dict(loss=np.real(loss).tolist(), factors=factors.tolist(), **slopes)
        self.cases.append(done)
        return done


def spread(lp, rf, count):
    """Tokens of equal log-probs that add up to the sums."""
    owner = [i for i, n in enumerate(count) for _ in range(n)]
    return dict(
        sequence=owner, token=[lp[i] / count[i] for i in owner], ref_token=[rf[i] / count[i] for i in owner]
    )


def three_pairs(**changes):
    """Winners 0 1 2, losers 3 4 5 and a stranger whose h is 0.2."""
    lp = [-10.0, -20.0, -5.0, -12.0, -18.5, -9.0, -9.8]
    rf = [-11.0, -19.0, -7.0, -11.5, -19.5, -8.0, -10.0]
    count = [5, 10, 4, 6, 9, 8, 3]
    raw = dict(
        lp=lp,
        rf=rf,
        count=count,
        **spread(lp, rf, count),
        divergence=[0.0] * 7,
        concentration=[-1.0] * sum(count),
        winner=[0, 1, 2],
        loser=[3, 4, 5],
        probability=[1.0] * 3,
        weight=[1.0] * 3,
        label=[1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 0.0],
        label_weight=[1.0] * 6 + [0.0],
        rank=[0, 0, 0, 1, 1, 1, -1],
        group=[0, 1, 2, 0, 1, 2, 0],
        group_weight=[1.0] * 3,
        score=[math.nan] * 7,
        mismatched=[0.0] * 6 + [1.0],
        values={},
    )
    return raw | changes


COUNTS = [5, 2, 7, 3, 11, 3, 2, 13, 5, 3, 2]


def seven_pairs(seed, reach=1.0, soft=False):
    """Three prompts with 4, 3 and 2 completions, and two strangers. Log-probs are multiples of 1/64: exact in f32."""
    rng = random.Random(seed)
    grid = lambda low, high: rng.randrange(round(low * 64), round(high * 64) + 1) / 64
    token = [-grid(1 / 64, 2.5 * reach) for _ in range(sum(COUNTS))]
    owner = [i for i, n in enumerate(COUNTS) for _ in range(n)]
    ref_token = [min(-1 / 64, t + grid(-0.5, 0.5) * reach) for t in token]
    sums = lambda x: [sum(v for v, k in zip(x, owner) if k == i) for i in range(11)]
    lp, rf = sums(token), sums(ref_token)
    if any(x == y for x, y in zip(lp, rf)):  # where a maximum has its kink, any slope between two is right
        return seven_pairs(seed + 1000, reach, soft)
    return dict(
        lp=lp,
        rf=rf,
        count=COUNTS,
        sequence=owner,
        token=token,
        ref_token=ref_token,
        divergence=[grid(0, 3) for _ in COUNTS],
        concentration=[-grid(0.25, 3) * reach for _ in owner],
        winner=[0, 2, 3, 4, 6, 7, 2],
        loser=[1, 1, 0, 5, 4, 8, 3],
        probability=rng.sample([1.0, 0.0, 0.5, *(grid(0, 1) for _ in range(4))], 7) if soft else [1.0] * 7,
        weight=[rng.choice([1.0, 1.0, 0.5, 2.0]) for _ in range(7)],
        label=[1.0, -1.0, 1.0, 0.0, -1.0, 1.0, -1.0, 1.0, -1.0, 0.0, 0.0],
        label_weight=[1.0, 0.5, 2.0, 0.0, 1.0, 1.0, 0.25, 1.0, 3.0, 0.0, 0.0],
        rank=[1, 3, 0, 1, 2, 0, 1, 0, 1, -1, -1],
        group=[0, 0, 0, 0, 1, 1, 1, 2, 2, 0, 1],
        group_weight=[1.0, 0.5, 2.0],
        score=[grid(0, 1) for _ in range(9)] + [math.nan] * 2,
        mismatched=[0.0] * 9 + [1.0] * 2,
        values=dict(
            help=[((5 * k) % 7 - 3) / 4 for k in range(9)] + [math.nan] * 2,
            brief=[((5 * k + 3) % 7 - 3) / 4 for k in range(9)] + [math.nan] * 2,
            unsafe=[1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0] + [math.nan] * 2,
            won=[0.25, 0.75, 0.5, 0.9, 0.1, 0.3, 0.65, 0.05, 0.8] + [math.nan] * 2,
            cost=[0.5, 2.0, math.nan, 1.0, 0.25, 0.75, 3.0, 1.5] + [math.nan] * 3,
        ),
    )


def one(kind, weight=1.0, **options):
    return [dict(kind=kind, weight=weight, options=options)]


def named():
    """(name, terms, changes to the three pairs, loss of its first items, slope along lp of completion i, i)."""
    b, half = dict(beta=0.1), [0.9, 0.5, 0.3]
    scores = lambda w, l: dict(score=[*w, *l, math.nan])
    two = dict(values=dict(other=[0.2, -0.1, 0.5, 0.4, 0.3, -0.2, math.nan]))
    desirable = dict(label=[1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    undesirable = dict(label=[0.0, 0.0, 0.0, -1.0, -1.0, -1.0, 0.0])
    return [
        ("dpo", one("dpo", **b), {}, [0.620957, 0.798139, 0.554355], -0.04626),
        ("cdpo", one("dpo", **b, label_smoothing=0.1), {}, [0.635957, 0.778139, 0.584355], -0.03626),
        ("robust", one("robust", **b, label_smoothing=0.1), {}, [0.602207, 0.823139, 0.516855], -0.05876),
        ("soft", one("dpo", **b), dict(probability=half), [0.635957, 0.698139, 0.764355], -0.03626),
        ("gdpo", one("gdpo", **b), dict(probability=half), [0.634946, 0.693147, 0.754946], -0.03760),
        ("ipo of sums", one("ipo", tau=0.1, average="sum"), {}, [12.25, 49, 4], -7.0),
        ("ipo of means", one("ipo", tau=0.1, average="mean"), {}, [22.246944, 27.155679, 19.140625], -1.88667),
        ("hinge", one("hinge", **b), {}, [0.85, 1.2, 0.7], -0.1),
        ("slic", one("slic", delta=1.0, sft_weight=0.0), {}, [0, 2.5, 0], 0),
        ("kto desirable", one("kto", **b), desirable, [0.480011, 0.529964, 0.455121], -0.02496),
        ("kto undesirable", one("kto", **b), undesirable, [0, 0, 0, 0.482507, 0.519989, 0.470036], 0.02497, 3),
        ("bco", one("bco", **b), {}, [1.312856, 1.488793, 1.242536], -0.04750),
        ("simpo", one("simpo", beta=2.0, gamma_ratio=0.5), {}, [1.313262, 1.233267, 1.501929], -0.29242),
        ("orpo", one("orpo", **{"lambda": 0.1}), {}, [2.069315, 2.066167, 1.328716], -0.21157),
        ("cpo", one("cpo", **b, alpha=0.0), {}, [0.598139, 0.770957, 0.513015], -0.04502),
        ("exo", one("exo", **b, label_smoothing=1e-3), {}, [2.505517, 3.110397, 2.258199], -0.16797),
        ("nca", one("nca", **b), {}, [1.350825, 1.438793, 1.319407], -0.02125),
        ("sppo hard, twice", one("sppo", 2.0, **b, targets="hard"), {}, [36.25, 72, 25], -8.0),
        (
            "sppo soft",
            one("sppo", **b, targets="column", win_rate="won"),
            dict(values=dict(won=[0.8, 0.6, 0.95, 0.2, 0.4, 0.05, math.nan])),
            [5.125, 4, 9.25],
            -2.0,
        ),
        ("apo_zero", one("apo_zero", **b), {}, [0.962523, 1.049958, 0.925187], -0.02494),
        ("apo_down", one("apo_down", **b), {}, [0.987549, 1.024855, 0.975391], 0.00008),
        ("discopop", one("discopop", **b, tau=0.05), {}, [0.849338, 0.805752, 0.740357], -0.06252),
        ("f_dpo forward", one("f_dpo", **b, divergence="forward_kl"), {}, [0.631154, 0.817557, 0.572316], -0.01722),
        ("f_dpo js", one("f_dpo", **b, divergence="js"), {}, [0.660652, 0.744397, 0.635589], -0.01300),
        (
            "f_dpo alpha",
            one("f_dpo", **b, divergence="alpha", alpha=0.5),
            {},
            [0.627691, 0.802787, 0.573243],
            -0.02828,
        ),
        ("dpo_norm", one("dpo_norm", beta=5.0), {}, [0.217142, 1.354177, 0.042999], -0.19518),
        ("r_dpo", one("r_dpo", **b, alpha=0.02), {}, [0.630258, 0.787192, 0.589185], -0.04675),
        ("dpop", one("dpop", **b, **{"lambda": 5.0}), {}, [0.620957, 1.103186, 0.554355], -0.04626),
        ("dpop, row 2", one("dpop", **b, **{"lambda": 5.0}), {}, [0.620957, 1.103186, 0.554355], -0.40091, 1),
        (
            "odpo",
            one("odpo", **b, alpha=1.0, scale="log"),
            scores([2.5, 1.5, 1.0], [0.5, 0.5, 0.5]),
            [1.001152, 0.798139, 0.315109],
            -0.06325,
        ),
        (
            "modpo",
            one("modpo", **b, own_weight=0.7, others=dict(other="0.3")),
            two,
            [0.554355, 0.751922, 0.630926],
            -0.06079,
        ),
        # the ranks' values: of the pairs in the order of their margins, and of all the items their mean
        ("aot", one("aot", **b), {}, [0.620957, 0.798139, 0.554355], None),
        ("aot_unpaired", one("aot_unpaired", **b), {}, [(0.693147 + 0.620957 + 0.644397) / 3] * 3, None),
        ("anchor", one("anchor", **b), {}, [0.644397, 0.744397, 0.598139], -0.04750),
        (
            "dpo and nll",
            one("dpo", **b) + one("nll", 0.005),
            {},
            [0.630957, 0.808139, 0.560605],
            -0.04726,
        ),
    ]


def seq_kl():
    """A winner of three tokens given by its logits, whose KL and concentration the papers' formulas say; the loser has
    the reference's numbers throughout. The WPO weight of the winner is 1.140559, of the pair 1."""
    logits = np.array([[2, 0, -1], [0.5, 0.5, 0], [0, 3, 1]], float)
    reference = np.array([[1, 0, 0], [0, 1, 0], [1, 2, 0]], float)
    labels = [0, 1, 1]
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    ref = reference - np.log(np.exp(reference).sum(1, keepdims=True))
    kl = float((np.exp(ref) * (ref - logp)).sum())
    token, ref_token = logp[range(3), labels].tolist(), ref[range(3), labels].tolist()
    concentration = np.log(np.exp(2 * logp).sum(1)).tolist()
    assert abs(kl - 0.594586) < 1e-6 and abs(sum(token) + 1.297712) < 1e-6 and abs(sum(ref_token) + 1.510495) < 1e-6
    assert abs(math.exp(sum(t - c for t, c in zip(token, concentration)) / 3) - 1.140559) < 1e-6
    even = np.log(np.exp(2 * ref).sum(1)).tolist()
    return three_pairs(
        lp=[sum(token), sum(ref_token)],
        rf=[sum(ref_token)] * 2,
        count=[3, 3],
        sequence=[0] * 3 + [1] * 3,
        token=token + ref_token,
        ref_token=ref_token * 2,
        divergence=[kl, 0.0],
        concentration=concentration + even,
        winner=[0],
        loser=[1],
        probability=[1.0],
        weight=[1.0],
        label=[1.0, -1.0],
        label_weight=[1.0] * 2,
        rank=[0, 1],
        group=[0, 0],
        group_weight=[1.0],
        score=[1.0, 0.0],
        mismatched=[0.0] * 2,
    )


def random_cases():
    """Per kind its options, which of them twice: with hard labels and with soft ones."""
    grid = [
        ("alphapo", [dict(beta=2.5, gamma_ratio=0.4, alpha=a) for a in (0.0, 0.25, -0.7)]),
        ("anchor", [dict(beta=0.3), dict(beta=0.1, delta=0.5)]),
        ("aot", [dict(beta=0.2), dict(beta=0.05)]),
        ("aot_unpaired", [dict(beta=0.2), dict(beta=1.0)]),
        ("apo_down", [dict(beta=0.1), dict(beta=0.7)]),
        ("apo_zero", [dict(beta=0.1), dict(beta=0.7)]),
        ("apo_zero_unpaired", [dict(beta=0.3, desirable_weight=1.5, undesirable_weight=0.5)]),
        ("beta_dpo", [dict(beta=0.2, alpha=0.6, filter=f, momentum=0.9) for f in (0.2, 0.5)]),
        ("bco", [dict(beta=0.2), dict(beta=0.2, shift=-0.3)]),
        ("bco_unpaired", [dict(beta=0.2, momentum=0.9)]),
        ("cpo", [dict(beta=0.1, alpha=1.0), dict(beta=0.6, alpha=0.25)]),
        ("discopop", [dict(beta=0.05, tau=0.05), dict(beta=0.3, tau=0.7)]),
        ("dpo", [dict(beta=0.1), dict(beta=0.8, label_smoothing=0.15)]),
        ("dpo_free", [dict(beta=0.1), dict(beta=0.4, label_smoothing=0.15)]),
        ("dpo_norm", [dict(beta=5.0), dict(beta=0.5)]),
        ("dpop", [{"beta": 0.1, "lambda": 50.0}, {"beta": 0.3, "lambda": 0.5}]),
        ("dr_dpo", [dict(beta=0.2, temperature=1.0), dict(beta=0.5, temperature=0.3)]),
        ("exo", [dict(beta=0.1, label_smoothing=1e-3), dict(beta=0.7, label_smoothing=0.2)]),
        ("f_dpo", [dict(beta=0.2, divergence=d, alpha=0.3) for d in ("reverse_kl", "forward_kl", "js", "alpha")]),
        ("gdpo", [dict(beta=0.1), dict(beta=0.9)]),
        ("hinge", [dict(beta=0.1), dict(beta=0.9)]),
        ("ipo", [dict(tau=0.3, average=a) for a in ("mean", "sum")]),
        ("kto", [dict(beta=0.3, desirable_weight=1.5, undesirable_weight=0.5), dict(beta=0.1)]),
        ("ld_dpo", [dict(beta=0.2, alpha=a) for a in (0.0, 0.4)]),
        ("modpo", [dict(beta=0.2, own_weight=0.6, others=dict(help="0.3", brief="0.1"))]),
        ("nca", [dict(beta=0.1), dict(beta=0.7)]),
        ("nll", [dict()]),
        ("odpo", [dict(beta=0.3, alpha=0.5, scale=a) for a in ("log", "linear")]),
        ("orpo", [{"lambda": 0.1}, {"lambda": 1.5}]),
        ("plackett_luce", [dict(beta=0.1), dict(beta=0.9)]),
        ("r_dpo", [dict(beta=0.1, alpha=0.02), dict(beta=0.4, alpha=0.3)]),
        ("reward_aware", [dict(beta=0.3, eta=2.0, form=f) for f in ("kl_bwd", "squared")]),
        ("robust", [dict(beta=0.1, label_smoothing=0.1), dict(beta=0.6, label_smoothing=0.3)]),
        ("safe_dpo", [dict(beta=0.2, delta=1.5, unsafe="unsafe", threshold=0.5)]),
        ("simpo", [dict(beta=2.0, gamma_ratio=0.5), dict(beta=8.0, gamma_ratio=0.0)]),
        ("slic", [dict(delta=1.0, sft_weight=0.1), dict(delta=7.5, sft_weight=0.0)]),
        ("sppo", [dict(beta=0.3, targets=t, win_rate="won") for t in ("probability", "hard", "column")]),
        ("tdpo", [dict(beta=0.2, alpha=0.5, version=2), dict(beta=0.2, alpha=1.0, version=1)]),
        ("ties", [dict(beta=0.3, model=m, tie_rate=0.3) for m in ("rao_kupper", "davidson")]),
        ("wpo", [dict(beta=0.2)]),
    ]
    out = []
    for kind, each in grid:
        for k, options in enumerate(each):
            for soft in (False, True) if not kind.endswith("unpaired") else (False,):
                near = kind == "f_dpo"
                scene = seven_pairs(4 * k % 8 + 2 * near + soft, 0.4 if near else 1.0, soft)
                out.append((f"{kind} {k} {'soft' if soft else 'hard'}", scene, one(kind, **options), {}))
    later = dict(desirable=0.4, undesirable=-0.25)
    out.append(("bco_unpaired, later", seven_pairs(0), one("bco_unpaired", beta=0.2, momentum=0.7), later))
    later = dict(mean=0.3, deviation=1.7)
    options = dict(beta=0.2, alpha=0.6, filter=0.3, momentum=0.8)
    out.append(("beta_dpo, later", seven_pairs(5, 1.0, True), one("beta_dpo", **options), later))
    for k, form in enumerate(("off_policy", "relaxed", "score_function")):
        options = dict(column="cost", budget=0.6, form=form, dual_start=1.3, clip=0.8)
        out.append((f"constraint {form}", seven_pairs(4), one("constraint", **options), dict(dual=0.7) if k else {}))
    for rule, form, limit in (("tokens", "off_policy", 5), ("tokens_over", "relaxed", 3)):
        options = dict(rule=rule, limit=limit, budget=0.4, form=form, dual_start=1.1, clip=0.8)
        out.append((f"constraint by {rule}", seven_pairs(4), one("constraint", **options), {}))
    return out


def main():
    file = File()
    for name, terms, changes, loss, slope, *at in named():
        got = file.add(name, three_pairs(**changes), terms)
        at = at[0] if at else 0
        assert np.allclose(got["loss"][: len(loss)], loss, rtol=0, atol=6e-7), (name, got["loss"], loss)
        factor = got["factors"][at if len(got["loss"]) == 7 else at % 3]
        assert slope is None or abs(got.get("d_lp", [0] * 7)[at] / factor - slope) < 6e-6, (name, got, slope)
    half = odds(Batch(**{k: np.array(v, complex if k in FLOATS else None) for k, v in three_pairs().items()}))
    assert np.allclose(half, [0.693147, 0.661670, 0.787164], rtol=0, atol=6e-7), half
    file.add("tdpo on logits", seq_kl(), one("tdpo", beta=0.1, alpha=0.5, version=2))
    file.add("wpo on logits", seq_kl(), one("wpo", beta=0.1))
    for name, scene, terms, state in random_cases():
        file.add(name, scene, terms, state)
    out = {"versions": versions("numpy"), "script": "objectives.py", "batches": file.batches, "cases": file.cases}
    write_json(HERE / "objectives.json", out)
    kinds = {t["kind"] for c in file.cases for t in c["terms"]}
    print(len(file.cases), "cases of", len(kinds), "kinds on", len(file.batches), "batches")


if __name__ == "__main__":
    main()
