"""Reads the weights of a TensorFlow.js graph model: `model.json` names them, one binary file holds them in turn."""

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Weight:
    """`values` as stored; a quantised weight means (values - zero) * scale."""

    values: np.ndarray
    scale: float | None
    zero: int | None


def _strings(raw: bytes, offset: int, count: int) -> tuple[list[bytes], int]:
    """Strings are stored as a u32 length and the bytes."""
    found = []
    for _ in range(count):
        (length,) = struct.unpack_from("<I", raw, offset)
        found.append(raw[offset + 4 : offset + 4 + length])
        offset += 4 + length
    return found, offset


def _quantised(name: str, values: np.ndarray, minimum: float, scale: float) -> Weight:
    """The converter moves each range so that zero falls on a whole step: the zero point is exact."""
    zero = round(-minimum / scale)
    if abs(-minimum / scale - zero) > 1e-6:
        raise ValueError(f"{name}: its zero point is no whole number")
    return Weight(values, scale, zero)


def read(folder: Path) -> tuple[dict[str, Weight], dict[str, list[bytes]]]:
    """Numbers and strings by name. `folder` holds model.json and the one file of weights that it names."""
    (group,) = json.loads((folder / "model.json").read_text())["weightsManifest"]
    (path,) = group["paths"]
    raw = (folder / path).read_bytes()
    numbers: dict[str, Weight] = {}
    strings: dict[str, list[bytes]] = {}
    offset = 0
    for entry in group["weights"]:
        name, shape = entry["name"], entry["shape"]
        if entry["dtype"] == "string":
            strings[name], offset = _strings(raw, offset, prod(shape))
            continue
        quantisation = entry.get("quantization")
        dtype = np.dtype(quantisation["dtype"] if quantisation else entry["dtype"]).newbyteorder("<")
        values = np.frombuffer(raw, dtype, prod(shape), offset).reshape(shape)
        offset += values.nbytes
        if quantisation:
            numbers[name] = _quantised(name, values, quantisation["min"], quantisation["scale"])
        else:
            numbers[name] = Weight(values, None, None)
    if offset != len(raw):
        raise ValueError(f"{path}: {len(raw)} bytes where {offset} are due")
    return numbers, strings
