"""Recurrent layers: each step of each layer and direction multiplies N * gates*H * (in + R) for input and state.

Gates: RNN 1, GRU 3, LSTM 4. R is H, or the projected width P, and a projection adds N*H*P a step. Of a second layer
``in`` is the (two) first layer's output. Packed sequences run the sum of their lengths, not the padded length.

The backward has dW for every product; dX of the first layer only if the input requires grad; the state's gradient at
every step whose state was computed, which is all but the first (an initial state, if any, requires no grad).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from ..case import Family, grad, rand

cases = Family("recurrent")

# T=5 steps, N=2, in=6, H=4: products of one gate with the input, with the state, and the state's gradient.
X, H, BACK = 5 * 2 * 4 * 6, 5 * 2 * 4 * 4, 4 * 2 * 4 * 4


@cases.case(
    lambda: rand(5, 2, 6),
    macs=X + H,
    params=4 * 6 + 4 * 4 + 8,
    training=2 * X + 2 * H + BACK,
    why="T*N*H*(in+H); +dW of both, +dh of 4 steps",
)
def rnn() -> nn.Module:
    return nn.RNN(6, 4)


@cases.case(
    lambda: grad(5, 2, 6),
    macs=X + H,
    params=4 * 6 + 4 * 4,
    training=3 * X + 2 * H + BACK,
    why="the input requires grad: +dX",
)
def rnn_relu() -> nn.Module:
    return nn.RNN(6, 4, nonlinearity="relu", bias=False)


@cases.case(
    lambda: rand(5, 2, 6),
    macs=3 * (X + H),
    params=3 * (4 * 6 + 4 * 4 + 8),
    training=3 * (2 * X + 2 * H + BACK),
    why="3 gates",
)
def gru() -> nn.Module:
    return nn.GRU(6, 4)


@cases.case(
    lambda: rand(5, 2, 6),
    macs=4 * (X + H),
    params=4 * (4 * 6 + 4 * 4 + 8),
    training=4 * (2 * X + 2 * H + BACK),
    why="4 gates",
)
def lstm() -> nn.Module:
    return nn.LSTM(6, 4)


@cases.case(
    lambda: grad(2, 5, 6),
    macs=4 * (X + H),
    params=4 * (4 * 6 + 4 * 4),
    training=4 * (3 * X + 2 * H + BACK),
    why="batch first; the input requires grad: +dX",
)
def lstm_batch_first() -> nn.Module:
    return nn.LSTM(6, 4, batch_first=True, bias=False)


@cases.case(
    lambda: rand(5, 2, 6),
    macs=4 * (X + H) + 4 * 2 * H,
    params=4 * (4 * 6 + 4 * 4 + 8) + 4 * (4 * 4 + 4 * 4 + 8),
    training=4 * (2 * X + 2 * H + BACK) + 4 * (3 * H + 2 * H + BACK),
    why="the second layer's input is the first one's output (4 wide), with dX",
)
def lstm_two_layers() -> nn.Module:
    return nn.LSTM(6, 4, num_layers=2)


@cases.case(
    lambda: rand(5, 2, 6),
    macs=2 * 4 * (X + H),
    params=2 * 4 * (4 * 6 + 4 * 4 + 8),
    training=2 * 4 * (2 * X + 2 * H + BACK),
    why="two directions",
)
def lstm_bidirectional() -> nn.Module:
    return nn.LSTM(6, 4, bidirectional=True)


@cases.case(
    lambda: rand(5, 2, 6),
    macs=2 * 3 * (X + H) + 2 * 3 * (2 * H + H),
    params=2 * 3 * (4 * 6 + 4 * 4 + 8) + 2 * 3 * (4 * 8 + 4 * 4 + 8),
    training=2 * 3 * (2 * X + 2 * H + BACK) + 2 * 3 * (3 * 2 * H + 2 * H + BACK),
    why="the second layer sees both directions (8 wide)",
)
def gru_two_layers_bidirectional() -> nn.Module:
    return nn.GRU(6, 4, num_layers=2, bidirectional=True)


@cases.case(
    lambda: rand(5, 2, 6),
    macs=10 * 4 * 4 * (6 + 3) + 10 * 4 * 3,
    params=4 * (4 * 6 + 4 * 3 + 8) + 4 * 3,
    training=4 * (2 * X + 2 * 10 * 4 * 3 + 8 * 4 * 3) + 3 * 10 * 4 * 3,
    why="the state is projected to P=3: N*H*P a step, with dW and dX",
)
def lstm_projected() -> nn.Module:
    return nn.LSTM(6, 4, proj_size=3)


@cases.case(
    lambda: rand(5, 2, 6),
    macs=2 * (10 * 16 * (6 + 3) + 10 * 12) + 2 * (10 * 16 * (6 + 3) + 10 * 12),
    params=2 * (16 * 6 + 16 * 3 + 32 + 12) + 2 * (16 * 6 + 16 * 3 + 32 + 12),
    training=4 * (2 * 10 * 16 * 3 + 8 * 16 * 3 + 3 * 120) + 2 * (2 * 10 * 16 * 6) + 2 * (3 * 10 * 16 * 6),
    why="both directions of 3 make the second layer's input 6 wide too",
)
def lstm_projected_two_layers_bidirectional() -> nn.Module:
    return nn.LSTM(6, 4, num_layers=2, proj_size=3, bidirectional=True)


@cases.case(
    lambda: rand(5, 6),
    macs=4 * (X + H) // 2,
    params=4 * (4 * 6 + 4 * 4 + 8),
    training=4 * (2 * X + 2 * H + BACK) // 2,
    why="N=1",
)
def lstm_unbatched() -> nn.Module:
    return nn.LSTM(6, 4)


@cases.case(
    lambda: rand(5, 6),
    macs=3 * (X + H) // 2,
    params=3 * (4 * 6 + 4 * 4 + 8),
    training=3 * (2 * X + 2 * H + BACK) // 2,
    why="N=1",
)
def gru_unbatched() -> nn.Module:
    return nn.GRU(6, 4)


@cases.case(
    lambda: (rand(5, 2, 6), (rand(1, 2, 4), rand(1, 2, 4))),
    macs=4 * (X + H),
    params=4 * (4 * 6 + 4 * 4 + 8),
    training=4 * (2 * X + 2 * H + BACK),
    why="an initial state without gradient costs nothing",
)
def lstm_initial_state() -> nn.Module:
    return nn.LSTM(6, 4)


@cases.case(
    lambda: (rand(5, 2, 6), grad(1, 2, 4)),
    macs=3 * (X + H),
    params=3 * (4 * 6 + 4 * 4 + 8),
    training=3 * (2 * X + 3 * H),
    why="the initial state requires grad: dh of all 5 steps",
)
def gru_initial_state_with_gradient() -> nn.Module:
    return nn.GRU(6, 4)


def packed() -> tuple[PackedSequence]:
    return (pack_sequence([rand(5, 6), rand(3, 6)]),)


# 5 + 3 = 8 rows instead of 10; the first step has 2 of them.
@cases.case(
    packed,
    macs=4 * 8 * 4 * (6 + 4),
    params=4 * (4 * 6 + 4 * 4 + 8),
    training=4 * (2 * 8 * 4 * 6 + 2 * 8 * 4 * 4 + 6 * 4 * 4),
    why="5+3 rows, not 2*5",
    varies={"meta": "packing needs the lengths' values"},
)
def lstm_packed() -> nn.Module:
    return nn.LSTM(6, 4)


@cases.case(
    packed,
    macs=2 * 3 * 8 * 4 * (6 + 4) + 2 * 3 * 8 * 4 * (8 + 4),
    params=2 * 3 * (4 * 6 + 4 * 4 + 8) + 2 * 3 * (4 * 8 + 4 * 4 + 8),
    why="8 rows, two directions, the second layer sees both",
    varies={"meta": "packing needs the lengths' values"},
)
def gru_packed_two_layers_bidirectional() -> nn.Module:
    return nn.GRU(6, 4, num_layers=2, bidirectional=True)


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        return self.head(pad_packed_sequence(states, batch_first=True)[0])


@cases.case(
    lambda: (rand(2, 6, 6), torch.tensor([3, 5])),
    macs=4 * 8 * 4 * (6 + 4) + 2 * 5 * 4 * 3,
    params=4 * (4 * 6 + 4 * 4 + 8) + 4 * 3 + 3,
    training=4 * (2 * 8 * 4 * 6 + 2 * 8 * 4 * 4 + 6 * 4 * 4) + 3 * 2 * 5 * 4 * 3,
    why="3+5 rows in the layer; the head sees both padded to 5",
    varies={"meta": "packing needs the lengths' values"},
)
def packing_in_forward() -> nn.Module:
    return Tagger()


for cell, gates in ((nn.RNNCell, 1), (nn.GRUCell, 3), (nn.LSTMCell, 4)):
    cases.case(
        lambda: rand(2, 6),
        name=cell.__name__,
        macs=gates * 2 * 4 * (6 + 4),
        params=gates * (4 * 6 + 4 * 4 + 8),
        training=2 * gates * 2 * 4 * (6 + 4),
        why="one step from zeros, with dW",
    )(lambda cell=cell: cell(6, 4))


class Unrolled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: Any = None
        for step in x:
            state = self.cell(step, state)
        return state[0]


@cases.case(
    lambda: rand(5, 2, 6),
    macs=4 * (X + H),
    params=4 * (4 * 6 + 4 * 4 + 8),
    training=4 * (2 * X + 2 * H + BACK),
    why="five calls of one cell: as the layer",
)
def unrolled_cell() -> nn.Module:
    return Unrolled()
