"""gru, lstm and rnn against PyTorch's layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import recurrent

settings.register_profile("recurrent", max_examples=25, deadline=None)
settings.load_profile("recurrent")

S, B, N, H = 5, 3, 4, 6
sizes = st.tuples(*[st.integers(1, 5)] * 4)
seeds = st.integers(0, 999)


def parts(layer: torch.nn.Module, suffix: str = "") -> dict[str, Any]:
    """Weights and biases of a PyTorch layer by short name."""
    return {
        name: getattr(layer, f"{kind}_l0{suffix}").detach().numpy()
        for name, kind in {"ih": "weight_ih", "hh": "weight_hh", "bi": "bias_ih", "bh": "bias_hh"}.items()
    }


def regroup(values: Any, order: tuple[int, ...]) -> Any:
    blocks = np.split(values, len(order))
    return np.concatenate([blocks[place] for place in order])


def sequence(seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal((S, B, N)).astype(np.float32)


def close(ours: Any, theirs: Any) -> None:
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_rnn_agrees_with_torch(direction: str, whole: bool) -> None:
    """A reverse layer is a forward layer on the turned sequence, its states in the order computed."""
    torch.manual_seed(0)
    layer, x, h = torch.nn.RNN(N, H), sequence(1), np.full((B, H), 0.3, dtype=np.float32)
    w = parts(layer)
    ours, last = recurrent.rnn(
        x, h, w["ih"], w["hh"], w["bi"] + w["bh"], direction=direction, output_sequence=whole
    )
    given = x[::-1].copy() if direction == "reverse" else x
    states, final = layer(torch.tensor(given), torch.tensor(h)[None])
    close(ours, states if whole else states[-1:])
    close(last, final[0])


def test_gru_with_reset_after_agrees_with_torch() -> None:
    """With `reset_after` and both biases the op is PyTorch's GRU, gates stored as r, o, z."""
    torch.manual_seed(0)
    layer, x, h = torch.nn.GRU(N, H), sequence(2), np.full((B, H), -0.2, dtype=np.float32)
    w = {name: regroup(value, (0, 2, 1)) for name, value in parts(layer).items()}
    ours, last = recurrent.gru(
        x, h, w["ih"], w["hh"], w["bh"], output_sequence=True, reset_after=True, input_bias=w["bi"]
    )
    states, final = layer(torch.tensor(x), torch.tensor(h)[None])
    close(ours, states)
    close(last, final[0])


def test_gru_resets_before_the_product_by_default() -> None:
    """h' = (1 - z) · tanh(W_o x + R_o (r · h) + b_o) + z · h, one step by hand."""
    rng = np.random.default_rng(3)
    x, h = rng.standard_normal((1, B, N)), rng.standard_normal((B, H))
    w, r, b = (rng.standard_normal(shape) for shape in ((3 * H, N), (3 * H, H), (3 * H,)))
    (w_r, w_o, w_z), (r_r, r_o, r_z), (b_r, b_o, b_z) = (np.split(each, 3) for each in (w, r, b))
    reset = 1 / (1 + np.exp(-(x[0] @ w_r.T + h @ r_r.T + b_r)))
    update = 1 / (1 + np.exp(-(x[0] @ w_z.T + h @ r_z.T + b_z)))
    new = np.tanh(x[0] @ w_o.T + (reset * h) @ r_o.T + b_o)
    ours, _ = recurrent.gru(x, h, w, r, b)
    np.testing.assert_allclose(ours[0], (1 - update) * new + update * h, atol=1e-6)


@pytest.mark.parametrize("whole", [True, False])
def test_bidirectional_lstm_agrees_with_torch(whole: bool) -> None:
    """Both halves lie side by side, the backward one in the order of the input; gates are i, f, o, z."""
    torch.manual_seed(0)
    layer, x = torch.nn.LSTM(N, H, bidirectional=True), sequence(4)
    h0, c0 = torch.randn(2, B, H), torch.randn(2, B, H)
    ahead, back = (
        {name: regroup(value, (0, 1, 3, 2)) for name, value in parts(layer, suffix).items()}
        for suffix in ("", "_reverse")
    )
    both_h, both_c = (np.concatenate([each[0], each[1]], axis=1) for each in (h0.numpy(), c0.numpy()))
    ours, h, c = recurrent.lstm(
        x,
        both_h,
        both_c,
        ahead["ih"],
        ahead["hh"],
        ahead["bi"] + ahead["bh"],
        weight_ih_back=back["ih"],
        weight_hh_back=back["hh"],
        bias_back=back["bi"] + back["bh"],
        direction="bidirectional",
        output_sequence=whole,
    )
    states, (hn, cn) = layer(torch.tensor(x), (h0, c0))
    close(h, torch.cat([hn[0], hn[1]], dim=1))
    close(c, torch.cat([cn[0], cn[1]], dim=1))
    close(ours, states if whole else torch.cat([states[-1:, :, :H], states[:1, :, H:]], dim=2))


def test_gates_that_are_nearly_closed_let_through_what_pytorch_lets_through() -> None:
    """A gate at -20 is 2.06e-9, not a step of 1: no number is lost by adding 1 to it."""
    layer = torch.nn.LSTM(N, H)
    with torch.no_grad():
        layer.get_parameter("bias_ih_l0")[3 * H :] -= 20
    given = {name: regroup(value, (0, 1, 3, 2)) for name, value in parts(layer).items()}
    zeros = np.zeros((B, H), np.float32)
    ours, _, _ = recurrent.lstm(
        sequence(7),
        zeros,
        zeros,
        given["ih"],
        given["hh"],
        given["bi"] + given["bh"],
        output_sequence=True,
    )
    states = layer(torch.tensor(sequence(7)))[0].detach().numpy()
    assert 0 < np.abs(states).max() < 1e-8
    np.testing.assert_allclose(ours, states, rtol=1e-3)


def test_lstm_clips_its_cell_state() -> None:
    """No element of the memory leaves [-clip, clip]."""
    rng = np.random.default_rng(5)
    w, r = rng.standard_normal((4 * H, N)) * 9, rng.standard_normal((4 * H, H))
    zeros = np.zeros((B, H))
    _, _, free = recurrent.lstm(sequence(6), zeros, zeros, w, r)
    _, _, held = recurrent.lstm(sequence(6), zeros, zeros, w, r, clip=np.float32(0.1))
    assert np.abs(free).max() > 0.1
    assert np.abs(held).max() <= np.float32(0.1)


def test_unknown_activation_is_named() -> None:
    """The error lists what would be known."""
    zeros = np.zeros((B, H))
    with pytest.raises(ExecutionError, match=r"activation 'gelu' is not known; expected one of hard_sigmoid"):
        recurrent.rnn(sequence(0), zeros, np.zeros((H, N)), np.zeros((H, H)), activation="gelu")


def drawn(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@given(seeds, sizes, st.booleans())
def test_rnn_agrees_with_torch_in_any_size(seed: int, size: tuple[int, ...], relu: bool) -> None:
    """tanh and relu; a single step, sample or feature included."""
    steps, batch, width, hidden = size
    torch.manual_seed(seed)
    name = "relu" if relu else "tanh"
    layer, x = torch.nn.RNN(width, hidden, nonlinearity=name), drawn(seed, steps, batch, width)
    w, h = parts(layer), drawn(seed + 1, batch, hidden)
    ours, last = recurrent.rnn(
        x, h, w["ih"], w["hh"], w["bi"] + w["bh"], output_sequence=True, activation=name
    )
    states, final = layer(torch.tensor(x), torch.tensor(h)[None])
    close(ours, states)
    close(last, final[0])


@given(seeds, sizes, st.sampled_from(["forward", "reverse"]))
def test_gru_agrees_with_torch_in_any_size(seed: int, size: tuple[int, ...], direction: str) -> None:
    """With `reset_after`, in both directions."""
    steps, batch, width, hidden = size
    torch.manual_seed(seed)
    layer, x, h = (
        torch.nn.GRU(width, hidden),
        drawn(seed, steps, batch, width),
        drawn(seed + 1, batch, hidden),
    )
    w = {name: regroup(value, (0, 2, 1)) for name, value in parts(layer).items()}
    ours, last = recurrent.gru(
        x,
        h,
        w["ih"],
        w["hh"],
        w["bh"],
        direction=direction,
        output_sequence=True,
        reset_after=True,
        input_bias=w["bi"],
    )
    turned = x[::-1].copy() if direction == "reverse" else x
    states, final = layer(torch.tensor(turned), torch.tensor(h)[None])
    close(ours, states)
    close(last, final[0])


@given(seeds, sizes, st.booleans())
def test_lstm_agrees_with_torch_in_any_size(seed: int, size: tuple[int, ...], whole: bool) -> None:
    """Hidden and cell states, all of them or the last."""
    steps, batch, width, hidden = size
    torch.manual_seed(seed)
    layer, x = torch.nn.LSTM(width, hidden), drawn(seed, steps, batch, width)
    h, c = drawn(seed + 1, batch, hidden), drawn(seed + 2, batch, hidden)
    w = {name: regroup(value, (0, 1, 3, 2)) for name, value in parts(layer).items()}
    ours, last_h, last_c = recurrent.lstm(x, h, c, w["ih"], w["hh"], w["bi"] + w["bh"], output_sequence=whole)
    states, (hn, cn) = layer(torch.tensor(x), (torch.tensor(h)[None], torch.tensor(c)[None]))
    close(ours, states if whole else states[-1:])
    close(last_h, hn[0])
    close(last_c, cn[0])
