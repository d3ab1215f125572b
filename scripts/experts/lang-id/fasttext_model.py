"""Reads a supervised, product-quantised fastText model (`.ftz`).

Layout as written by fastText 0.9 (FastText::saveModel, Dictionary::save, QuantMatrix::save), little-endian.
"""

import struct
from dataclasses import dataclass

import numpy as np

MAGIC, VERSION = 793_712_314, 12
CENTROIDS = 256
HIERARCHICAL_SOFTMAX, SUPERVISED = 1, 3
LABEL_PREFIX = "__label__"


@dataclass(frozen=True)
class Quantizer:
    """`codes[row, part]` picks one of 256 centroids of `width` numbers for each part of a row."""

    codes: np.ndarray  # uint8 [rows, parts]
    centroids: np.ndarray  # float32 [parts, 256, width]


@dataclass(frozen=True)
class FastTextModel:
    min_chars: int
    max_chars: int
    buckets: int
    words: list[bytes]
    labels: list[str]
    label_counts: list[int]
    ngram_buckets: np.ndarray  # uint32: the hash bucket of row len(words) + i
    directions: Quantizer
    norms: Quantizer
    output: np.ndarray  # float32 [labels, dim]


class Reader:
    def __init__(self, raw: bytes):
        self.raw, self.at = raw, 0

    def numbers(self, layout: str) -> tuple:
        values = struct.unpack_from(f"<{layout}", self.raw, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values

    def array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.raw, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def string(self) -> bytes:
        end = self.raw.index(b"\0", self.at)
        start, self.at = self.at, end + 1
        return self.raw[start:end]


def read_quantizer(reader: Reader, codes: np.ndarray) -> Quantizer:
    dim, parts, width, last_width = reader.numbers("iiii")
    if width != last_width or parts * width != dim:
        raise ValueError("a quantiser with parts of unequal width")
    centroids = reader.array("<f4", dim * CENTROIDS).reshape(parts, CENTROIDS, width)
    return Quantizer(codes.reshape(-1, parts), centroids)


def read_dictionary(reader: Reader) -> tuple[list[bytes], list[str], list[int], np.ndarray]:
    size, word_count, label_count = reader.numbers("iii")
    _tokens, pruned = reader.numbers("qq")
    entries = [(reader.string(), *reader.numbers("qb")) for _ in range(size)]
    pairs = reader.array("<i4", 2 * pruned).reshape(-1, 2)
    rows = pairs[np.argsort(pairs[:, 1])]
    if word_count + label_count != size or not np.array_equal(rows[:, 1], np.arange(pruned)):
        raise ValueError("a dictionary whose pruned rows are not 0, 1, 2, ...")
    words = [text for text, _, _ in entries[:word_count]]
    labels = [text.decode().removeprefix(LABEL_PREFIX) for text, _, _ in entries[word_count:]]
    counts = [count for _, count, _ in entries[word_count:]]
    return words, labels, counts, rows[:, 0].astype(np.uint32)


def read(raw: bytes) -> FastTextModel:
    reader = Reader(raw)
    if reader.numbers("ii") != (MAGIC, VERSION):
        raise ValueError("not a fastText model of version 12")
    dim, _, _, _, _, word_ngrams, loss, kind, buckets, min_chars, max_chars, _ = reader.numbers("12i")
    reader.numbers("d")
    if (loss, kind, word_ngrams) != (HIERARCHICAL_SOFTMAX, SUPERVISED, 1):
        raise ValueError("only supervised models with hierarchical softmax and single words are converted")
    words, labels, counts, ngrams = read_dictionary(reader)
    (quantized, with_norms), (rows, columns), (code_bytes,) = (
        reader.numbers("??"),
        reader.numbers("qq"),
        reader.numbers("i"),
    )
    if not (quantized and with_norms) or columns != dim or rows != len(words) + len(ngrams):
        raise ValueError("only quantised input matrices with separate norms are converted")
    directions = read_quantizer(reader, reader.array("u1", code_bytes))
    norms = read_quantizer(reader, reader.array("u1", rows))
    (output_quantized,), shape = reader.numbers("?"), reader.numbers("qq")
    if output_quantized or shape != (len(labels), dim):
        raise ValueError("only plain output matrices are converted")
    output = reader.array("<f4", len(labels) * dim).reshape(shape)
    return FastTextModel(
        min_chars, max_chars, buckets, words, labels, counts, ngrams, directions, norms, output
    )
