"""Kernels that run over a sequence: gru, lstm, rnn. Tensors are [time, batch, features]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels.activation import sigmoid
from pocketrec.validate.coreml_program.kernels.linear import product

Array = npt.NDArray[Any]


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(0.2 * x + 0.5, 0.0, 1.0)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def _linear(x: Array) -> Array:
    return x


# scaled_tanh has both its scales at 1 here, since the ops take no parameters for it.
_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "hard_sigmoid": _hard_sigmoid,
    "linear": _linear,
    "relu": _relu,
    "scaled_tanh": np.tanh,
    "sigmoid": sigmoid,
    "sigmoid_hard": _hard_sigmoid,
    "tanh": np.tanh,
}


def _activation(name: str) -> Callable[[Array], Array]:
    try:
        return _ACTIVATIONS[str(name).lower()]
    except KeyError:
        known = ", ".join(sorted(_ACTIVATIONS))
        raise ExecutionError(f"activation {str(name)!r} is not known; expected one of {known}") from None


def _project(x: Array, weight: Array, bias: Array | None, op: Any) -> Array:
    """`x · weightᵀ + bias` of all steps at once: [time, batch, gates · H]."""
    flat = product(x.reshape(-1, x.shape[-1]), weight.T, op)
    if bias is not None:
        flat += bias
    return flat.reshape(*x.shape[:2], -1)


def _ordered(x: Array, direction: str) -> Array:
    if direction not in ("forward", "reverse"):
        raise ExecutionError(f"direction {direction!r} is not known; expected forward or reverse")
    return x[::-1] if direction == "reverse" else x


def _outputs(steps: list[Array], whole: Any) -> Array:
    return np.stack(steps) if whole else steps[-1][None]


def rnn(
    x: Array,
    initial_h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    direction: str = "forward",
    output_sequence: Any = False,
    activation: str = "tanh",
    *,
    op: Any = None,
) -> tuple[Array, Array]:
    """All hidden states (or the last) [s or 1, b, H] in the order they were computed, and the last [b, H]."""
    act, h, steps = _activation(activation), initial_h, []
    recurrent = weight_hh.T
    for given in _project(_ordered(x, str(direction)), weight_ih, bias, op):
        h = act(given + product(h, recurrent, op))
        steps.append(h)
    return _outputs(steps, output_sequence), h


def gru(
    x: Array,
    initial_h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    direction: str = "forward",
    output_sequence: Any = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
    reset_after: Any = False,
    input_bias: Array | None = None,
    *,
    op: Any = None,
) -> tuple[Array, Array]:
    """All hidden states (or the last) [s or 1, b, H] in the order they were computed, and the last [b, H].

    Gates are stored as reset, output, update. The reset gate multiplies the state before the
    recurrent product, W_ho (r · h), which the formula of the op leaves open; with iOS18's
    `reset_after` it multiplies the product, r · (W_ho h + b), as in PyTorch.
    """
    size = initial_h.shape[-1]
    gate, act, h, steps = _activation(recurrent_activation), _activation(activation), initial_h, []
    w_gates = weight_hh[np.r_[0:size, 2 * size : 3 * size]].T
    w_out = weight_hh[size : 2 * size].T
    b = np.zeros(3 * size, dtype=x.dtype) if bias is None else bias
    b_gates, b_out = b[np.r_[0:size, 2 * size : 3 * size]], b[size : 2 * size]
    for given in _project(_ordered(x, str(direction)), weight_ih, input_bias, op):
        given_gates = np.concatenate([given[:, :size], given[:, 2 * size :]], axis=1)
        r, z = np.split(gate(given_gates + product(h, w_gates, op) + b_gates), 2, axis=1)
        reset = h if reset_after else r * h
        candidate = product(reset, w_out, op) + b_out
        if reset_after:
            candidate = r * candidate
        h = (1.0 - z) * act(given[:, size : 2 * size] + candidate) + z * h
        steps.append(h)
    return _outputs(steps, output_sequence), h


def lstm(
    x: Array,
    initial_h: Array,
    initial_c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    peephole: Array | None = None,
    weight_ih_back: Array | None = None,
    weight_hh_back: Array | None = None,
    bias_back: Array | None = None,
    peephole_back: Array | None = None,
    direction: str = "forward",
    output_sequence: Any = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    clip: Any = None,
    *,
    op: Any = None,
) -> tuple[Array, Array, Array]:
    """Hidden states [s or 1, b, D·H], the last hidden state [b, D·H] and the last cell state [b, D·H].

    Gates are stored as input, forget, output, cell. A reverse layer gives its states in the order
    in which it computed them; a bidirectional one puts its backward half back into the order of `x`.
    `clip` bounds the cell state.
    """
    acts = (_activation(recurrent_activation), _activation(cell_activation), _activation(activation))
    if direction != "bidirectional":
        states, h, c = _lstm_pass(
            _ordered(x, str(direction)),
            initial_h,
            initial_c,
            weight_ih,
            weight_hh,
            bias,
            peephole,
            acts,
            clip,
            op,
        )
        return _outputs(states, output_sequence), h, c
    if weight_ih_back is None or weight_hh_back is None:
        raise ExecutionError("bidirectional needs weight_ih_back and weight_hh_back")
    (h_f, h_b), (c_f, c_b) = np.split(initial_h, 2, axis=1), np.split(initial_c, 2, axis=1)
    ahead, h_f, c_f = _lstm_pass(x, h_f, c_f, weight_ih, weight_hh, bias, peephole, acts, clip, op)
    back, h_b, c_b = _lstm_pass(
        x[::-1], h_b, c_b, weight_ih_back, weight_hh_back, bias_back, peephole_back, acts, clip, op
    )
    h, c = np.concatenate([h_f, h_b], axis=1), np.concatenate([c_f, c_b], axis=1)
    if not output_sequence:
        return h[None], h, c
    return np.concatenate([np.stack(ahead), np.stack(back[::-1])], axis=2), h, c


def _lstm_pass(
    x: Array,
    h: Array,
    c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None,
    peephole: Array | None,
    acts: tuple[Callable[[Array], Array], ...],
    clip: Any,
    op: Any,
) -> tuple[list[Array], Array, Array]:
    gate, cell, out = acts
    size = h.shape[-1]
    peep = None if peephole is None else np.split(peephole, 3)
    recurrent, steps = weight_hh.T, []
    for given in _project(x, weight_ih, bias, op):
        total = given + product(h, recurrent, op)
        i, f, o, z = (total[:, place * size : (place + 1) * size] for place in range(4))
        if peep is not None:
            i, f = i + c * peep[0], f + c * peep[1]
        c = gate(f) * c + gate(i) * cell(z)
        if clip is not None:
            c = np.clip(c, -clip, clip)
        if peep is not None:
            o = o + c * peep[2]
        h = gate(o) * out(c)
        steps.append(h)
    return steps, h, c


KERNELS: dict[str, Callable[..., Any]] = {"gru": gru, "lstm": lstm, "rnn": rnn}
