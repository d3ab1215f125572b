"""Writes what the Rust `tokenizers` make of odd texts to test/fixtures/wordpiece-reference.jsonl, one [text, ids] a line.

    pip install tokenizers==0.23.3
    python scripts/experts/embedder/reference.py experts/embedder/tokenizer.json 150

Code points are those of Unicode 3.2: the Rust library's tables are older than a current runtime's, so that the two
see newer accents and punctuation differently.
"""

import json
import random
import sys
import unicodedata
from pathlib import Path

from tokenizers import Tokenizer

FIXTURE = Path("test/fixtures/wordpiece-reference.jsonl")
SEED = 20_210_830
BLOCKS = (
    (0x01, 0x7F), (0x80, 0x24F), (0x250, 0x52F), (0x530, 0x1FFF), (0x2000, 0x2FFF),
    (0x3000, 0x33FF), (0x3400, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x2FA1F),
)  # fmt: skip
LETTERS = " aeésté-.ΣσΑİıßﬁ#'½²"
WRITTEN = (
    "", " ", "What is tachycardia?", "unaffable UNAFFABLE", "naïve café, Ångström", "ΟΔΥΣΣΕΥΣ", "İstanbul",
    "日本語のテキスト", "mixed漢字and latin", "a" * 100, "a" * 101, "é" * 101, "tab\tnew\nline\r", "can't won't",
    "don't-stop...now", "x²+y²=½", "zero\u200bwidth", "e\u0301 and \u00e9", "$5 + 6% = <10>", "🙂 ok 👍🏽",
    "internationalization of antidisestablishmentarianism", "\ufffd and \ufeff", "안녕하세요 세계", "##ing #hash",
)  # fmt: skip


def random_text(source: random.Random) -> str:
    blocks = source.sample(BLOCKS, source.randint(1, 4))
    text = []
    for _ in range(source.randint(1, 30)):
        character = chr(source.randint(*source.choice(blocks)))
        known = unicodedata.ucd_3_2_0.category(character) != "Cn"
        text.append(character if known and source.random() < 0.7 else source.choice(LETTERS))
    return "".join(text)


def main(tokenizer_file: str, count: int) -> None:
    tokenizer = Tokenizer.from_file(tokenizer_file)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    source = random.Random(SEED)
    texts = [*WRITTEN, *(random_text(source) for _ in range(count - len(WRITTEN)))]
    rows = (json.dumps([text, tokenizer.encode(text).ids], ensure_ascii=True) for text in texts)
    FIXTURE.write_text("".join(f"{row}\n" for row in rows))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: reference.py TOKENIZER_JSON COUNT")
    main(sys.argv[1], int(sys.argv[2]))
