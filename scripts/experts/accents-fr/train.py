"""Trains a network: `train.py CORPUS OUT.pt HIDDEN both|forward CHARS [FROM.pt]`.

CHARS is how many characters of training text it sees; the same number gives the same schedule. With FROM it goes on
with that network, at half the rate and on other pieces. Prints the loss, and what share of the letters that may carry
an accent it gets right on validation text (dictionary, pages). Saves as it goes.
"""

import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import alphabet
from network import Accents, parameters

BATCH, LENGTH = 64, 160
PEAK_RATE, WARM_UP = 4e-3, 0.03
REPORT_STEPS = 100
# Share of the sequences that are prose; the rest is documentation of computers, which is a tenth of the text.
DICTIONARY_SHARE = 0.6
SEED = 7


def main(corpus: Path, out: Path, hidden: int, direction: str, chars: int, before: Path | None) -> None:
    torch.set_num_threads(1)
    seed = SEED if before is None else SEED + 1
    torch.manual_seed(seed)
    streams = [stream(corpus / "train.tsv", "xmlittre", True), stream(corpus / "train.tsv", "xmlittre", False)]
    valid = [stream(corpus / "valid.tsv", "xmlittre", kind) for kind in (True, False)]
    model = Accents(hidden, direction == "both")
    if before is not None:
        model.load_state_dict(torch.load(before)["state"])
    steps, rate = chars // (BATCH * LENGTH), PEAK_RATE if before is None else PEAK_RATE / 2
    print(direction, hidden, parameters(model), "parameters,", steps, "steps", flush=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=WARM_UP)
    loss_of = nn.CrossEntropyLoss(ignore_index=alphabet.IGNORED)
    drawn = np.random.default_rng(seed)
    start, losses = time.monotonic(), []
    for step in range(1, steps + 1):
        ids, classes = batch(streams, drawn)
        loss = loss_of(model(ids).flatten(0, 1), classes.flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % REPORT_STEPS == 0 or step == steps:
            seconds = time.monotonic() - start
            print(step, f"{seconds:.0f} s, loss {np.mean(losses[-REPORT_STEPS:]):.4f}", end="", flush=True)
            if step % (5 * REPORT_STEPS) == 0 or step == steps:
                print(", valid", *(f"{accuracy(model, part):.4f}" for part in valid), end="")
                torch.save({"hidden": hidden, "bidirectional": direction == "both", "state": model.state_dict()}, out)
            print(flush=True)


def stream(path: Path, name: str, within: bool) -> tuple[np.ndarray, np.ndarray]:
    """The lines of a part whose source has `name` in it, or not, in random order, as one text."""
    rows = [line.rstrip("\n").split("\t", 2) for line in path.open(encoding="utf-8")]
    lines = [text for source, _, text in rows if (name in source) == within and len(text) == len(text.lower())]
    random.Random(SEED).shuffle(lines)
    parts = [alphabet.encode(f"{line}\n") for line in lines]
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([classes for _, classes in parts])


def batch(streams: list[tuple[np.ndarray, np.ndarray]], drawn: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """int64[BATCH, LENGTH] twice: pieces from anywhere."""
    chosen = [streams[int(drawn.random() >= DICTIONARY_SHARE)] for _ in range(BATCH)]
    starts = [int(drawn.integers(len(ids) - LENGTH)) for ids, _ in chosen]
    pieces = [
        np.stack([part[kind][at : at + LENGTH] for part, at in zip(chosen, starts)]).astype(np.int64) for kind in (0, 1)
    ]
    return torch.from_numpy(pieces[0]), torch.from_numpy(pieces[1])


@torch.no_grad()
def accuracy(model: Accents, part: tuple[np.ndarray, np.ndarray], length: int = 400) -> float:
    model.eval()
    rows = min(len(part[0]) // length, 250)
    ids, classes = (torch.from_numpy(side[: rows * length].reshape(rows, length).astype(np.int64)) for side in part)
    banned = torch.from_numpy(~alphabet.allowed())[ids]
    best = model(ids).masked_fill(banned, -1e9).argmax(-1)
    model.train()
    counted = classes != alphabet.IGNORED
    return (best == classes)[counted].float().mean().item()


if __name__ == "__main__":
    corpus, out, hidden, direction, chars, *before = sys.argv[1:]
    main(Path(corpus), Path(out), int(hidden), direction, int(chars), Path(before[0]) if before else None)
