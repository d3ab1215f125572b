"""Writes an ONNX model with its weights beside it, laid out to be mapped into memory.

ONNX Runtime maps external data instead of copying it, so the weights are clean pages that the kernel may drop and
that every cell shares. Each tensor starts at a 64 KB boundary: the largest page size of the boards we run on, so
that a tensor owns its pages whole (4 KB on most, 16 KB on a Raspberry Pi 5, 64 KB on some arm64 kernels).
"""

from pathlib import Path

import onnx

ALIGNMENT = 65_536
# A mapping of its own for a bias of 1.5 KB costs more than it saves: smaller tensors stay in the graph.
INLINE_BELOW = 16_384


def save(model: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> None:
    """Writes `folder/name` and `folder/name.data`; the same model gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    data_name = f"{name}.data"
    with open(folder / data_name, "wb") as data:
        for tensor in model.graph.initializer:
            weights = tensor.raw_data
            if len(weights) < INLINE_BELOW:
                continue
            offset = -(-data.tell() // ALIGNMENT) * ALIGNMENT
            data.write(b"\0" * (offset - data.tell()))
            data.write(weights)
            _point_at(tensor, data_name, offset, len(weights))
    onnx.checker.check_model(str(_write(model, folder / name)))


def _point_at(tensor: onnx.TensorProto, location: str, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _write(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path
