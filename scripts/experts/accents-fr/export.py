"""Writes the package's model: `export.py TRAINED.pt FOLDER REFERENCE.json`.

FOLDER gets onnx/model.onnx with its weights beside it, characters.json and labels.txt. The recurrent weights are int8
with one scale a row; REFERENCE.json holds what torch makes of them for some texts, for reference.ts to compare.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

import alphabet
from network import LAYERS, Accents

sys.path.insert(0, str(Path(__file__).parents[1]))
import external_data  # noqa: E402

OPSET, IR_VERSION = 17, 8
# torch keeps the gates as reset, update, new; ONNX as update, reset, hidden.
GATES = (1, 0, 2)
TEXTS = [
    "l'eleve a mange a l'hotel pres de la foret",
    "Il a ete decide que, des demain, on irait la ou personne n'est jamais alle.",
    "a",
    "42 % !? \U0001f600 x_y",
    "Le garcon naif a recu, a Noel, un dictionnaire. " * 8,
]


def main(trained: Path, folder: Path, reference: Path) -> None:
    model = load(trained)
    graph = Graph()
    last = graph.build(model)
    onnx_model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "accents",
            [helper.make_tensor_value_info("characters", TensorProto.INT32, ["texts", "length"])],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["texts", "length", len(alphabet.CLASSES)])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="expertd",
    )
    external_data.save(onnx_model, folder / "onnx")
    (folder / "characters.json").write_text(json.dumps(alphabet.INPUTS, ensure_ascii=False) + "\n", "utf-8")
    (folder / "labels.txt").write_text("\n".join(alphabet.CLASSES) + "\n", "utf-8")
    reference.write_text(json.dumps([expected(model, text) for text in TEXTS], ensure_ascii=False) + "\n", "utf-8")


def load(trained: Path) -> Accents:
    """The model with its recurrent weights rounded to what int8 can hold."""
    saved = torch.load(trained)
    model = Accents(saved["hidden"], saved["bidirectional"])
    model.load_state_dict(saved["state"])
    for name, weights in model.gru.named_parameters():
        if name.startswith("weight"):
            values, scales = quantised(weights.detach().numpy())
            weights.data = torch.from_numpy(values.astype(np.float32) * scales[:, None])
    return model.eval()


def quantised(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8[rows, columns] and float32[rows], whose product is nearest to `weights`."""
    scales = (np.abs(weights).max(1) / 127).astype(np.float32)
    return np.rint(weights / scales[:, None]).clip(-127, 127).astype(np.int8), scales


@torch.no_grad()
def expected(model: Accents, text: str) -> dict[str, object]:
    ids, _ = alphabet.encode(text)
    logits = model(torch.from_numpy(ids.astype(np.int64))[None])[0]
    return {"characters": ids.tolist(), "logits": [[round(value, 5) for value in row] for row in logits.tolist()]}


class Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def build(self, model: Accents) -> str:
        """Adds the whole network; returns the name of its output."""
        table = self._constant("embedding", model.embedding.weight)
        states = self._node("Gather", [table, "characters"], "embedded")
        states = self._node("Transpose", [states], "by_time", perm=[1, 0, 2])
        for layer in range(LAYERS):
            states = self._recurrent(model.gru, layer, states)
        states = self._node("MatMul", [states, self._constant("head", model.head.weight.t())], "scores")
        states = self._node("Add", [states, self._constant("head_bias", model.head.bias)], "biased")
        return self._node("Transpose", [states], "logits", perm=[1, 0, 2])

    def _recurrent(self, gru: torch.nn.GRU, layer: int, states: str) -> str:
        """float32[length, texts, size] -> float32[length, texts, directions x hidden]."""
        sides = ["", "_reverse"] if gru.bidirectional else [""]
        inner, outer, biases = (
            np.stack([_gates(getattr(gru, f"{kind}_l{layer}{side}"), gru.hidden_size) for side in sides])
            for kind in ("weight_hh", "weight_ih", "bias_ih")
        )
        inner_biases = np.stack([_gates(getattr(gru, f"bias_hh_l{layer}{side}"), gru.hidden_size) for side in sides])
        inputs = [
            states,
            self._dequantised(f"input_weights_{layer}", outer),
            self._dequantised(f"state_weights_{layer}", inner),
            self._constant(f"biases_{layer}", np.concatenate([biases, inner_biases], 1)),
        ]
        found = self._node(
            "GRU",
            inputs,
            f"recurrent_{layer}",
            hidden_size=gru.hidden_size,
            direction="bidirectional" if gru.bidirectional else "forward",
            linear_before_reset=1,
        )
        found = self._node("Transpose", [found], f"sides_last_{layer}", perm=[0, 2, 1, 3])
        shape = self._constant(f"joined_shape_{layer}", np.array([0, 0, len(sides) * gru.hidden_size], np.int64))
        return self._node("Reshape", [found, shape], f"joined_{layer}")

    def _dequantised(self, name: str, weights: np.ndarray) -> str:
        """float32[sides, rows, columns] from int8 rows, each with its scale."""
        values, scales = quantised(weights.reshape(-1, weights.shape[-1]))
        parts = [self._constant(f"{name}_int8", values), self._constant(f"{name}_scales", scales)]
        flat = self._node("DequantizeLinear", parts, f"{name}_rows", axis=0)
        shape = self._constant(f"{name}_shape", np.array(weights.shape, np.int64))
        return self._node("Reshape", [flat, shape], name)

    def _constant(self, name: str, values: torch.Tensor | np.ndarray) -> str:
        array = values.detach().numpy() if isinstance(values, torch.Tensor) else values
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output


def _gates(weights: torch.Tensor, hidden: int) -> np.ndarray:
    """Rows in ONNX's order of gates."""
    gates = weights.detach().numpy()
    return np.concatenate([gates[gate * hidden : (gate + 1) * hidden] for gate in GATES])


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
