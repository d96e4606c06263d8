"""The rows of the comparison, from a folder of test data. A group is one prompt with answers and the pairs of them:
{"prompt", "answers": [...], "pairs": [(winner, loser)]}; prompt and answers are texts, or turns of a conversation."""

import gzip
import json
import random
import sys

EQUAL_TOKENS = 256


def read(data, name):
    source = data / "text" / name
    if not source.exists():
        sys.exit(f"{source}: no such file. Set ATTUNE_TEST_DATA to the folder of test data, or pass --pairs FILE.jsonl")
    return gzip.open(source).read().decode()


def turns(question, answers, pairs):
    return {
        "prompt": [{"role": "user", "content": question}],
        "answers": [[{"role": "assistant", "content": a}] for a in answers],
        "pairs": pairs,
    }


def pandalm(data):
    """PandaLM's human votes (annotator1..3: 1 or 2 is the better answer, 0 a tie), decided by the majority."""
    groups = []
    for item in json.loads(read(data, "pandalm/pairs.json.gz")):
        votes = [item[f"annotator{i}"] for i in (1, 2, 3)]
        lead = votes.count(1) - votes.count(2)
        answers = [x if isinstance(x, str) else json.dumps(x) for x in (item["response1"], item["response2"])]
        if lead == 0 or not all(x.strip() for x in answers):
            continue
        question = item["instruction"] + (f"\n\n{item['input']}" if item["input"] else "")
        groups.append(turns(question, answers if lead > 0 else answers[::-1], [(0, 1)]))
    return groups


def gsm8k(data):
    """Questions of GSM8K with four models' solutions of which two are right: four pairs a prompt."""
    groups = []
    for line in read(data, "gsm8k/model_solutions.jsonl.gz").splitlines():
        item = json.loads(line)
        solutions = [x for x in item.values() if isinstance(x, dict)]
        good = [x["solution"] for x in solutions if x["is_correct"]]
        bad = [x["solution"] for x in solutions if not x["is_correct"]]
        if len(set(good)) == 2 and len(set(bad)) == 2 and all(x.strip() for x in good + bad):
            groups.append(turns(item["question"], good + bad, [(w, l) for w in (0, 1) for l in (2, 3)]))
    return groups


def equal(data, tokenizer):
    """Plain rows of exactly 256 tokens of prompt and of either answer, the end token counted, cut from a stream of
    LLaMA-Factory's conversations. A piece begins at a word and is kept only if it tokenises to the same ids alone and
    behind its prompt, so that nobody counts it otherwise."""
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = []
    for item in json.loads(read(data, "llama-factory/dpo_en_demo.json.gz")):
        said = [turn["value"] for turn in item["conversations"]] + [item["chosen"]["value"]]
        ids += encode(" ".join(" ".join(said).split()) + " ")
    starts = tokenizer.convert_ids_to_tokens(ids)
    place = 0

    def piece(size, before):
        nonlocal place
        while place + size <= len(ids):
            if starts[place].startswith("Ġ") and starts[place] != "Ġ":
                text, wanted = tokenizer.decode(ids[place : place + size]), ids[place : place + size]
                if encode(text) == wanted and encode(before + text) == encode(before) + wanted:
                    place += size
                    return text
            place += 1
        return None

    groups = []
    while True:
        prompt = piece(EQUAL_TOKENS, "")
        answers = [piece(EQUAL_TOKENS - 1, prompt) for _ in range(2)] if prompt else [None]
        if None in answers:
            return groups
        groups.append({"prompt": prompt, "answers": answers, "pairs": [(0, 1)]})


def from_file(path):
    """Pairs of a JSONL file with prompt, chosen and rejected."""
    rows = [json.loads(line) for line in path.open()]
    return [{"prompt": r["prompt"], "answers": [r["chosen"], r["rejected"]], "pairs": [(0, 1)]} for r in rows]


def sizes_of(group, tokenizer):
    """Tokens of the prompt and of each answer, as TRL and attune make them."""
    ids = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    if isinstance(group["prompt"], str):
        answers = [len(ids(group["prompt"] + a)) + 1 for a in group["answers"]]  # the end token
        prompt = len(ids(group["prompt"]))
    else:
        text = lambda rows, **more: tokenizer.apply_chat_template(rows, tokenize=False, **more)
        prompt = len(ids(text(group["prompt"], add_generation_prompt=True)))
        answers = [len(ids(text(group["prompt"] + a))) for a in group["answers"]]
    return prompt, [n - prompt for n in answers]


def select(groups, tokenizer, args):
    """The run's groups with their sizes, shuffled; with --grouped, batches of like length in random order."""
    random.Random(0).shuffle(groups)
    for group in groups:
        group["prompt_tokens"], group["answer_tokens"] = sizes_of(group, tokenizer)
    longest = lambda g: g["prompt_tokens"] + max(g["answer_tokens"])
    fitting = [g for g in groups if longest(g) <= args.max_tokens]
    each = len(groups[0]["pairs"])
    if args.batch % each:
        sys.exit(f"each prompt of these rows has {each} pairs: --batch must be a multiple of it, got {args.batch}")
    per_step = args.batch // each
    wanted = args.steps * per_step
    if len(fitting) < wanted:
        sys.exit(f"{args.steps} steps of {args.batch} need {wanted} prompts, the data has {len(fitting)} that fit")
    taken = fitting[:wanted]
    if args.grouped:
        taken.sort(key=longest)
        batches = [taken[i : i + per_step] for i in range(0, wanted, per_step)]
        random.Random(1).shuffle(batches)
        taken = [g for batch in batches for g in batch]
    mean = sum(map(longest, taken)) / wanted
    print(
        f"{wanted} of {len(groups)} prompts, {wanted * each} pairs ({len(groups) - len(fitting)} prompts too long); "
        f"longest answer with its prompt {mean:.0f} tokens on average"
    )
    return taken


def pair_rows(groups):
    """Each pair as a row of its own with its prompt, and its share of what its group needs: the prompt once."""
    rows, sizes = [], []
    for group in groups:
        scored = sum(group["answer_tokens"])
        for winner, loser in group["pairs"]:
            rows.append(
                {
                    "prompt": group["prompt"],
                    "chosen": group["answers"][winner],
                    "rejected": group["answers"][loser],
                }
            )
            sizes.append(
                {
                    "tokens": (group["prompt_tokens"] + scored) / len(group["pairs"]),
                    "scored": scored / len(group["pairs"]),
                    "longest": group["prompt_tokens"] + max(group["answer_tokens"][i] for i in (winner, loser)),
                }
            )
    return rows, sizes


def group_rows(groups):
    """Each group as one row of attune; None if they are plain pairs, which both sides read from one file."""
    if all(len(g["answers"]) == 2 for g in groups):
        return None
    return [
        {
            "prompt": g["prompt"],
            "completions": g["answers"],
            "scores": [float(any(w == i for w, _ in g["pairs"])) for i in range(len(g["answers"]))],
        }
        for g in groups
    ]


def sorted_order(sizes, batch):
    """The rows in batches of like length, in random order. The first batch stays as it is: it is not timed, so that all
    contestants are timed on the same rows."""
    order = sorted(range(batch, len(sizes)), key=lambda i: sizes[i]["longest"])
    batches = [order[i : i + batch] for i in range(0, len(order), batch)]
    random.Random(1).shuffle(batches)
    return [i for part in [range(min(batch, len(sizes)))] + batches for i in part]
