"""What the runs of a case say: figures of each run, and tables in Markdown of all of them."""

import json
import statistics

from cases import LOGP_TOLERANCE, LOSS_TOLERANCE, MUST_AGREE, TITLES, flops, is_ours, kinds_of, passes_of


def figures_of(name, run, settings, sizes, shape, products):
    """Speeds of one run. `products`: GFLOP/s of matrix products in the minute of the run, or None."""
    figures = {"products": products}
    task = settings["task"]
    if task == "generate":
        return figures | {
            "tokens_per_s": run["decode_tokens"] / run["decode_seconds"],
            "whole_per_s": run["tokens"] / run["wall"],
        }
    useful = lambda key, rows: sum(sizes[i][key] for i in rows)
    order = run["order"]
    rows = order if task == "score" else order[settings["batch"] :]  # the first step is not timed
    tokens, scored = useful("tokens", rows), useful("scored", rows)
    computed = run["computed_tokens"] / useful("tokens", order)
    # What is computed once for prompts that begin alike is not work that was done.
    worked = tokens * min(1.0, computed)
    if task == "score":
        seconds = run["pass_seconds"]
        needed = flops(shape, worked, scored, passes_of(task, reference=False))
        figures |= {"pairs_per_s": len(rows) / seconds, "whole_per_s": len(rows) / run["wall"]}
    else:
        steps, reference = sum(run["seconds"][1:]), run["reference_seconds"]
        # A pass before training is charged in the share of the tokens that are timed.
        seconds = steps + run["reference_pass"] * tokens / useful("tokens", order)
        needed = flops(shape, worked, scored, passes_of(task, reference=True))
        figures["pairs_per_s"] = len(rows) / seconds
        figures["pairs_per_s_in_steps"] = len(rows) / steps
        figures["pairs_per_s_no_reference"] = None
        figures["share_no_reference"] = None
        figures["share_as_run"] = None
        if reference is not None:
            alone = steps - sum(reference[1:])
            figures["pairs_per_s_no_reference"] = len(rows) / alone
            figures["share_no_reference"] = share_of(
                flops(shape, worked, scored, passes_of(task, reference=False)), alone, products
            )
            if products:
                forward, backward = (products[kind] for kind in kinds_of(name, products))
                one = flops(shape, worked, scored, 1) / 1e9
                least = one / forward + (passes_of(task, reference=False) - 1) * one / backward
                figures["share_as_run"] = least / alone
    return figures | {
        "useful_tokens_per_s": tokens / seconds,
        "needed_gflop": needed / 1e9,
        "share": share_of(needed, seconds, products),
        "computed_over_useful": computed,
    }


def share_of(needed, seconds, products):
    return {k: needed / 1e9 / seconds / rate for k, rate in products.items()} if products else None


def spread(values, digits=2, percent=False):
    """Median (lowest - highest), one figure alone, or a dash where a run has no such figure."""
    if any(v is None for v in values):
        return "-"
    values = [100 * v for v in values] if percent else values
    low, high = min(values), max(values)
    if len(values) == 1:
        return f"{low:.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} - {high:.{digits}f})"


def table(head, rows):
    return ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(r) + " |" for r in rows]


def columns_of(task):
    """(title, value of a run, digits, in percent) of the first table."""
    share = lambda key, kind: lambda r: r[key][kind] if r[key] else None
    get = lambda key: lambda r: r[key]
    peak = ("peak MiB", get("peak_mib"), 0, False)
    if task == "generate":
        return [
            ("tokens/s after the first", get("tokens_per_s"), 1, False),
            ("tokens/s from process start to end", get("whole_per_s"), 1, False),
            ("first token, s", get("first_token"), 1, False),
            peak,
        ]
    shares = [
        ("% of f32 products", share("share", "f32"), 0, True),
        ("% of bf16 products", share("share", "bf16"), 0, True),
    ]
    tail = [
        ("useful tokens/s", get("useful_tokens_per_s"), 0, False),
        *shares,
        peak,
        ("start and end, s", get("start_and_end"), 1, False),
        ("computed / useful tokens", get("computed_over_useful"), 2, False),
    ]
    if task == "score":
        return [
            ("pairs/s", get("pairs_per_s"), 3, False),
            ("pairs/s from process start to end", get("whole_per_s"), 3, False),
        ] + tail
    return [
        ("pairs/s in the steps", get("pairs_per_s_in_steps"), 3, False),
        ("pairs/s without the reference", get("pairs_per_s_no_reference"), 3, False),
        ("pairs/s with its pass of one epoch", get("pairs_per_s"), 3, False),
        ("% of f32 products without the reference", share("share_no_reference", "f32"), 0, True),
        ("% of the products that it runs", get("share_as_run"), 0, True),
        *tail[:4],
        ("to first step, s", get("before_first_step"), 1, False),
        *tail[4:],
    ]


def ratios_of(task):
    """(title, key, ours over theirs) of the second table."""
    memory = ("times its memory", "peak_mib")
    if task == "generate":
        return [("times its tokens/s", "tokens_per_s"), ("times, whole process", "whole_per_s"), memory]
    if task == "score":
        return [("times its pairs/s", "pairs_per_s"), ("times, whole process", "whole_per_s"), memory]
    return [
        ("times its pairs/s in the steps", "pairs_per_s_in_steps"),
        ("without the reference", "pairs_per_s_no_reference"),
        ("with its pass of one epoch", "pairs_per_s"),
        memory,
        ("times its time to the first step", "before_first_step"),
    ]


def difference(a, b, task):
    """(largest difference of losses, of gradient norms relative) or (of sums of log-probs, None); None where the order
    of the rows is another. A NaN stays."""
    if task == "generate":
        return sum(x != y for x, y in zip(a["texts"], b["texts"])), None
    if task == "score":
        ours, theirs = ({i: row for i, row in zip(r["order"], r["logps"])} for r in (a, b))
        return worst(abs(x - y) for i in ours for x, y in zip(ours[i], theirs[i])), None
    if a["order"] != b["order"]:
        return None, None
    return (
        worst(abs(x - y) for x, y in zip(a["loss"], b["loss"])),
        worst(abs(x / y - 1) if y else float("nan") for x, y in zip(a["grad_norm"], b["grad_norm"])),
    )


def worst(values):
    """The largest; NaN if one is, which max() may hide."""
    values = list(values)
    return float("nan") if any(v != v for v in values) else max(values)


def agreement(rounds, task):
    """[(name, other, largest difference, whether it is small enough)] of those who must agree and ran."""
    tolerance = LOGP_TOLERANCE if task == "score" else LOSS_TOLERANCE
    found = []
    for name, other in MUST_AGREE:
        if task != "generate" and name in rounds[0] and other in rounds[0]:
            apart = worst(difference(r[name], r[other], task)[0] for r in rounds)
            found.append((name, other, apart, apart <= tolerance))
    return found


def report(case, rounds, settings, machine):
    """(lines of Markdown, ratios for result.json, whether all who must agree do)."""
    task, names = settings["task"], list(rounds[0])
    steps = f"{settings['steps']} steps of {settings['batch']} pairs"
    size = {
        "generate": f"{settings['batch']} prompts, {settings.get('new_tokens')} new tokens each",
        "score": f"{settings['steps'] * settings['batch']} pairs",
    }.get(task, steps)
    lines = [
        f"## {case}: {TITLES[case]}",
        "",
        f"{machine['cpu']}, {machine['cores']} cores; {len(rounds)} rounds of {size}; median (lowest - highest)",
    ]
    columns = columns_of(task)
    lines += table(
        ["run"] + [title for title, *_ in columns],
        [[n] + [spread([get(r[n]) for r in rounds], d, percent) for _, get, d, percent in columns] for n in names],
    )
    rates = [r[n]["products"] for r in rounds for n in names if r[n]["products"]]
    if rates and task != "generate":
        lines += [
            "",
            "matrix products measured before each run, GFLOP/s: "
            + ", ".join(f"{k} {spread([r[k] for r in rates], 0)}" for k in ("f32", "bf16")),
        ]
    ratios = {}
    what = {"generate": "other texts", "score": "largest difference of sums, nats"}.get(task, "largest loss difference")
    for ours in filter(is_ours, names):
        rows = []
        for n in (n for n in names if not is_ours(n)):
            row, ratios[f"{ours} / {n}"] = [n], {}
            for _, key in ratios_of(task):
                pairs = [(r[ours][key], r[n][key]) for r in rounds]
                values = [None if a is None or b is None else a / b for a, b in pairs]
                ratios[f"{ours} / {n}"][key] = values
                row.append(spread(values))
            apart, norms = zip(*(difference(r[ours], r[n], task) for r in rounds))
            if apart[0] is None:
                row.append("other order")
            else:
                row.append(str(max(apart)) if task == "generate" else f"{worst(apart):.1e}")
            if task in ("lora", "full"):
                row.append("-" if norms[0] is None else f"{worst(norms):.1e} relative")
            rows.append(row)
        head = [f"{ours} against"] + [title for title, _ in ratios_of(task)] + [what]
        lines += table(head + ["of gradient norms"] * (task in ("lora", "full")), rows) if rows else []
    checks = agreement(rounds, task)
    lines += [""] * bool(checks) + [
        f"- {a} and {b} {'agree' if good else 'DO NOT AGREE'}: they differ by {apart:.1e}"
        for a, b, apart, good in checks
    ]
    return lines, ratios, all(good for *_, good in checks)


def line_of(name, run, task):
    """A run in a line, for who waits."""
    if task == "generate":
        return f"{name}: {run['tokens_per_s']:.1f} tokens/s, {run['peak_mib']:.0f} MiB"
    text = f"{name}: {run['pairs_per_s']:.3f} pairs/s, {run['peak_mib']:.0f} MiB"
    return text + (f", loss {run['loss'][0]:.6f} .. {run['loss'][-1]:.6f}" if task != "score" else "")


def write_result(path, **parts):
    path.write_text(json.dumps(parts, indent=1))
