"""The equations of every objective in numpy, as their papers have them, for objectives.py.

    lp, rf    log-probs of a completion under policy and reference, n its number of tokens
    h = lp - rf;  D = h_w - h_l;  z = beta D;  s = sigmoid;  sp(t) = log(1 + e^t) = -log s(-t)

Each takes a Batch of complex arrays and the term's options and returns a loss an item. Everything is analytic, so that
a step along the imaginary axis gives the slope; `fixed(...)` has none.
"""

import math
from types import SimpleNamespace

import numpy as np


def above(x, y):
    """Where a complex number's value is above y."""
    return np.real(x) > np.real(y)


def relu(x):
    return np.where(above(x, 0), x, 0)


def sp(x):
    """log(1 + e^x)."""
    x = np.asarray(x, complex)
    near = np.where(above(x, 0), -x, x)
    return np.where(above(x, 0), x, 0) + np.log1p(np.exp(near))


def s(x):
    return np.exp(-sp(-np.asarray(x, complex)))


def fixed(x):
    """The value of x, without slope."""
    return np.real(x) + 0j


def logsumexp(x):
    top = np.max(np.real(x))
    return top + np.log(np.sum(np.exp(x - top)))


def log1mexp(a):
    """log(1 - e^a) for a < 0."""
    return np.where(above(a, -math.log(2)), np.log(-np.expm1(a)), np.log1p(-np.exp(a)))


class Batch(SimpleNamespace):
    """The arrays of a case, complex so that they can be sloped, and what every loss makes of them."""

    @property
    def h(self):
        return self.lp - self.rf

    def w(self, x):
        return x[self.winner]

    def l(self, x):
        return x[self.loser]

    def D(self, x=None):
        x = self.h if x is None else x
        return self.w(x) - self.l(x)

    def sums(self, tokens):
        """Of token numbers, by completion."""
        out = np.zeros(len(self.lp), complex)
        np.add.at(out, self.sequence, tokens)
        return out


# ---- a pair at a time ------------------------------------------------------------------------------------------------


def dpo(b, o):
    """q sp(-z) + (1-q) sp(z), q = (1-e) p + e (1-p). Rafailov et al. 2023, 2305.18290, eq. 7; Mitchell 2023."""
    e, z = o.get("label_smoothing", 0), o["beta"] * b.D()
    q = (1 - e) * b.probability + e * (1 - b.probability)
    return q * sp(-z) + (1 - q) * sp(z)


def hinge(b, o):
    """relu(1 - z). Liu et al. 2023, 2309.06657, hinge-norm."""
    return relu(1 - o["beta"] * b.D())


def slic(b, o):
    """relu(delta - (lp_w - lp_l)) - sft_weight lp_w. Zhao et al. 2023, 2305.10425, with the winner as its target."""
    return relu(o["delta"] - b.D(b.lp)) - o["sft_weight"] * b.w(b.lp)


def ipo(b, o):
    """(D - 1/(2 tau))^2, D of sums or of means over tokens. Azar et al. 2023, 2310.12036, eq. 17."""
    d = b.D(b.h / b.count) if o["average"] == "mean" else b.D()
    return (d - 1 / (2 * o["tau"])) ** 2


def robust(b, o):
    """[(1-e) sp(-z) - e sp(z)] / (1 - 2e). Chowdhury et al. 2024, 2403.00409."""
    e, z = o["label_smoothing"], o["beta"] * b.D()
    return ((1 - e) * sp(-z) - e * sp(z)) / (1 - 2 * e)


def gdpo(b, o):
    """sp(-beta (2p - 1) D). Furuta et al. 2024, 2409.06691."""
    return sp(-o["beta"] * (2 * b.probability - 1) * b.D())


def ties(b, o):
    """-log P(outcome): a tie where p = 1/2, else won with p, lost with 1 - p; d = z, t = P(tie) at d = 0. Chen et al.
    2024, 2409.17431.
    Rao-Kupper: P(win) = s(d - a), P(tie) = (e^{2a} - 1) s(d - a) s(-d - a), a = 2 artanh t.
    Davidson: P(win) = e^d / (e^d + 1 + 2 nu e^{d/2}), P(tie) = 2 nu e^{d/2} / (same), nu = t / (1 - t)."""
    z, p, t = o["beta"] * b.D(), np.real(b.probability), o["tie_rate"]
    if o["model"] == "rao_kupper":
        a = 2 * math.atanh(t)
        win, lose = sp(-(z - a)), sp(z + a)
        tie = win + lose - math.log(math.expm1(2 * a))
    else:
        nu = t / (1 - t)
        total = np.log(np.exp(z) + 1 + 2 * nu * np.exp(z / 2))
        win, lose, tie = total - z, total, total - math.log(2 * nu) - z / 2
    return np.where(p == 0.5, tie, p * win + (1 - p) * lose)


def sppo(b, o):
    """1/2 [(h_w - (P_w - 1/2)/beta)^2 + (h_l - (P_l - 1/2)/beta)^2]. Wu et al. 2024, 2405.00675, eq. 4.7. P is the
    comparison's probability, or 1, 1/2, 0 by it, or a column."""
    p = b.probability
    if o["targets"] == "hard":
        p = np.where(above(p, 0.5), 1, np.where(p == 0.5, 0.5, 0))
    p_w, p_l = (p, 1 - p) if o["targets"] != "column" else (b.w(b.values[o["win_rate"]]), b.l(b.values[o["win_rate"]]))
    return 0.5 * ((b.w(b.h) - (p_w - 0.5) / o["beta"]) ** 2 + (b.l(b.h) - (p_l - 0.5) / o["beta"]) ** 2)


def exo(b, o):
    """q log(q / p) + (1-q) log((1-q) / (1-p)), q = s(z), p smoothed by e. Ji et al. 2024, 2402.00856, eq. 16."""
    e, z = o["label_smoothing"], o["beta"] * b.D()
    p = (1 - e) * b.probability + e * (1 - b.probability)
    return s(z) * (-sp(-z) - np.log(p)) + s(-z) * (-sp(z) - np.log(1 - p))


def nca(b, o):
    """-log s(r_w) - 1/2 log s(-r_w) - 1/2 log s(-r_l), r = beta h. Chen et al. 2024, 2402.05369."""
    r_w, r_l = o["beta"] * b.w(b.h), o["beta"] * b.l(b.h)
    return sp(-r_w) + 0.5 * sp(r_w) + 0.5 * sp(r_l)


def dpo_norm(b, o):
    """sp(-beta (h_w/n_w - h_l/n_l)). Lambert et al. 2024, 2411.15124."""
    return sp(-o["beta"] * b.D(b.h / b.count))


def r_dpo(b, o):
    """sp(-(beta D + alpha (n_w - n_l))). Park et al. 2024, 2403.19159."""
    return sp(-(o["beta"] * b.D() + o["alpha"] * b.D(b.count)))


def ld_dpo(b, o):
    """DPO on sums whose tokens behind the shorter length weigh alpha. Liu et al. 2024, 2409.06411."""
    out = []
    for w, l in zip(b.winner, b.loser):
        shared = int(min(np.real(b.count[w]), np.real(b.count[l])))

        def h(k):
            t = (b.token - b.ref_token)[b.sequence == k]
            return np.sum(t[:shared]) + o["alpha"] * np.sum(t[shared:])

        out.append(sp(-o["beta"] * (h(w) - h(l))))
    return np.array(out)


def tdpo(b, o):
    """sp(-beta (D - alpha (K_l - fixed(K_w)))), K = sum_t KL(reference || policy). Zeng et al. 2024, 2404.11999:
    version 2; version 1 has no alpha and slopes K_w too."""
    k_w, k_l = b.w(b.divergence), b.l(b.divergence)
    return sp(-o["beta"] * (b.D() - (k_l - k_w if o["version"] == 1 else o["alpha"] * (k_l - fixed(k_w)))))


def wpo_weight(b):
    """w(y) = exp(mean_t (log pi(y_t) - log sum_v pi(v)^2))."""
    return fixed(np.exp(b.sums(b.token - b.concentration) / b.count))


def wpo(b, o):
    """fixed(min(1, w_w w_l)) sp(-z). Zhou et al. 2024, 2406.11827, eq. 2."""
    w = wpo_weight(b)
    return np.minimum(1, np.real(b.w(w) * b.l(w))) * sp(-o["beta"] * b.D())


def odpo(b, o):
    """sp(-(z - a)), a = alpha log(gap) or alpha gap, gap = max(0.001, score_w - score_l). Amini et al. 2024,
    2402.10571."""
    gap = np.maximum(np.real(b.D(b.score)), 1e-3)
    return sp(-(o["beta"] * b.D() - o["alpha"] * (np.log(gap) if o["scale"] == "log" else gap)))


def modpo(b, o):
    """sp(-[z - sum_k w_k (R_k(y_w) - R_k(y_l))] / w_1). Zhou et al. 2023, 2310.03708."""
    others = sum(float(w) * b.D(b.values[name]) for name, w in o["others"].items())
    return sp(-(o["beta"] * b.D() - others) / o["own_weight"])


def reward_aware(b, o):
    """KL(Bernoulli s(g) || Bernoulli s(z)), g = eta (score_w - score_l), or (z - g)^2. Adler et al. 2024,
    2406.11704."""
    z, g = o["beta"] * b.D(), o["eta"] * b.D(b.score)
    if o["form"] == "squared":
        return (z - g) ** 2
    return s(g) * (sp(-z) - sp(-g)) + s(-g) * (sp(z) - sp(g))


def anchor(b, o):
    """sp(-(beta h_w - delta)). Wang et al. 2024, 2406.11839 (mDPO), eq. 7."""
    return sp(-(o["beta"] * b.w(b.h) - o.get("delta", 0)))


def dpop(b, o):
    """sp(-beta (D - lambda relu(rf_w - lp_w))). Pal et al. 2024, 2402.13228."""
    return sp(-o["beta"] * (b.D() - o["lambda"] * relu(-b.w(b.h))))


def discopop(b, o):
    """(1 - m) sp(-z) + m e^{-z}, m = s(z / tau). Lu et al. 2024, 2406.08414, eq. 5."""
    z = o["beta"] * b.D()
    m = s(z / o["tau"])
    return (1 - m) * sp(-z) + m * np.exp(-z)


def f_dpo(b, o):
    """sp(-beta (g(h_w) - g(h_l))), g = f'(e^h) less a constant. Wang et al. 2023, 2309.16240.
    reverse KL h; forward KL -e^{-h}; JS log s(h); alpha (1 - e^{-alpha h}) / alpha."""
    g = {
        "reverse_kl": lambda h: h,
        "forward_kl": lambda h: -np.exp(-h),
        "js": lambda h: -sp(-h),
        "alpha": lambda h: (1 - np.exp(-o["alpha"] * h)) / o["alpha"],
    }[o["divergence"]]
    return sp(-o["beta"] * b.D(g(b.h)))


def apo_zero(b, o):
    """1 - s(beta h_w) + s(beta h_l). D'Oosterlinck et al. 2024, 2408.06266, eq. 7."""
    return 1 - s(o["beta"] * b.w(b.h)) + s(o["beta"] * b.l(b.h))


def apo_down(b, o):
    """s(beta h_w) + 1 - s(z). The same, eq. 8."""
    return s(o["beta"] * b.w(b.h)) + 1 - s(o["beta"] * b.D())


def safe_dpo(b, o):
    """sp(-(z - delta (u_l - u_w))), u = 1 for an unsafe answer; a safe one beats an unsafe one whatever was said, and
    pairs of two unsafe ones have no loss. Kim et al. 2025, 2505.20065."""
    unsafe, out = np.real(b.values[o["unsafe"]]) > o["threshold"], []
    for w, l, p in zip(b.winner, b.loser, b.probability):
        z = o["beta"] * (b.h[w] - b.h[l])
        if unsafe[w] == unsafe[l]:
            out.append(0 * z if unsafe[w] else p * sp(-z) + (1 - p) * sp(z))
        else:
            out.append(sp(-((z if unsafe[l] else -z) - o["delta"])))
    return np.array(out)


def dpo_free(b, o):
    """DPO with lp for h: an even reference."""
    return dpo(Batch(**{**vars(b), "rf": 0 * b.rf}), o)


def simpo(b, o):
    """sp(-(beta (a_w - a_l) - beta ratio)), a = lp / n. Meng et al. 2024, 2405.14734, eq. 6."""
    return sp(-o["beta"] * (b.D(b.lp / b.count) - o["gamma_ratio"]))


def alphapo(b, o):
    """SimPO with (1 - e^{-alpha a}) / alpha for a. Gupta et al. 2025, 2501.03884."""
    a = b.lp / b.count
    bent = (1 - np.exp(-o["alpha"] * a)) / o["alpha"] if o["alpha"] else a
    return sp(-o["beta"] * (b.D(bent) - o["gamma_ratio"]))


def nll(b, o):
    """-lp_w / n_w. Pang et al. 2024, 2404.19733, eq. 2, second part."""
    return -b.w(b.lp / b.count)


def cpo(b, o):
    """sp(-beta (lp_w - lp_l)) - alpha lp_w / n_w. Xu et al. 2024, 2401.08417, eq. 3 and 4."""
    return sp(-o["beta"] * b.D(b.lp)) + o["alpha"] * nll(b, o)


def odds(b):
    """sp(-(odds_w - odds_l)), odds = a - log(1 - e^a), a = lp / n."""
    a = b.lp / b.count
    return sp(-b.D(a - log1mexp(a)))


def orpo(b, o):
    """-lp_w / n_w + lambda odds. Hong et al. 2024, 2403.07691, eq. 6 and 7."""
    return nll(b, o) + o["lambda"] * odds(b)


def bco(b, o):
    """-log s(r_w - shift) - log s(-(r_l - shift)), r = beta h. Jung et al. 2024, 2404.04656, eq. 10."""
    shift = o.get("shift", 0)
    return sp(-(o["beta"] * b.w(b.h) - shift)) + sp(o["beta"] * b.l(b.h) - shift)


# ---- a whole step of pairs -------------------------------------------------------------------------------------------


def mean_of(x, weight):
    return np.sum(x * weight) / np.sum(weight)


def transported(x, x_mass, y, y_mass):
    """(i, j, mass) of the optimal transport in one dimension: both ascending, laid end to end."""
    xs, ys = np.argsort(np.real(x), kind="stable"), np.argsort(np.real(y), kind="stable")
    x_end, y_end = np.cumsum(np.real(x_mass)[xs]), np.cumsum(np.real(y_mass)[ys])
    out = []
    for a, i in enumerate(xs):
        for b, j in enumerate(ys):
            low = max(x_end[a] - np.real(x_mass)[i], y_end[b] - np.real(y_mass)[j])
            if min(x_end[a], y_end[b]) > low + 1e-12:
                out.append((i, j, min(x_end[a], y_end[b]) - low))
    return out


def aot(b, o):
    """sp(-beta (a - b)): the margins lp_w - lp_l, ascending, against the margins rf_w - rf_l, ascending; a pair stands
    in with weight times p at its margin and with weight times 1 - p at minus its margin. A pair's loss is the mean over
    what it brings. Melnyk et al. 2024, 2406.05882."""
    both = lambda x: np.concatenate([x, -x])
    x, y = both(b.D(b.lp)), both(b.D(b.rf))
    mass = np.concatenate([b.weight * b.probability, b.weight * (1 - b.probability)])
    pairs, out = len(b.winner), np.zeros(len(b.winner), complex)
    for i, j, share in transported(x, mass, y, mass):
        out[i % pairs] += share / b.weight[i % pairs] * sp(-o["beta"] * (x[i] - y[j]))
    return out


def dr_dpo(b, o):
    """-t log mean_i e^{-f_i / t}, f = DPO's losses, for every item. Wu et al. 2024, 2407.07880, eq. 12, t its beta'."""
    inner = np.log(b.weight / np.sum(b.weight)) - dpo(b, o) / o["temperature"]
    return np.full(len(b.winner), -o["temperature"] * logsumexp(inner))


def beta_dpo(b, o):
    """keep_i / (1 - filter) times DPO at max(0.001, beta (1 + alpha (kept mean of D - M))). Wu et al. 2024, 2407.08639,
    with the chances by which it would draw pairs in place of the draw: keep_i = min(1, c e^{-((D_i - M) / S)^2 / 2}),
    c such that a share 1 - filter is kept. M and S are the step's own, or what earlier steps left."""
    D = np.real((2 * b.probability - 1) * b.D())
    weight = np.real(b.weight)
    mean = lambda x, w: np.sum(x * w) / np.sum(w)
    M = b.state.get("mean", mean(D, weight))
    S = b.state.get("deviation", math.sqrt(mean((D - mean(D, weight)) ** 2, weight)))
    g = np.exp(-(((D - M) / S) ** 2) / 2)
    low, high = 0.0, 1 / np.min(g)
    for _ in range(200):  # the kept share grows with c
        c = (low + high) / 2
        low, high = (c, high) if mean(np.minimum(1, c * g), weight) < 1 - o["filter"] else (low, c)
    keep = np.minimum(1, high * g)
    beta = max(1e-3, o["beta"] * (1 + o["alpha"] * (mean(D, weight * keep) - M)))
    return keep / (1 - o["filter"]) * dpo(b, dict(beta=beta))


# ---- a completion at a time ------------------------------------------------------------------------------------------


def by_label(b, desirable, undesirable):
    return np.where(b.label > 0, desirable, np.where(b.label < 0, undesirable, 0))


def kto(b, o):
    """w_D (1 - s(beta (h - k))) or w_U (1 - s(beta (k - h))), k = fixed(max(0, mean h of strangers)). Ethayarajh et al.
    2024, 2402.01306, eq. 7 and 8."""
    stranger = np.real(b.mismatched) > 0
    weight = np.array([sum(np.real(b.label_weight)[b.group == g]) for g in b.group])
    k = max(0.0, np.real(np.sum(b.h[stranger] * weight[stranger]) / np.sum(weight[stranger])))
    d, u = 1 - s(o["beta"] * (b.h - k)), 1 - s(o["beta"] * (k - b.h))
    return by_label(b, o.get("desirable_weight", 1) * d, o.get("undesirable_weight", 1) * u)


def apo_zero_unpaired(b, o):
    """w_D (1 - s(beta h)) or w_U s(beta h). D'Oosterlinck et al. 2024, 2408.06266."""
    d, u = 1 - s(o["beta"] * b.h), s(o["beta"] * b.h)
    return by_label(b, o.get("desirable_weight", 1) * d, o.get("undesirable_weight", 1) * u)


def bco_unpaired(b, o):
    """-log s(r - shift) or -log s(-(r - shift)), shift = fixed(half of the sides' mean r). Jung et al. 2024,
    2404.04656, eq. 10 and 11. Means run on from `state`, if there was a step before."""
    r, means = o["beta"] * b.h, []
    for sign, name in ((1, "desirable"), (-1, "undesirable")):
        side = np.real(b.label) == sign
        now = np.real(np.sum(r[side] * b.label_weight[side]) / np.sum(b.label_weight[side]))
        means.append(o["momentum"] * b.state[name] + (1 - o["momentum"]) * now if name in b.state else now)
    shift = sum(means) / 2
    return by_label(b, sp(-(r - shift)), sp(r - shift))


def aot_unpaired(b, o):
    """sp(-beta (a - b)): h of the desirable, ascending, against h of the undesirable, ascending, both of mass 1; the
    mean for every item. Melnyk et al. 2024, 2406.05882."""
    side = lambda sign: np.flatnonzero(np.real(b.label) * sign > 0)
    d, u = side(1), side(-1)
    share = lambda k: b.label_weight[k] / np.sum(b.label_weight[k])
    matched = transported(b.h[d], share(d), b.h[u], share(u))
    return np.full(len(b.lp), sum(mass * sp(-o["beta"] * (b.h[d[i]] - b.h[u[j]])) for i, j, mass in matched))


# ---- a prompt at a time ----------------------------------------------------------------------------------------------


def plackett_luce(b, o):
    """sum_k [logsumexp(z_k and all worse) - z_k]. Rafailov et al. 2023, 2305.18290, app. A.3."""
    z, out = o["beta"] * b.h, []
    for g in range(len(b.group_weight)):
        own = [i for i in range(len(z)) if b.group[i] == g and b.rank[i] >= 0]
        parts = [
            logsumexp(np.array([z[i]] + [z[j] for j in own if b.rank[j] > b.rank[i]])) - z[i] for i in own
        ]
        out.append(sum(parts, 0j))
    return np.array(out)


def constraint(b, o):
    """dual (E - budget), E the expected cost of an answer to the comparison's prompt. Liu, Sun and Zheng 2024,
    2403.02475; the estimates are attune's own:
    off_policy      E = sum_k q_k c_k, q = softmax(h cut at +-clip), sloped as if it were not cut
    relaxed         the same with q = softmax(lp)
    score_function  value: mean c; slope along lp_k: (c_k - mean of the other c, or budget if alone) / K
    c is a column, or by rule the tokens over a limit: their number's part of it, or the share past it."""
    dual, n, out = b.state.get("dual", o["dual_start"]), np.real(b.count), []
    limit = o.get("limit")
    cost = {"tokens": lambda: n / limit, "tokens_over": lambda: np.maximum(0, n - limit) / n}.get(
        o.get("rule"), lambda: b.values[o["column"]]
    )()
    for w in b.winner:
        own = [
            k for k in range(len(cost)) if b.group[k] == b.group[w] and not b.mismatched[k] and cost[k] == cost[k]
        ]
        c, lp, h = cost[own], b.lp[own], b.h[own]
        if o["form"] == "score_function":
            others = (np.sum(c) - c) / (len(c) - 1) if len(c) > 1 else o["budget"]
            expected = np.mean(c) + np.sum((c - others) * (lp - fixed(lp))) / len(c)
        else:
            cut = np.clip(np.real(h), -o["clip"], o["clip"]) + (h - fixed(h))
            x = lp if o["form"] == "relaxed" else cut
            expected = np.sum(np.exp(x - logsumexp(x)) * c)
        out.append(dual * (expected - o["budget"]))
    return np.array(out)
