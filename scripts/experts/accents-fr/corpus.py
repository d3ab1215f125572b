"""Makes the corpus: `corpus.py UNPACKED LEXICON OUT` writes OUT/{train,valid,test}.tsv (source, document, text).

UNPACKED holds one folder a Debian package (`dpkg-deb -x`), LEXICON is wfrench's word list. Documents, not lines, are
dealt to the three parts, and a line that is in train is not in the others, so what is tested was never seen. A line is
kept if it is French of today: words of the lexicon. Ligatures are written out (oe), for they cannot be restored.
"""

import hashlib
import random
import re
import sys
import unicodedata
from pathlib import Path

import sources

PARTS = ("train", "valid", "test")
# Of 100 documents: the first 92 train, 3 validate, 5 test.
VALID_FROM, TEST_FROM = 92, 95
# Old spellings (poëte, collége) would teach wrong accents: of the dictionary no unknown word is taken.
KNOWN_SHARE = {sources.DICTIONARY: 1.0}
DEFAULT_KNOWN_SHARE = 0.85
TRAIN_CHARS = {sources.DICTIONARY: 22_000_000}
TEST_CHARS = 120_000
MIN_WORDS = 4
WORD = re.compile(r"[^\W\d_]+")
LIGATURES = str.maketrans({"œ": "oe", "Œ": "Oe", "æ": "ae", "Æ": "Ae", "’": "'", "\u00a0": " ", "\u202f": " "})

Row = tuple[str, str, str]


def main(unpacked: Path, lexicon: Path, out: Path) -> None:
    words = {word.translate(LIGATURES) for word in lexicon.read_text("utf-8").split()}
    out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[Row]] = {part: [] for part in PARTS}
    for package in [*sources.PAGES, sources.DICTIONARY]:
        parts: dict[str, list[Row]] = {part: [] for part in PARTS}
        for document, lines in sources.documents(package, unpacked / package):
            kept = [line for line in map(clean, lines) if is_french(line, words, package)]
            parts[part_of(package, document)].extend((package, document, line) for line in kept)
        for part in PARTS:
            rows[part].extend(sample(parts[part], part, package))
    seen: set[str] = set()
    for part in PARTS:
        fresh = unseen(rows[part], seen)
        (out / f"{part}.tsv").write_text("".join("\t".join(row) + "\n" for row in fresh), "utf-8")
        print(part, count(fresh), file=sys.stderr)


def clean(line: str) -> str:
    return " ".join(unicodedata.normalize("NFC", line).translate(LIGATURES).split())


def is_french(line: str, words: set[str], package: str) -> bool:
    found = [word for word in WORD.findall(line) if len(word) > 1]
    if len(found) < MIN_WORDS or line.isupper():
        return False
    # Capitalised words are names, or begin a sentence.
    known = sum(word.lower() in words or (word[0].isupper() and package in KNOWN_SHARE) for word in found)
    return known >= len(found) * KNOWN_SHARE.get(package, DEFAULT_KNOWN_SHARE)


def part_of(package: str, document: str) -> str:
    """The part a document belongs to: by its name, so it stays there whatever else changes."""
    ticket = int.from_bytes(hashlib.sha256(f"{package}/{document}".encode()).digest()[:4], "big") % 100
    return "train" if ticket < VALID_FROM else "valid" if ticket < TEST_FROM else "test"


def sample(rows: list[Row], part: str, package: str) -> list[Row]:
    """At most so many characters of a package, drawn line by line."""
    limit = TRAIN_CHARS.get(package, sys.maxsize) if part == "train" else TEST_CHARS
    order = list(range(len(rows)))
    random.Random(package + part).shuffle(order)
    taken, chars = [], 0
    for at in order:
        if chars >= limit:
            break
        taken.append(at)
        chars += len(rows[at][2])
    return [rows[at] for at in sorted(taken)]


def unseen(rows: list[Row], seen: set[str]) -> list[Row]:
    fresh = []
    for row in rows:
        if row[2].lower() not in seen:
            seen.add(row[2].lower())
            fresh.append(row)
    return fresh


def count(rows: list[Row]) -> dict[str, int]:
    chars: dict[str, int] = {}
    for source, _, text in rows:
        chars[source] = chars.get(source, 0) + len(text)
    return chars


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
