"""TRL's own loss code on made-up log-probs: values per batch and slopes with respect to every token's log-prob.

The methods that are called are those of the trainers as installed, on a bare object that carries the attributes which
they read and on a stand-in for the model that returns the log-probs it was given:
    DPOTrainer._compute_loss                every loss_type, f_divergence_type, ld_alpha, use_weighting, several losses
    KTOTrainer._compute_loss                kto and apo_zero_unpaired
    CPOTrainer.get_batch_loss_metrics       sigmoid, hinge, ipo, simpo, alphapo
    ORPOTrainer.get_batch_loss_metrics
    TPOTrainer._compute_loss                sigmoid, hinge, ipo, tpo-l with tpo_alpha 0: no gold answer
Nothing of a loss is written here. Where the trainer wants logits instead of log-probs, the logits of a token are its
log-prob and, for each other word, an equal share of the rest: their softmax is exact and its slope is that of the leaf.

Makes tests/golden/trl_losses.json:
    batches[]   name, and the arrays of objectives.json
    cases[]     trainer, settings (what TRL was given), batch (its index), loss, d_token (C), tolerance, and
                terms: an objective of attune's; relation: "equal", or "differs" where the terms are the settings'
                namesakes and TRL computes otherwise; why
Computed in float64, but for what TRL itself rounds to float32 (ORPO, and the alpha divergence, which knows no float64).

Run: python tests/golden/trl_losses.py        (needs TRL 1.16 with its trainers)
"""

import os
import random
import warnings
from collections import defaultdict
from types import SimpleNamespace

os.environ.update(HF_HUB_OFFLINE="1", TRL_EXPERIMENTAL_SILENCE="1", OMP_NUM_THREADS="1")
import torch  # noqa: E402
from trl import DPOTrainer, KTOTrainer  # noqa: E402
from trl.experimental.cpo import CPOTrainer  # noqa: E402
from trl.experimental.orpo import ORPOTrainer  # noqa: E402
from trl.experimental.tpo import TPOTrainer  # noqa: E402

from tools import HERE, versions, write_json  # noqa: E402

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
VOCAB, PROMPT = 11, 3


class Model(torch.nn.Module):
    """A stand-in for a model: it returns what it was made with."""

    is_gradient_checkpointing = False

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, *args, **kwargs):
        return self.answer(*args, **kwargs)


def make_batch(seed, counts, reach=1.0, mismatched=()):
    """A batch of completions with `counts` tokens: the first half chosen, the second half rejected, pair by pair; then
    `mismatched` more. Log-probs are multiples of 1/64, so that float32 holds them too."""
    rng = random.Random(seed)
    grid = lambda low, high: -rng.randrange(int(low * 64), int(high * 64)) / 64
    total = sum(counts) + sum(mismatched)
    policy = [grid(1 / 64, 3 * reach) for _ in range(total)]
    pairs = len(counts) // 2
    reference = [min(-1 / 64, p + rng.randrange(-48, 49) / 64) for p in policy]
    concentration = [grid(1 / 64, 1) for _ in range(total)]
    owner = [s for s, n in enumerate([*counts, *mismatched]) for _ in range(n)]
    size = len(counts) + len(mismatched)
    sums = lambda x: [sum(v for v, k in zip(x, owner) if k == i) for i in range(size)]
    return dict(
        lp=sums(policy),
        rf=sums(reference),
        count=[*counts, *mismatched],
        token=policy,
        ref_token=reference,
        sequence=owner,
        divergence=[0.0] * size,
        concentration=concentration,
        winner=list(range(pairs)),
        loser=list(range(pairs, 2 * pairs)),
        probability=[1.0] * pairs,
        weight=[1.0] * pairs,
        label=[1.0] * pairs + [-1.0] * pairs + [0.0] * len(mismatched),
        label_weight=[1.0] * len(counts) + [0.0] * len(mismatched),
        rank=[0] * pairs + [1] * pairs + [-1] * len(mismatched),
        group=[*range(pairs), *range(pairs), *range(len(mismatched))],
        group_weight=[1.0] * pairs,
        score=[None] * size,
        mismatched=[0.0] * len(counts) + [1.0] * len(mismatched),
        values={},
    )


def rows(batch, values, keep):
    """Token values [C] as the rows [n, T-1] of the completions whose `mismatched` is `keep`, 0 where there is no
    completion token; differentiable."""
    sequences = [s for s, m in enumerate(batch["mismatched"]) if m == keep]
    lengths = {s: batch["sequence"].count(s) for s in sequences}
    out = []
    for s in sequences:
        own = torch.stack([values[i] for i, owner in enumerate(batch["sequence"]) if owner == s])
        behind = max(lengths.values()) - lengths[s]
        out.append(torch.cat([own.new_zeros(PROMPT - 1), own, own.new_zeros(behind)]))
    return torch.stack(out)


def mask_of(batch, keep):
    """completion_mask [n, T], as TRL's collators make it: 0 on the prompt and on padding."""
    ones = torch.ones(len(batch["sequence"]))
    inner = rows(batch, ones, keep)
    return torch.cat([inner.new_zeros(len(inner), 1), inner], 1).long()


def ids_of(mask):
    """Token ids [n, T] in 1 .. VOCAB-1, any."""
    n, length = mask.shape
    return (torch.arange(n)[:, None] + torch.arange(length)[None]) % (VOCAB - 1) + 1


def bare(trainer, model, **attributes):
    """An object of the trainer's class without a run behind it."""
    own = trainer.__new__(trainer)
    same = lambda x: x
    accelerator = SimpleNamespace(device=torch.device("cpu"), gather=same, gather_for_metrics=same, unwrap_model=same)
    defaults = dict(
        model=model,
        accelerator=accelerator,
        aux_loss_enabled=False,
        precompute_ref_logps=False,
        is_encoder_decoder=False,
        pad_token_id=0,
        padding_value=0,
        label_smoothing=0.0,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
    )
    own.__dict__.update(defaults | attributes)
    return own


def fused(batch, token, concentration):
    """A model with TRL's fused head: log-probs of the labels, by the width of what it is asked for."""

    def answer(input_ids=None, labels=None, **_):
        for keep in (0.0, 1.0):
            mask = mask_of(batch, keep) if keep in batch["mismatched"] else None
            if mask is not None and labels.shape == mask.shape and torch.equal(labels != -100, mask == 1):
                zeros = torch.zeros(len(mask), mask.size(1) - 1)
                return SimpleNamespace(
                    log_probs=rows(batch, token, keep),
                    log_sum_sq_probs=rows(batch, concentration, keep),
                    entropy=zeros,
                    mean_logits=zeros,
                    is_top1=zeros.bool(),
                )
        raise AssertionError("asked for labels that are not the batch's")

    return Model(answer)


def with_logits(batch, token):
    """A model that returns logits [n, T, V] whose softmax at the labels is the given log-probs; at the first position
    of no completion it is even."""

    def answer(input_ids=None, **_):
        mask, logps = mask_of(batch, 0.0), rows(batch, token, 0.0)
        ids = ids_of(mask)
        assert torch.equal(input_ids * (mask == 1), ids * (mask == 1))
        logps = torch.where(mask[:, 1:] == 1, logps, -torch.log(torch.tensor(float(VOCAB), dtype=logps.dtype)))
        rest = torch.log(-torch.expm1(logps)) - torch.log(torch.tensor(VOCAB - 1.0, dtype=logps.dtype))
        logits = rest[..., None].expand(-1, -1, VOCAB).scatter(-1, ids[:, 1:, None], logps[..., None])
        return SimpleNamespace(logits=torch.cat([logits, logits.new_zeros(len(ids), 1, VOCAB)], 1))

    return Model(answer)


def leaves(batch, dtype):
    tensor = lambda key: torch.tensor(batch[key], dtype=dtype)
    return tensor("token").requires_grad_(True), tensor("ref_token"), tensor("concentration")


def run_dpo(batch, settings, dtype):
    token, reference, concentration = leaves(batch, dtype)
    own = bare(
        DPOTrainer,
        fused(batch, token, concentration),
        ref_model=fused(batch, reference, concentration),
        args=SimpleNamespace(gradient_checkpointing_kwargs=None, discopop_tau=settings.get("discopop_tau", 0.05)),
        beta=settings.get("beta", 0.1),
        loss_types=settings["loss_type"],
        loss_weights=settings.get("loss_weights", [1.0] * len(settings["loss_type"])),
        ld_alpha=settings.get("ld_alpha"),
        f_divergence_type=settings.get("f_divergence_type", "reverse_kl"),
        f_alpha_divergence_coef=settings.get("f_alpha_divergence_coef", 0.5),
        label_smoothing=settings.get("label_smoothing", 0.0),
        use_weighting=settings.get("use_weighting", False),
    )
    mask = mask_of(batch, 0.0)
    ids = ids_of(mask)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "completion_mask": mask}
    return own._compute_loss(own.model, inputs, False), token


def run_kto(batch, settings, dtype):
    token, reference, concentration = leaves(batch, dtype)
    own = bare(
        KTOTrainer,
        fused(batch, token, concentration),
        ref_model=fused(batch, reference, concentration),
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
        beta=settings.get("beta", 0.1),
        loss_type=settings["loss_type"],
        calculate_KL=settings["loss_type"] == "kto",
        desirable_weight=settings.get("desirable_weight", 1.0),
        undesirable_weight=settings.get("undesirable_weight", 1.0),
    )
    mask = mask_of(batch, 0.0)
    ids = ids_of(mask)
    label = torch.tensor([x == 1 for x, m in zip(batch["label"], batch["mismatched"]) if not m])
    inputs = dict(input_ids=ids, attention_mask=torch.ones_like(ids), completion_mask=mask, label=label)
    if own.calculate_KL:
        kl_mask = mask_of(batch, 1.0)
        kl_ids = ids_of(kl_mask)
        inputs |= dict(
            KL_input_ids=kl_ids, KL_attention_mask=torch.ones_like(kl_ids), KL_completion_mask=kl_mask
        )
    return own._compute_loss(own.model, inputs, False), token


def run_tpo(batch, settings, dtype):
    token, _, _ = leaves(batch, dtype)
    own = bare(
        TPOTrainer,
        with_logits(batch, token),
        beta=settings.get("beta", 0.1),
        loss_type=settings["loss_type"],
        tpo_alpha=0.0,
        tpo_l_gamma=settings.get("tpo_l_gamma", 0.5),
        label_smoothing=settings.get("label_smoothing", 0.0),
    )
    mask = mask_of(batch, 0.0)
    ids = ids_of(mask)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "completion_mask": mask}
    return own._compute_loss(own.model, inputs, False), token


def run_pairs_of_logits(trainer):
    def run(batch, settings, dtype):
        token, _, _ = leaves(batch, dtype)
        own = bare(
            trainer,
            with_logits(batch, token),
            beta=settings.get("beta", 0.1),
            loss_type=settings.get("loss_type"),
            cpo_alpha=settings.get("cpo_alpha", 1.0),
            simpo_gamma=settings.get("simpo_gamma", 0.5),
            alpha=settings.get("alpha", 0.0),
            label_smoothing=settings.get("label_smoothing", 0.0),
        )
        mask = mask_of(batch, 0.0)
        ids = ids_of(mask)
        pairs = len(ids) // 2
        inputs = {}
        for side, part in (("chosen", slice(0, pairs)), ("rejected", slice(pairs, 2 * pairs))):
            inputs[f"{side}_input_ids"] = ids[part]
            # ORPO's likelihood covers whatever attention sees; here that is the completion.
            inputs[f"{side}_attention_mask"] = mask[part]
            inputs[f"{side}_labels"] = ids[part].masked_fill(mask[part] == 0, -100)
        return own.get_batch_loss_metrics(own.model, inputs)[0], token

    return run


RUN = {
    "DPOTrainer": run_dpo,
    "KTOTrainer": run_kto,
    "CPOTrainer": run_pairs_of_logits(CPOTrainer),
    "ORPOTrainer": run_pairs_of_logits(ORPOTrainer),
    "TPOTrainer": run_tpo,
}


def cases():
    """(trainer, settings, batch, terms, more): what TRL is given, and what says the same in attune."""
    out = []

    def add(trainer, settings, terms, batch="pairs", **more):
        out.append(dict(trainer=trainer, settings=settings, batch=batch, terms=terms, **more))

    def dpo(loss_type, kind, options, batch="pairs", why="", relation="equal", weight=1.0, more=(), **settings):
        add(
            "DPOTrainer",
            dict(loss_type=[loss_type], **settings),
            [dict(kind=kind, weight=weight, options=options), *more],
            batch,
            relation=relation,
            why=why,
        )

    dpo("sigmoid", "dpo", dict(beta=0.1), beta=0.1)
    dpo("sigmoid", "dpo", dict(beta=1.5), beta=1.5, batch="other")
    dpo("sigmoid", "dpo", dict(beta=0.5), beta=0.5, label_smoothing=0.2, why="label_smoothing is read and not used")
    dpo(
        "sigmoid",
        "dpo",
        dict(beta=0.5, label_smoothing=0.2),
        beta=0.5,
        label_smoothing=0.2,
        relation="differs",
        why="TRL ignores label_smoothing with sigmoid since 0.29: conservative DPO is gone there",
    )
    for beta in (0.1, 0.7):
        dpo("hinge", "hinge", dict(beta=beta), beta=beta)
        dpo("ipo", "ipo", dict(tau=beta, average="mean"), beta=beta)
        dpo("sigmoid_norm", "dpo_norm", dict(beta=beta), beta=beta)
        dpo("nca_pair", "nca", dict(beta=beta), beta=beta)
        dpo("bco_pair", "bco", dict(beta=beta), beta=beta)
        dpo("sppo_hard", "sppo", dict(beta=beta, targets="hard"), beta=beta, weight=2.0, why="the paper's factor 1/2 is left out")
        dpo("apo_zero", "apo_zero", dict(beta=beta), beta=beta)
        dpo("apo_down", "apo_down", dict(beta=beta), beta=beta)
        dpo("aot", "aot", dict(beta=beta), beta=beta)
        dpo("aot_unpaired", "aot_unpaired", dict(beta=beta), beta=beta)
        for e in (0.001, 0.1):
            dpo("exo_pair", "exo", dict(beta=beta, label_smoothing=e), beta=beta, label_smoothing=e)
            dpo("robust", "robust", dict(beta=beta, label_smoothing=e), beta=beta, label_smoothing=e)
        dpo("discopop", "discopop", dict(beta=beta, tau=0.05), beta=beta, discopop_tau=0.05)
        dpo("discopop", "discopop", dict(beta=beta, tau=0.5), beta=beta, discopop_tau=0.5)
        for trl, own in (("reverse_kl", "reverse_kl"), ("forward_kl", "forward_kl"), ("js_divergence", "js")):
            options = dict(beta=beta, divergence=own)
            dpo("sigmoid", "f_dpo", options, beta=beta, f_divergence_type=trl, batch="near")
        for alpha in (0.3, 0.5, 0.8):
            options = dict(beta=beta, divergence="alpha", alpha=1 - alpha)
            dpo(
                "sigmoid",
                "f_dpo",
                options,
                beta=beta,
                f_divergence_type="alpha_divergence",
                f_alpha_divergence_coef=alpha,
                batch="near",
                why="TRL's coefficient is 1 - alpha of the paper",
            )
        for alpha in (0.0, 0.4, 1.0):
            dpo("sigmoid", "ld_dpo", dict(beta=beta, alpha=alpha), beta=beta, ld_alpha=alpha)
        dpo("sigmoid", "wpo", dict(beta=beta), beta=beta, use_weighting=True, batch="sure")
    no_such = "attune has no label_smoothing here; TRL's smooths ranks that are matched, not labels"
    for kind in ("aot", "aot_unpaired"):
        dpo(kind, kind, dict(beta=0.5), beta=0.5, label_smoothing=0.2, relation="differs", why=no_such)
    dpo(
        "sigmoid",
        "wpo",
        dict(beta=0.1),
        beta=0.1,
        use_weighting=True,
        batch="peaked",
        relation="differs",
        why="TRL no longer limits the weight of a pair to 1 as the paper's equation 2 does",
    )
    one_length = "answers of one length, so that the mean over tokens is the mean over answers"
    all_tokens = "TRL takes the mean over all tokens of the batch: long answers weigh more"
    for batch, relation, why in (
        ("even", "equal", one_length),
        ("pairs", "differs", all_tokens),
        ("by length", "equal", "comparisons that weigh as many tokens as their winner has"),
    ):
        terms = [dict(kind="nll", weight=1.0, options={})]
        add("DPOTrainer", dict(loss_type=["sft"]), terms, batch, relation=relation, why=why)
    add(
        "DPOTrainer",
        dict(loss_type=["sigmoid", "bco_pair", "sft"], loss_weights=[0.8, 0.2, 1.0], beta=0.1),
        [
            dict(kind="dpo", weight=0.8, options=dict(beta=0.1)),
            dict(kind="bco", weight=0.2, options=dict(beta=0.1)),
            dict(kind="nll", weight=1.0, options={}),
        ],
        "even",
        relation="equal",
        why="",
    )

    for beta in (0.1, 0.6):
        for wd, wu in ((1.0, 1.0), (1.25, 0.75)):
            settings = dict(beta=beta, desirable_weight=wd, undesirable_weight=wu)
            for loss_type, kind in (("kto", "kto"), ("apo_zero_unpaired", "apo_zero_unpaired")):
                options = dict(settings)
                for batch in ("strangers", "more strangers"):
                    add(
                        "KTOTrainer",
                        dict(loss_type=loss_type, **settings),
                        [dict(kind=kind, weight=1.0, options=options)],
                        batch,
                        relation="equal",
                        why="",
                    )

    def cpo(settings, terms, batch="even", relation="equal", why=""):
        add("CPOTrainer", settings, [dict(k) for k in terms], batch, relation=relation, why=why)

    for beta in (0.1, 2.0):
        one = lambda kind, **options: [dict(kind=kind, weight=1.0, options=dict(beta=beta, **options))]
        cpo(dict(loss_type="sigmoid", beta=beta, cpo_alpha=1.0), one("cpo", alpha=1.0))
        cpo(dict(loss_type="sigmoid", beta=beta, cpo_alpha=0.0), one("cpo", alpha=0.0), "pairs")
        cpo(dict(loss_type="sigmoid", beta=beta, cpo_alpha=0.0), one("dpo_free"), "pairs")
        cpo(dict(loss_type="simpo", beta=beta, simpo_gamma=0.5, cpo_alpha=0.0), one("simpo", gamma_ratio=0.5 / beta), "pairs")
        for alpha in (0.25, -0.5):
            settings = dict(loss_type="simpo", beta=beta, simpo_gamma=0.5, cpo_alpha=0.0, alpha=alpha)
            cpo(settings, one("alphapo", gamma_ratio=0.5 / beta, alpha=alpha), "pairs")
        cpo(dict(loss_type="hinge", beta=beta, cpo_alpha=0.0), [dict(kind="slic", weight=beta, options=dict(delta=1 / beta, sft_weight=0.0))], "pairs")
    cpo(
        dict(loss_type="sigmoid", beta=0.1, cpo_alpha=1.0),
        [dict(kind="cpo", weight=1.0, options=dict(beta=0.1, alpha=1.0))],
        "pairs",
        "differs",
        "TRL takes its likelihood term's mean over all tokens: long answers weigh more",
    )
    cpo(
        dict(loss_type="simpo", beta=2.0, simpo_gamma=0.5),
        [dict(kind="simpo", weight=1.0, options=dict(beta=2.0, gamma_ratio=0.25))],
        "even",
        "differs",
        "TRL's default cpo_alpha is 1.0: without setting it to 0, simpo has a likelihood term",
    )
    for lam in (0.1, 1.0):
        options = [dict(kind="orpo", weight=1.0, options={"lambda": lam})]
        add("ORPOTrainer", dict(beta=lam), options, "even", relation="equal", why="")
    add(
        "ORPOTrainer",
        dict(beta=0.1),
        [dict(kind="orpo", weight=1.0, options={"lambda": 0.1})],
        relation="differs",
        why="TRL takes its likelihood term's mean over all tokens, the prompt's too",
    )
    for kind, options, settings in (
        ("dpo_free", dict(beta=0.3), dict(loss_type="sigmoid", beta=0.3)),
        ("slic", dict(delta=1.0, sft_weight=0.0), dict(loss_type="hinge", beta=1.0)),
        ("simpo", dict(beta=0.3, gamma_ratio=0.5 / 0.3), dict(loss_type="tpo-l", beta=0.3, tpo_l_gamma=0.5)),
    ):
        add("TPOTrainer", settings, [dict(kind=kind, weight=1.0, options=options)], relation="equal", why="")
    return out


def main():
    batches = {
        "pairs": make_batch(1, [5, 2, 7, 3, 11, 3, 6, 5, 4, 2]),
        "other": make_batch(2, [2, 3, 5, 7, 2, 13, 3, 2, 2, 7, 5, 3, 11, 2], 2.0),
        "near": make_batch(3, [2, 3, 1, 2, 3, 1, 2, 3], 0.5),
        "even": make_batch(4, [5, 5, 5, 5, 5, 3, 2, 7, 11, 5]),
        "sure": make_batch(5, [5, 2, 7, 3, 11, 3]),
        "peaked": make_batch(5, [5, 2, 7, 3, 11, 3]),
        "strangers": make_batch(6, [5, 2, 7, 3, 3, 11], 1.0, [4, 3, 6]),
        "more strangers": make_batch(9, [3, 2, 5, 7, 3, 2], 1.0, [3, 2, 5]),
    }
    batches["by length"] = dict(batches["pairs"], weight=[float(n) for n in batches["pairs"]["count"][:5]])
    # log sum_v pi^2 of a sure model is near 0, above the log-prob of most words: weights below 1. Of a model that is
    # far from sure of anything but said the likeliest words, they are above 1.
    batches["sure"]["concentration"] = [-(i % 5) / 64 for i in range(len(batches["sure"]["sequence"]))]
    batches["peaked"]["concentration"] = [-4.0 + (i % 5) / 64 for i in range(len(batches["peaked"]["sequence"]))]

    done = []
    for case in cases():
        single = case["trainer"] == "ORPOTrainer" or case["settings"].get("f_divergence_type") == "alpha_divergence"
        dtype = torch.float32 if single else torch.float64
        loss, token = RUN[case["trainer"]](batches[case["batch"]], case["settings"], dtype)
        loss.backward()
        done.append(
            case
            | dict(
                batch=list(batches).index(case["batch"]),
                tolerance=1e-5 if single else 1e-6,
                loss=loss.item(),
                d_token=token.grad.double().tolist(),
            )
        )
    write_json(
        HERE / "trl_losses.json",
        {
            "versions": versions("trl", "torch", "transformers"),
            "script": "trl_losses.py",
            "batches": [dict(name=name, **batch) for name, batch in batches.items()],
            "cases": done,
        },
    )
    print(len(done), "cases of", len({c["trainer"] for c in done}), "trainers")


if __name__ == "__main__":
    main()
