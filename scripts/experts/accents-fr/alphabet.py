"""What the model reads and what it says: characters to numbers, and letters to the accents they may carry.

It reads text without accents in lower case. A class is one kind of accent; 0 leaves the letter as it is.
"""

import re
import unicodedata

import numpy as np

# Characters that share a line are one number to the model, from 1 on; 0 is every other character.
INPUTS = [
    "\n\r", " \t\u00a0\u2009\u202f", "'’ʼ", '"“”«»', "0123456789", "-‐‑–—", ".…", ",", ";", ":", "!", "?", "([{", ")]}",
    "/\\", "*", "=", "<", ">", "_", *"abcdefghijklmnopqrstuvwxyz",
]  # fmt: skip
CLASSES = ["unchanged", "àèù", "é", "âêîôû", "ëïüÿ", "ç"]
IGNORED = -1

IDS = {character: at for at, group in enumerate(INPUTS, 1) for character in group}
_BASE = {made: unicodedata.normalize("NFD", made)[0] for group in CLASSES[1:] for made in group}
_CLASS = {made: at for at, group in enumerate(CLASSES) for made in group if at > 0}
LETTERS = sorted(set(_BASE.values()))

# Words that hold one of these are code, addresses or numbers and are left alone: the rule of
# agent/runtime/tasks/rewriting-places.ts.
CODE = re.compile(r"[\d@/\\_=<>{}#$^+&`]|[^\W_](?:\.|::?)[^\W_]|^--|[a-zß-öø-ÿ][A-ZÀ-ÖØ-Þ]")


def strip(text: str) -> str:
    """Without accents; as long as the text where it is NFC and Latin."""
    return "".join(unicodedata.normalize("NFD", character)[0] for character in text)


def allowed() -> np.ndarray:
    """bool[inputs + 1, classes]: which classes the character of each number may get."""
    table = np.zeros((len(INPUTS) + 1, len(CLASSES)), bool)
    table[:, 0] = True
    for made, base in _BASE.items():
        table[IDS[base], _CLASS[made]] = True
    return table


def encode(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the characters of `text` without its accents, and the class of each, or IGNORED: uint8[n], int8[n]."""
    lower = text.lower()
    if len(lower) != len(text):
        raise ValueError("text changes its length in lower case")
    bare = strip(lower)
    ids = np.fromiter((IDS.get(character, 0) for character in bare), np.uint8, len(bare))
    classes = np.fromiter(map(_class, lower, bare), np.int8, len(bare))
    for match in re.finditer(r"\S+", text):
        if CODE.search(match.group()):
            classes[match.start() : match.end()] = IGNORED
    return ids, classes


def _class(written: str, bare: str) -> int:
    if bare not in LETTERS:
        return IGNORED
    return 0 if written == bare else _CLASS.get(written, IGNORED)
