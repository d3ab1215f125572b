"""Trains experts/spam on what corpus.py wrote: logistic regression over hashed words and pairs of words.

    python scripts/experts/spam/build.py /tmp/mails.jsonl experts/spam
    node scripts/experts/manifest.ts experts/spam

Mails before September 2002 train it. Its probabilities are calibrated on August, by a model that saw only what came
before; the mails from September on are for scripts/experts/spam/quality.ts. Beside each mail a few slices of it are
learned, so that short messages are not all alike. The last lines of the output are a control: the same with the
labels shuffled, which must not be better than chance.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from external_data import save  # noqa: E402
from features import count  # noqa: E402

BITS, MAX_WORDS = 17, 2000
CALIBRATE_FROM, TEST_FROM = "2002-08-01", "2002-09-01"
SLICES = (12, 25, 60)
INVERSE_PENALTY = 3.0
SEED = 20020901
FIXTURE = Path("test/fixtures/spam-features.jsonl")
FIXTURE_TEXTS = (
    "",
    "Hello, world",
    "FREE!!!! Win $1,000 NOW",
    "it's don’t o'clock 'quoted'",
    "snake_case and ＦＵＬＬ ｗｉｄｔｈ",
    "50% off?!? €99 £5",
    "Grüße aus KÖLN, 東京 и Москва",
    "a b a b",
    "v1agra 2nd 3rd",
)

Row = tuple[int, str]


def slices(mails: list[dict], words: int, seed: int) -> list[Row]:
    """One run of `words` words out of each mail that has as many."""
    pick, found = random.Random(seed), []
    for mail in mails:
        body = mail["body"].split()
        if len(body) >= words:
            start = pick.randrange(len(body) - words + 1)
            found.append((mail["spam"], " ".join(body[start : start + words])))
    return found


def rows(mails: list[dict]) -> list[Row]:
    whole = [(mail["spam"], mail["text"]) for mail in mails]
    return whole + [row for words in SLICES for row in slices(mails, words, SEED + words)]


def matrix(texts: list[str]) -> csr_matrix:
    """log(1 + count), each row of length 1: what the graph computes."""
    values, columns, starts = [], [], [0]
    for text in texts:
        counts = count(text, MAX_WORDS, BITS)
        logs = np.log1p(np.fromiter(counts.values(), float, len(counts)))
        values.append(logs / max(np.linalg.norm(logs), 1e-9))
        columns.extend(counts)
        starts.append(len(columns))
    return csr_matrix((np.concatenate(values), columns, starts), shape=(len(texts), 1 << BITS))


def fit(data: list[Row], labels: list[int] | None = None) -> LogisticRegression:
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
    return model.fit(matrix([text for _, text in data]), labels or [spam for spam, _ in data])


def calibrate(before: list[dict], month: list[dict]) -> tuple[float, float]:
    """Platt's slope and intercept, from what a model of the past says of a later month."""
    held_out = rows(month)
    scores = fit(rows(before)).decision_function(matrix([text for _, text in held_out]))
    platt = LogisticRegression(C=1e6).fit(scores.reshape(-1, 1), [spam for spam, _ in held_out])
    return float(platt.coef_[0, 0]), float(platt.intercept_[0])


def graph(weights: np.ndarray, scale: float, bias: float) -> onnx.ModelProto:
    """feature_ids int32[features], feature_counts float32[features] -> probabilities float32[2]: spam, not spam."""
    constants = {
        "weight.int8": weights,
        "weight.scale": np.array(scale, np.float32),
        "weight.zero": np.array(0, np.int8),
        "one": np.ones(1, np.float32),
        "tiny": np.full(1, 1e-9, np.float32),
        "bias": np.full(1, bias, np.float32),
    }
    steps = [
        ("Add", ["feature_counts", "one"], "counts.one", {}),
        ("Log", ["counts.one"], "logs", {}),
        ("ReduceL2", ["logs"], "length", {"axes": [0], "keepdims": 1}),
        ("Max", ["length", "tiny"], "length.least", {}),
        ("Div", ["logs", "length.least"], "values", {}),
        ("Gather", ["weight.int8", "feature_ids"], "weight.rows", {}),
        ("DequantizeLinear", ["weight.rows", "weight.scale", "weight.zero"], "weights", {}),
        ("Mul", ["values", "weights"], "parts", {}),
        ("ReduceSum", ["parts"], "score", {"keepdims": 1}),
        ("Add", ["score", "bias"], "logit", {}),
        ("Sigmoid", ["logit"], "spam", {}),
        ("Sub", ["one", "spam"], "ham", {}),
        ("Concat", ["spam", "ham"], "probabilities", {"axis": 0}),
    ]
    shape = ["features"]
    return helper.make_model(
        helper.make_graph(
            [helper.make_node(kind, ins, [out], name=out, **extra) for kind, ins, out, extra in steps],
            "spam",
            [
                helper.make_tensor_value_info("feature_ids", TensorProto.INT32, shape),
                helper.make_tensor_value_info("feature_counts", TensorProto.FLOAT, shape),
            ],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [2])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        producer_name="expertd",
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 17)],
    )


def control(train: list[Row], test: list[dict]) -> float:
    """Area under the curve on the test's mails after learning shuffled labels: about a half."""
    labels = [spam for spam, _ in train]
    random.Random(SEED).shuffle(labels)
    scores = fit(train, labels).decision_function(matrix([mail["text"] for mail in test]))
    return float(roc_auc_score([mail["spam"] for mail in test], scores))


def write_fixture() -> None:
    lines = (
        json.dumps([text, sorted(count(text, MAX_WORDS, BITS).items())], ensure_ascii=False)
        for text in FIXTURE_TEXTS
    )
    FIXTURE.write_text("".join(f"{line}\n" for line in lines))


def main(source: Path, folder: Path) -> None:
    mails = [json.loads(line) for line in source.read_text().splitlines()]
    train = [mail for mail in mails if mail["date"] < TEST_FROM]
    test = [mail for mail in mails if mail["date"] >= TEST_FROM]
    slope, intercept = calibrate(
        [mail for mail in train if mail["date"] < CALIBRATE_FROM],
        [mail for mail in train if mail["date"] >= CALIBRATE_FROM],
    )
    learned = rows(train)
    model = fit(learned)
    weights = model.coef_[0] * slope
    scale = float(np.abs(weights).max() / 127)
    bias = float(model.intercept_[0]) * slope + intercept
    save(graph(np.round(weights / scale).astype(np.int8), scale, bias), folder / "onnx")
    (folder / "labels.txt").write_text("spam\nnot spam\n")
    write_fixture()
    print(f"{len(train)} mails and {len(learned) - len(train)} slices; slope {slope:.2f}, intercept {intercept:.2f}")
    scores = model.decision_function(matrix([mail["text"] for mail in test]))
    print(f"area under the curve {roc_auc_score([mail['spam'] for mail in test], scores):.4f}")
    print(f"with shuffled labels {control(learned, test):.4f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: build.py MAILS_JSONL EXPERT_FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
