"""Rebuilds experts/code-lang from the guesslang model in the npm package @vscode/vscode-languagedetection.

    (cd /tmp && npm pack @vscode/vscode-languagedetection@1.0.23 && tar xzf vscode-vscode-languagedetection-1.0.23.tgz)
    python scripts/experts/code-lang/build.py /tmp/package/model experts/code-lang
    node scripts/experts/manifest.ts experts/code-lang

The model looks at pairs of neighbouring bytes, each hashed into one of 5,000 buckets. It adds a row of 54 numbers for
each pair (the wide part), takes the mean of a row of 70 through two hidden layers (the deep part), and adds both.
The graph takes each different pair once, with how often it comes: the same sums from a tenth of the rows. The hash is
a table inside the graph, and all weights keep the 8 bits that the package stores, so nothing is lost.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from external_data import save  # noqa: E402
from farmhash import fingerprint64  # noqa: E402
from tfjs_model import Weight, read  # noqa: E402

LINEAR, LINEAR_BIAS = "linear/linear_model/content/weights", "linear/linear_model/bias_weights"
EMBEDDING = "dnn/input_from_feature_columns/input_layer/content_embedding/embedding_weights"
LAYERS = ("dnn/hiddenlayer_0", "dnn/hiddenlayer_1", "dnn/logits")
CLASSES = "head/predictions/class_string_lookup/Const"

# Bytes from 0x80 up are one kind: see kinds_to_text.
ASCII, KINDS = 128, 129

# guesslang's names of its languages, in the order of the model's classes.
NAMES = {
    "asm": "Assembly", "bat": "Batchfile", "c": "C", "cs": "C#", "cpp": "C++", "clj": "Clojure",
    "cmake": "CMake", "cbl": "COBOL", "coffee": "CoffeeScript", "css": "CSS", "csv": "CSV", "dart": "Dart",
    "dm": "DM", "dockerfile": "Dockerfile", "ex": "Elixir", "erl": "Erlang", "f90": "Fortran", "go": "Go",
    "groovy": "Groovy", "hs": "Haskell", "html": "HTML", "ini": "INI", "java": "Java", "js": "JavaScript",
    "json": "JSON", "jl": "Julia", "kt": "Kotlin", "lisp": "Lisp", "lua": "Lua", "makefile": "Makefile",
    "md": "Markdown", "matlab": "Matlab", "mm": "Objective-C", "ml": "OCaml", "pas": "Pascal", "pm": "Perl",
    "php": "PHP", "ps1": "PowerShell", "prolog": "Prolog", "py": "Python", "r": "R", "rb": "Ruby",
    "rs": "Rust", "scala": "Scala", "sh": "Shell", "sql": "SQL", "swift": "Swift", "tex": "TeX",
    "toml": "TOML", "ts": "TypeScript", "v": "Verilog", "vba": "Visual Basic", "xml": "XML", "yaml": "YAML",
}  # fmt: skip


def kinds_to_text(first: int, second: int) -> bytes:
    """What the package hashes for a pair: both bytes with a space between.

    TensorFlow.js takes each pair through a UTF-8 decoder on the way. A byte from 0x80 up stands alone there, so it
    comes out as U+FFFD, whichever it was.
    """
    return b" ".join(bytes([kind]) if kind < ASCII else "\ufffd".encode() for kind in (first, second))


def bucket_table(buckets: int) -> np.ndarray:
    """int16[129 * 129]: the bucket of each pair of kinds of bytes."""
    pairs = (kinds_to_text(first, second) for first in range(KINDS) for second in range(KINDS))
    return np.array([fingerprint64(pair) % buckets for pair in pairs], np.int16)


class Builder:
    """Nodes and constants of a graph, and the quantised weights among them."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name: str, weight: Weight, rows: str | None = None) -> str:
        """The weight as float32; with `rows`, only those of its rows."""
        stored = self.constant(f"{name}.uint8", weight.values)
        if rows is not None:
            stored = self.node("Gather", [stored, rows], f"{name}.rows")
        scale = self.constant(f"{name}.scale", np.array(weight.scale, np.float32))
        zero = self.constant(f"{name}.zero", np.array(weight.zero, np.uint8))
        return self.node("DequantizeLinear", [stored, scale, zero], name)


def build(numbers: dict[str, Weight]) -> onnx.ModelProto:
    """feature_ids int32[pairs], feature_counts float32[pairs] -> probabilities float32[54]."""
    graph = Builder()
    table = graph.constant("pair.buckets", bucket_table(len(numbers[LINEAR].values)))
    stored = graph.node("Gather", [table, "feature_ids"], "buckets.int16")
    buckets = graph.node("Cast", [stored], "buckets", to=TensorProto.INT32)
    row = graph.constant("row", np.array([1, -1], np.int64))
    counts = graph.node("Reshape", ["feature_counts", row], "counts")

    wide = graph.node("MatMul", [counts, graph.weight("wide.weight", numbers[LINEAR], buckets)], "wide.sum")
    bias = graph.weight("wide.bias", numbers[LINEAR_BIAS])
    wide = graph.node("Add", [wide, bias], "wide.logits")

    rows = graph.weight("embedding.weight", numbers[EMBEDDING], buckets)
    total = graph.node("ReduceSum", [counts], "pairs", keepdims=1)
    # A text without pairs has the mean 0.
    least = graph.node("Max", [total, graph.constant("one", np.ones((1, 1), np.float32))], "pairs.least")
    state = graph.node("Div", [graph.node("MatMul", [counts, rows], "embedding.sum"), least], "embedding.mean")
    for layer in LAYERS:
        name = layer.removeprefix("dnn/")
        state = graph.node(
            "MatMul", [state, graph.weight(f"{name}.kernel", numbers[f"{layer}/kernel"])], f"{name}.product"
        )
        state = graph.node("Add", [state, graph.weight(f"{name}.bias", numbers[f"{layer}/bias"])], f"{name}.sum")
        if layer != LAYERS[-1]:
            state = graph.node("Relu", [state], name)

    logits = graph.node("Add", [wide, state], "logits.row")
    flat = graph.node("Reshape", [logits, graph.constant("flat", np.array([-1], np.int64))], "logits")
    graph.node("Softmax", [flat], "probabilities", axis=0)
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "guesslang",
            [
                helper.make_tensor_value_info("feature_ids", TensorProto.INT32, ["pairs"]),
                helper.make_tensor_value_info("feature_counts", TensorProto.FLOAT, ["pairs"]),
            ],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [len(NAMES)])],
            graph.constants,
        ),
        producer_name="expertd",
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 17)],
    )


def main(source: Path, folder: Path) -> None:
    numbers, strings = read(source)
    classes = [name.decode() for name in strings[CLASSES]]
    if classes != list(NAMES):
        raise ValueError("the model's classes are not those that have names here")
    save(build(numbers), folder / "onnx")
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in NAMES.values()))
    (folder / "languages.tsv").write_text("".join(f"{name}\t{short}\n" for short, name in NAMES.items()))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: build.py MODEL_FOLDER EXPERT_FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
