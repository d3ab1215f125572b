"""The features of a text, as agent/runtime/tokenizers/hashed-words.ts makes them; a fixture holds the two together."""

import re
import unicodedata
from functools import cache
from itertools import pairwise

MASK = 0xFFFFFFFF
TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[!?]+|[$€£%]")
CAPITALS = "^caps"
MARKS = frozenset("!?$€£%")
LONGEST_MARK = 3
SHORTEST_CAPITALS = 4


def tokens(text: str, limit: int) -> list[str]:
    """Words in lower case with every digit as 0, marks that sell, and a token before each word in capitals."""
    found: list[str] = []
    for token in TOKEN.findall(unicodedata.normalize("NFKC", text)):
        if len(found) >= limit:
            break
        if token[0] in MARKS:
            found.append(token[:LONGEST_MARK])
            continue
        if len(token) >= SHORTEST_CAPITALS and token == token.upper() != token.lower():
            found.append(CAPITALS)
        found.append(re.sub(r"\d", "0", token.lower()))
    return found[:limit]


@cache
def bucket(feature: str, bits: int) -> int:
    """FNV-1a over UTF-16, then Fibonacci hashing: its high bits are the good ones."""
    value = 0x811C9DC5
    for byte in feature.encode("utf-16-le", "surrogatepass"):
        value = (value ^ byte) * 0x01000193 & MASK
    return (value * 0x9E3779B1 & MASK) >> (32 - bits)


def count(text: str, limit: int, bits: int) -> dict[int, int]:
    """Bucket -> how often one of its words or pairs of neighbouring words comes."""
    words = tokens(text, limit)
    counts: dict[int, int] = {}
    for feature in [*words, *(f"{first} {second}" for first, second in pairwise(words))]:
        key = bucket(feature, bits)
        counts[key] = counts.get(key, 0) + 1
    return counts
