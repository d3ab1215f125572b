"""The network: characters -> accents. Embedding, two recurrent layers, one linear layer a character."""

import torch
from torch import nn

import alphabet

EMBEDDING = 48
LAYERS = 2
DROPOUT = 0.1


class Accents(nn.Module):
    """int64[batch, characters] -> float32[batch, characters, classes], logits."""

    def __init__(self, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(alphabet.INPUTS) + 1, EMBEDDING)
        self.gru = nn.GRU(EMBEDDING, hidden, LAYERS, batch_first=True, dropout=DROPOUT, bidirectional=bidirectional)
        self.head = nn.Linear(hidden * (1 + bidirectional), len(alphabet.CLASSES))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states, _ = self.gru(self.embedding(ids))
        return self.head(states)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
