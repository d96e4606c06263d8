"""Ids of tiny tokenizers on hard texts, by Hugging Face's `tokenizers`.

Trains three tiny tokenizers on the text below and writes them and what they give:
    text_byte_level.json   byte-level BPE as SmolLM2's: digits alone, GPT-2's split, no normaliser
    text_qwen_like.json    byte-level BPE as Qwen2's: NFC, a Split by regular expression, template with BOS and EOS
    text_sentencepiece.json  BPE as Llama-2's: Prepend and Replace of U+2581, byte fallback, unknowns fused
    text_parts.json        components[]: small tokenizers that differ in one component each (tokenizer: the JSON but for its
                           model; flags: what differs in the model, which stands once beside), and texts with their ids
    text_tokenizers.json   cases[]: tokenizer file, and per text its ids without and with special tokens, with special
                           tokens kept as plain text, and the decoded text (null where the text comes back itself)
    text_real.json         the same of real tokenizers, by their file in the folder of test data; "smollm2" is SmolLM2's GGUF
                           file as transformers reads it

Run: python tests/golden/text_tokenizers.py [FOLDER_OF_TEST_DATA SMOLLM2_GGUF]
"""

import gzip
import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import __version__ as version

HERE = Path(__file__).parent
CORPUS = """
The quick brown fox jumps over the lazy dog. The dog, who was not amused, said: "I'm not lazy; I've simply been
resting since 1999!" They're friends now, and we'll see what she'd do. It wasn't the first time that the fox had
jumped over the dog, nor would it be the last time. In the evening the two of them sat by the river and talked about
preferences: the fox preferred jumping, the dog preferred resting, and the river did not mind. Größe, façade, naïve,
déjà vu, El Niño, smørrebrød. Привет, мир! Это предложение. 你好，世界。今天天气很好。 こんにちは世界。
def resting(dog, hours=8):\n    for hour in range(hours):\n        dog.rest(hour)\n    return dog\n
""".strip().split("\n")
TEXTS = [
    "",
    " ",
    "  ",
    "\n",
    "\n\n \n",
    "\t\ttabs",
    "Hello, world!",
    " the dog",
    "the  dog   and    the     fox ",
    "I'm they're we'll she'd I'VE it's 'S",
    "1234567890 12 3.14 in 2024 x  7\n8",
    "½ ³ Ⅷ ٣ ४",
    "Größe façade naïve smørrebrød",
    "Gro\u0308ße fac\u0327ade e\u0301\u0323",
    "Привет, мир! предложение",
    "你好，世界。こんにちは",
    "한국어 조선말",
    "👍🏽 👩‍👩‍👧‍👦 🇩🇪 🤗",
    "a\u200bb\u200dc\u00a0d\u2003e\u3000f\u180eg\u0085h\u2028i",
    "zero\x00byte\x01\x7f",
    "\ufeffbom and \ufffd",
    "\U0010ffff\U000e0001\ue000",
    "<|end|>",
    "the<|end|>fox <|end|> dog",
    "<|user|> the fox\n<|end|>",
    "a<mask>b <mask> c  <mask>  d",
    "the word wordy sword word, word",
    "<s>the</s> <unk>",
    "def f(x):\n    return x\n\n\n\tif  y :\r\n\r\n",
    "ſ's 'ſ İstanbul ǅ",
    "!!!???...,,,;;;---___***",
    "▁the ▁▁ dog▁",
    "<0x41> <0xE4>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "ﬁ ① Å ﷺ",
]


def byte_level():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False))
    t.add_special_tokens(["<|end|>", "<|user|>"])
    t.add_tokens([AddedToken("word", single_word=True), AddedToken("<mask>", lstrip=True, rstrip=True)])
    return t


def qwen_like():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    t.add_special_tokens(["<s>", "</s>", "<|end|>"])
    t.add_tokens([AddedToken("<mask>", lstrip=True, normalized=False), AddedToken("é")])
    t.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<s> $A </s>", special_tokens=[(x, t.token_to_id(x)) for x in ("<s>", "</s>")]
            ),
        ]
    )
    return t


def sentencepiece():
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=620, special_tokens=specials, show_progress=False)
    )
    state, trained = json.loads(t.to_str()), json.loads(words.to_str())
    state["model"]["vocab"], state["model"]["merges"] = trained["model"]["vocab"], trained["model"]["merges"]
    t = Tokenizer.from_str(json.dumps(state))
    t.add_special_tokens(["<unk>", "<s>", "</s>", "<|end|>"])
    t.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def letters(**options):
    """All of Latin-1's letters and some merges; what it cannot spell is its unknown token."""
    pieces = [chr(c) for c in range(33, 127)] + ["▁", " ", "ß", "é", "e\u0301", "\u0301", "ö", "th", "the", "do", "og", "dog"]
    vocab = {p: i for i, p in enumerate(dict.fromkeys(["<unk>"] + pieces))}
    merges = [("t", "h"), ("th", "e"), ("d", "o"), ("o", "g"), ("do", "g")]
    return Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", **options))


def parts():
    """Tokenizers that differ in one component each."""
    found = {}

    def add(name, **components):
        t = letters(**components.pop("model", {}))
        for key, value in components.items():
            setattr(t, key, value)
        found[name] = t

    p, n = pre_tokenizers, normalizers
    add("plain")
    add("fuse_unk", model={"fuse_unk": True})
    add("ignore_merges", model={"ignore_merges": True}, pre_tokenizer=p.WhitespaceSplit())
    for behaviour in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        add("split " + behaviour, pre_tokenizer=p.Split("the", behaviour))
        add("split inverted " + behaviour, pre_tokenizer=p.Split(Regex("[a-z]+|\\s"), behaviour, invert=True))
    add("word classes", pre_tokenizer=p.Split(Regex(r"\w+"), "removed"))
    add("no words", pre_tokenizer=p.Split(Regex(r"[^\s\w]+|\W\d"), "removed"))
    add("digits", pre_tokenizer=p.Digits(individual_digits=False))
    add("whitespace", pre_tokenizer=p.Whitespace())
    add("bert", pre_tokenizer=p.BertPreTokenizer())
    add("punctuation", pre_tokenizer=p.Punctuation("merged_with_previous"))
    add("delimiter", pre_tokenizer=p.CharDelimiterSplit("o"))
    for scheme in ("always", "first", "never"):
        add("metaspace " + scheme, pre_tokenizer=p.Metaspace(prepend_scheme=scheme))
    add("metaspace whole", pre_tokenizer=p.Metaspace(split=False))
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        add(form, normalizer=getattr(n, form)())
    add("lowercase", normalizer=n.Lowercase())
    add("strip", normalizer=n.Strip(left=True, right=False))
    add("no accents", normalizer=n.Sequence([n.NFD(), n.StripAccents()]))
    add("replace", normalizer=n.Replace(Regex(r"\s+"), "▁"))
    found["metaspace first"].add_special_tokens(["<|end|>"])
    add("normalised token", normalizer=n.Lowercase())
    found["normalised token"].add_tokens([AddedToken("FOX", normalized=True), AddedToken("DOG", normalized=False)])
    return found


PART_TEXTS = [
    "the dog",
    " the  the dog,dog the42 dog 7x ",
    "The DOG dog Fox fox FOX",
    "é e\u0301 É ﬁ① ö\u0301 ß",
    "日本 the語 a_b \u00a0x\u2003y\u180ez",
    "<|end|>the<|end|> dog",
    "don't stop! (the-dog)...",
    "①② ٣٤ x\u0308y\u200cz ‿",
]


def case_of(t, name):
    rows = []
    for text in TEXTS:
        ids = t.encode(text, add_special_tokens=False).ids
        t.encode_special_tokens = True
        plain = t.encode(text, add_special_tokens=False).ids
        t.encode_special_tokens = False
        decoded = t.decode(ids, skip_special_tokens=False)
        row = {"text": text, "ids": ids, "decoded": None if decoded == text else decoded}
        whole = t.encode(text, add_special_tokens=True).ids
        if whole != ids:
            row["special_ids"] = whole
        if plain != ids:
            row["plain_ids"] = plain
        rows.append(row)
    return {"tokenizer": name, "rows": rows}


def write(name, value):
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    (HERE / name).write_text(text + "\n")
    print(name, len(text))


cases = []
for name, make in (("byte_level", byte_level), ("qwen_like", qwen_like), ("sentencepiece", sentencepiece)):
    t = make()
    write(f"text_{name}.json", json.loads(t.to_str()))
    cases.append(case_of(t, f"text_{name}.json"))
write("text_tokenizers.json", {"made_by": f"tests/golden/text_tokenizers.py, tokenizers {version}", "cases": cases})
components = []
for name, t in parts().items():
    state = json.loads(t.to_str())
    rows = [{"text": x, "ids": t.encode(x, add_special_tokens=False).ids} for x in PART_TEXTS]
    model = state.pop("model")
    components.append({"name": name, "tokenizer": state, "flags": {k: model[k] for k in ("fuse_unk", "ignore_merges")},
                       "rows": rows})
write("text_parts.json", {"model": model, "components": components})

if len(sys.argv) == 3:
    import transformers

    data, gguf = Path(sys.argv[1]), Path(sys.argv[2])
    cases = []
    for name in ("tokenizers/sentencepiece/tiny_bpe_tokenizer.json", "tokenizers/gpt2/tokenizer.json.gz"):
        raw = (data / name).read_bytes()
        t = Tokenizer.from_str((gzip.decompress(raw) if name.endswith(".gz") else raw).decode())
        cases.append(case_of(t, name))
    smollm2 = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    cases.append(case_of(smollm2.backend_tokenizer, "smollm2"))
    made_by = f"tests/golden/text_tokenizers.py, tokenizers {version}, transformers {transformers.__version__}"
    write("text_real.json", {"made_by": made_by, "cases": cases})
