"""Writes what the Rust library makes of odd texts to test/fixtures/tokenizers.json.gz, for the tests.

    pip install tokenizers==0.23.3
    python scripts/tokenizers/golden.py README.md test/fixtures/lang-id-reference.jsonl

The tokenizers are those of vocabularies.py, small, trained on the files that are named; with each, some texts:
`[text, ids with special tokens, ids where special texts are text, decoded, decoded without special tokens]`. Beside
them, patterns: `[pattern, text, pieces]`.
"""

import gzip
import json
import random
import sys
from pathlib import Path

from tokenizers import Regex, __version__, pre_tokenizers
from vocabularies import DEEPSEEK, GPT_4O, KINDS, LLAMA_3, QWEN_2

FIXTURE = Path("test/fixtures/tokenizers.json.gz")
SEED = 20_260_101
TOKENS = 400
CASES = 110
CHARS = [(0x20, 0x7E), (0, 0x20), (0x7F, 0x24F), (0x300, 0x36F), (0x370, 0x6FF), (0x900, 0xFFF), (0x1F00, 0x2BFF)]
CHARS += [(0x3000, 0x9FFF), (0xA640, 0xABFF), (0xAC00, 0xD7A3), (0xF900, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x10FFFF)]
ODD = "don't WE'RE it'ſ 'ſx 'Kelvin K ﬁne straße STRASSE ΟΔΟΣ İstanbul ½ x² ٣٤ １２ 1234567 e\u0301 한글 漢字 𠀀 ไทย 👩‍👩‍👧 ❤️ 🇩🇪".split(" ")
ODD += ["\u0085", "\ufeff", "\u00a0", "\u200b", "  ", "   \n", "\r\n", "\t", "\0", "▁", "▁▁", "##", "<0x0A>", "Ġ", "?!", "...", "_", "a" * 45]
ODD += ["\U00011935\U00011930", "\u1dfa\u0301", "\U0001e900\u0304", "\u166d", "\ufffd", "the ", " and", "text-"]
PATTERNS = [LLAMA_3, QWEN_2, GPT_4O, DEEPSEEK, r"\s", r"\S+", r"\d+", r"\D", r"\w+", r"\W+", r"[^\w\s]", r"\p{Lu}\p{Ll}*"]
PATTERNS += [r"\p{^L}+", r"\P{N}+?", r"[\p{P}\p{S}]", r"\p{Han}+|\p{Hiragana}+", r"\p{Cn}+", r"\p{M}+", r"(?i:'s|k)", r"(?i:[sk])+"]
PATTERNS += [r".+", r"[a-z]{2,3}", r"(?:ab|a)b?", r"(?<=a)b|(?<!a)c", r"x(?=y)|x(?!y)", r"\x41|\x{1F600}|\u00e9", r"[\]\-\\a]+", r"a??b+?"]


def text_of(source, added):
    parts = []
    for _ in range(source.randint(1, 7)):
        kind = source.random()
        if kind < 0.5:
            parts.append(source.choice(ODD))
        elif kind < 0.65 and added:
            token = source.choice(added)
            parts.append(token if source.random() < 0.7 else token[: source.randint(1, len(token))])
        else:
            point = source.randint(*source.choice(CHARS))
            parts.append("\ufffd" if 0xD800 <= point < 0xE000 else chr(point))
        if source.random() < 0.3:
            parts.append(" ")
    return "".join(parts)


def case(tokenizer, text):
    tokenizer.encode_special_tokens = False
    ids = tokenizer.encode(text).ids
    tokenizer.encode_special_tokens = True
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    return [text, ids, plain, tokenizer.decode(ids, False), tokenizer.decode(ids, True)]


def kind_of(make, files, source):
    tokenizer = make(files, TOKENS)
    held = json.loads(tokenizer.to_str())
    added = [token["content"] for token in held["added_tokens"]]
    return {"tokenizer": held, "cases": [case(tokenizer, text_of(source, added)) for _ in range(CASES)]}


def pieces(pattern, text):
    return [piece for piece, _ in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)]


source = random.Random(SEED)
kinds = {make.__name__: kind_of(make, sys.argv[1:], source) for make in KINDS}
texts = [*ODD, "".join(ODD), "abbcab xyx xz AéA]-\\", *(text_of(source, []) for _ in range(4))]
made = {"library": __version__, "kinds": kinds, "patterns": [[p, t, pieces(p, t)] for p in PATTERNS for t in texts]}
FIXTURE.write_bytes(gzip.compress(json.dumps(made, ensure_ascii=False).encode(), 9, mtime=0))
