"""Asks the Rust library `tokenizers` which code points it takes for what, and writes agent/runtime/tokenizers/flat/tables.ts.

The crates behind it are of different Unicode versions (normalisation is 9.0's, punctuation older, the regular
expressions' newer), and none is that of Node. So each table is the library's own answer for each code point, not
what a version of Unicode says. Only what 9.0 did not have yet is taken from that version's database.

    npm install @unicode/unicode-9.0.0 && pip install tokenizers==0.23.3
    node -e "import('@unicode/unicode-9.0.0/General_Category/Unassigned/code-points.mjs')
        .then((module) => console.log(JSON.stringify([...module.default])))" > unassigned.json
    python scripts/tokenizers/tables.py unassigned.json > agent/runtime/tokenizers/flat/tables.ts
"""

import json
import re
import sys

from tokenizers import Regex, __version__, normalizers, pre_tokenizers

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
EVERYTHING = "".join(map(chr, SCALARS))
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()
SCRIPTS = "Han Hiragana Katakana Hangul Bopomofo Latin Greek Cyrillic Arabic Hebrew Thai Devanagari".split()
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number):
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text or "0"


def packed(points):
    """Ranges as gap and length, each from the end of the one before. Surrogates are in no range."""
    ranges = []
    for point in sorted(points):
        if ranges and ranges[-1][1] == point:
            ranges[-1][1] = point + 1
        else:
            ranges.append([point, point + 1])
    end, words = 0, []
    for start, stop in ranges:
        words.append(base36(start - end) + ("" if stop == start + 1 else "." + base36(stop - start)))
        end = stop
    return " ".join(words)


def left(pieces):
    return {ord(char) for piece, _ in pieces for char in piece}


def matched(pattern):
    return left(pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(EVERYTHING))


def bert(**on):
    off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**off, **on})


def isolated(pre_tokenizer):
    alone = pre_tokenizer.pre_tokenize_str("".join("a" + chr(c) for c in SCALARS))
    return {ord(piece) for piece, _ in alone if len(piece) == 1} - {ord("a")}


def words():
    pieces = pre_tokenizers.Whitespace().pre_tokenize_str("".join("a" + chr(c) + " " for c in SCALARS))
    return {ord(piece[1]) for piece, _ in pieces if len(piece) == 2 and piece[0] == "a"}


def removed(normalizer, among=EVERYTHING):
    return {ord(c) for c in among if normalizer.normalize_str(c) == ""}


def tables():
    lower = normalizers.Lowercase()
    yield "space", set(SCALARS) - left(pre_tokenizers.WhitespaceSplit().pre_tokenize_str(EVERYTHING))
    yield "numeric", isolated(pre_tokenizers.Digits(individual_digits=True))
    yield "punctuation", set(SCALARS) - left(pre_tokenizers.Punctuation("removed").pre_tokenize_str(EVERYTHING))
    yield "word", words()
    yield "control", removed(bert(clean_text=True))
    yield "nonspacing", removed(bert(strip_accents=True))
    yield "mark", removed(normalizers.StripAccents())
    yield "lowered", {c for c in SCALARS if lower.normalize_str(chr(c)) != chr(c)}
    yield "unassigned9", json.load(open(sys.argv[1]))
    for name in CATEGORIES + SCRIPTS:
        yield name, matched(rf"\p{{{name}}}")
    for name in "swd":
        yield "\\\\" + name, matched(f"[\\{name}]")


print(f"""/**
 * Code points by property, as the Rust library `tokenizers` {__version__} has them: made by scripts/tokenizers/tables.py,
 * not by hand. Each table is a list of ranges: the gap after the range before and, where it is not 1, the length,
 * both to base 36. Names of two letters, of scripts, and with a back-slash, are those of its regular expressions.
 */
export const PACKED = {{""")
for name, points in tables():
    key = name if re.fullmatch(r"\w+", name) else f"'{name}'"
    print(f"  {key}:\n    '{packed(points)}',")
print("} as const;")
