#!/usr/bin/env python3
"""Checks pairs.jsonl: fields, counts, lengths, near-duplicates, characters. Prints what it measured.

Usage: python3 examples/demo/check.py [FILE]

Exit status 0 if every rule holds, 1 if one is broken; each broken rule is named with its line.
Standard library alone. The bounds below describe the demo; change them for a file of your own.
"""

import collections
import json
import pathlib
import re
import statistics
import sys
import unicodedata

ROWS = 320
ROLE = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
WORDS = {"prompt": (6, 25), "chosen": (18, 45), "rejected": (18, 75)}
LONG_REJECTED = 35  # a rejected answer that outgrows the chosen one rambles for at least this long
RATIO = (1.6, 2.0)  # mean words of rejected over mean words of chosen
NOT_LONGER = (0.12, 0.18)  # share of rows whose rejected answer is no longer than the chosen one
GRAM = 5
MAX_JACCARD = {"prompt": 0.30, "chosen": 0.05, "rejected": 0.05}  # of word 5-grams, to any text
MAX_GRAM_ROWS = 3  # answers of one field that may share a word 5-gram; more smells of a template
PUNCTUATION = set(" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def words(text):
    return text.split()


def grams(text):
    flat = re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.lower())
    return {tuple(flat[i : i + GRAM]) for i in range(len(flat) - GRAM + 1)}


def read_row(line, say):
    """The three texts of a row by field, or None after saying what is wrong with its shape."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        say(f"not JSON: {error}")
        return None
    if not isinstance(row, dict) or list(row) != list(ROLE):
        say(f"expected an object with the fields {', '.join(ROLE)} in this order")
        return None
    texts = {}
    for field, role in ROLE.items():
        turns = row[field]
        if not (isinstance(turns, list) and len(turns) == 1 and isinstance(turns[0], dict)):
            say(f"{field}: expected a list of one message")
            return None
        turn = turns[0]
        if set(turn) != {"role", "content"} or turn["role"] != role:
            say(f"{field}: expected role {role!r} and content, and nothing else")
            return None
        if not isinstance(turn["content"], str):
            say(f"{field}: content must be a text")
            return None
        texts[field] = turn["content"]
    return texts


def check_text(field, text, say):
    low, high = WORDS[field]
    count = len(words(text))
    if not low <= count <= high:
        say(f"{field}: {count} words, expected {low} to {high}")
    if text != " ".join(text.split()):
        say(f"{field}: stray white space")
    if text[-1:] not in ".?!":
        say(f"{field}: ends with {text[-1:]!r}, expected a full stop or a question mark")
    for char in text:
        letter = unicodedata.category(char)[0] == "L"
        digit = char in "0123456789"
        if not (letter or digit or char in PUNCTUATION):
            say(f"{field}: {unicodedata.name(char, repr(char))} is not plain punctuation")


def check_row(texts, say):
    for field, text in texts.items():
        check_text(field, text, say)
    chosen, rejected = len(words(texts["chosen"])), len(words(texts["rejected"]))
    if chosen < rejected < LONG_REJECTED:
        say(f"rejected: {rejected} words against {chosen}; not longer, or {LONG_REJECTED} and more")


def check_repeats(rows, say):
    """Reports equal prompts, near-duplicate texts and overused phrases.

    Returns the largest Jaccard of each field's texts with any other text of the file.
    """
    first = {}
    for number, texts in rows:
        key = " ".join(re.findall(r"\w+", texts["prompt"].lower()))
        if key in first:
            say(number, f"prompt repeats line {first[key]}")
        first.setdefault(key, number)

    all_texts = [(n, f, grams(t)) for n, texts in rows for f, t in texts.items()]
    holders = collections.defaultdict(list)
    for index, (_, _, own) in enumerate(all_texts):
        for gram in own:
            holders[gram].append(index)

    shared = collections.Counter()
    for gram, indices in holders.items():
        for field in ("chosen", "rejected"):  # questions share their openings by nature
            users = [all_texts[i][0] for i in indices if all_texts[i][1] == field]
            if len(users) > MAX_GRAM_ROWS:
                say(users[-1], f"{field}: {' '.join(gram)!r} also stands in lines {users[:-1]}")
        for j, b in enumerate(indices):
            for a in indices[:j]:
                shared[a, b] += 1

    largest = dict.fromkeys(ROLE, 0.0)
    for (a, b), both in shared.items():
        jaccard = both / (len(all_texts[a][2]) + len(all_texts[b][2]) - both)
        (line_a, field_a, _), (line_b, field_b, _) = all_texts[a], all_texts[b]
        for field in (field_a, field_b):
            largest[field] = max(largest[field], jaccard)
        if jaccard > max(MAX_JACCARD[field_a], MAX_JACCARD[field_b]):
            say(line_b, f"{field_b} is close to {field_a} of line {line_a}: Jaccard {jaccard:.2f}")
    return largest


def main(path):
    faults = []

    def say(line, what):
        faults.append(f"{path.name}:{line}: {what}")

    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        texts = read_row(line, lambda what, n=number: say(n, what))
        if texts is not None:
            check_row(texts, lambda what, n=number: say(n, what))
            rows.append((number, texts))
    if not rows:
        print("\n".join(faults), f"{path.name}: no usable row", sep="\n")
        return 1
    if len(rows) != ROWS:
        faults.append(f"{path.name}: {len(rows)} usable rows, expected {ROWS}")

    print(f"{path.name}: {len(rows)} rows")
    counts = {field: [len(words(texts[field])) for _, texts in rows] for field in ROLE}
    for field, got in counts.items():
        mean, median = statistics.mean(got), statistics.median(got)
        print(f"  {field:9} words: {min(got)} to {max(got)}, mean {mean:.1f}, median {median:g}")

    ratio = statistics.mean(counts["rejected"]) / statistics.mean(counts["chosen"])
    short = sum(r <= c for c, r in zip(counts["chosen"], counts["rejected"]))
    share = short / len(rows)
    largest = check_repeats(rows, say)
    print(f"  rejected over chosen, mean words: {ratio:.2f}")
    print(f"  rejected not longer: {short} rows, {share:.1%}")
    shown = ", ".join(f"{field} {value:.3f}" for field, value in largest.items())
    print(f"  largest Jaccard of word {GRAM}-grams: {shown}")
    if not RATIO[0] <= ratio <= RATIO[1]:
        faults.append(f"{path.name}: ratio {ratio:.2f}, expected {RATIO[0]} to {RATIO[1]}")
    if not NOT_LONGER[0] <= share <= NOT_LONGER[1]:
        low, high = NOT_LONGER
        faults.append(f"{path.name}: {share:.1%} not longer, expected {low:.0%} to {high:.0%}")

    for fault in faults:
        print(fault)
    print("ok" if not faults else f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "pairs.jsonl"))
