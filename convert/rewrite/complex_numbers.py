"""Complex arithmetic in real numbers: every complex tensor becomes its real and imaginary part.

Neither Core ML nor ONNX has complex tensors. Fourier layers and linear recurrences only use them
inside, so the graph is run again with pairs; a discrete Fourier transform is a product with
constant cosines and sines: X[k] = sum over t of x[t] (cos(2 pi k t / n) - i sin(2 pi k t / n)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_any, tree_leaves, tree_map

from pocketrec.convert.rewrite.ops import OpRule, ProvedOp, gap
from pocketrec.convert.watch.lines import line_in_trace
from pocketrec.errors import Refused

aten = torch.ops.aten


class Pair(NamedTuple):
    """A complex tensor: its real and imaginary parts, of one shape."""

    real: Tensor
    imag: Tensor


def uses_complex(program: torch.export.ExportedProgram) -> bool:
    """True where the program computes with complex tensors."""
    return any(_is_complex(node.meta.get("val")) for node in program.graph.nodes)


def complex_rewrites(
    program: torch.export.ExportedProgram, probes: Sequence[tuple[Tensor, ...]]
) -> list[ProvedOp]:
    """The use of real numbers in a program with complex ones, and the largest difference on the probes."""
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    first = next((node for node in calls if _is_complex(node.meta.get("val"))), None)
    if first is None:
        return []
    plain, real = program.module(check_guards=False), RealModule(program.run_decompositions())
    with torch.no_grad():
        pairs = [(tree_leaves(plain(*each)), tree_leaves(real(*each))) for each in probes]
    gaps = [gap(one, two) for left, right in pairs for one, two in zip(left, right, strict=True)]
    where = line_in_trace(first.meta.get("stack_trace") or "")
    return [ProvedOp(rule=_RULE, where=where, max_abs_error=max(gaps, default=0.0))]


class RealModule(nn.Module):
    """A program in the core ATen dialect, run with pairs in the place of complex tensors.

    Raises:
        Refused: while it runs, for an op that has no counterpart here.
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self.body = program.module(check_guards=False)
        self._parts: dict[str, tuple[str, str]] = {}
        for node in self.body.graph.nodes:
            if node.op == "get_attr":
                self._split(str(node.target))

    def _split(self, path: str) -> None:
        """Two buffers in the place of a complex parameter or buffer."""
        holder, _, leaf = path.rpartition(".")
        owner = self.body.get_submodule(holder)
        value: Any = None if path in self._parts else getattr(owner, leaf)
        if not _is_complex(value):
            return
        number = len(self._parts)
        parts = torch.view_as_real(value.detach().resolve_conj()).unbind(-1)
        self._parts[path] = (f"real_{number}", f"imag_{number}")
        for name, part in zip(self._parts[path], parts, strict=True):
            self.register_buffer(name, part.clone())
        delattr(owner, leaf)

    def forward(self, *inputs: Tensor) -> Any:
        """The program's outputs."""
        return _Interpreter(self).run(*inputs)

    def constant(self, path: str) -> Pair | None:
        """A complex parameter as a pair; None where it is real."""
        names = self._parts.get(path)
        return Pair(*(getattr(self, name) for name in names)) if names else None

    def wave(self, size: int, count: int) -> Pair:
        """Cosines and sines of 2 pi k t / size, `[size, count]` for t and k.

        They are buffers from the first run on, so that an export after it shares them.
        """
        names = [f"{each}_{size}_{count}" for each in ("cos", "sin")]
        if not hasattr(self, names[0]):
            # The product is reduced modulo the period first: large angles lose digits.
            turns = torch.outer(torch.arange(size), torch.arange(count)) % size
            angles = turns.double() * (2 * math.pi / size)
            self.register_buffer(names[0], angles.cos().float())
            self.register_buffer(names[1], angles.sin().float())
        return Pair(getattr(self, names[0]), getattr(self, names[1]))


def _is_complex(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_complex()


class _Interpreter(fx.Interpreter):
    def __init__(self, module: RealModule) -> None:
        super().__init__(module.body)
        self._module = module

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        """The attribute; a pair where it is complex."""
        pair = self._module.constant(str(target))
        return super().get_attr(target, args, kwargs) if pair is None else pair

    def run_node(self, n: fx.Node) -> Any:
        """The node's value; a pair where it is complex."""
        if n.op != "call_function":
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        if not _has_pair((args, kwargs)) and not _is_complex(n.meta.get("val")):
            return super().run_node(n)
        rule = _RULES.get(getattr(n.target, "overloadpacket", None))
        if rule is None:
            raise Refused(
                op=str(n.target),
                where=line_in_trace(n.meta.get("stack_trace") or ""),
                reason="there are no complex numbers on the target, and this op is not known in real ones",
                remedy="write it with real and imaginary parts",
            )
        return rule(self._module, n.target, *args, **kwargs)


def _has_pair(values: Any) -> bool:
    return tree_any(lambda each: isinstance(each, Pair), values, is_leaf=_is_pair)


def _is_pair(value: Any) -> bool:
    return isinstance(value, Pair)


def _pair(value: Any, like: Tensor | None = None) -> Pair:
    """The value as a pair; numbers become tensors without axes."""
    if isinstance(value, Pair):
        return value
    if isinstance(value, Tensor):
        return Pair(value, torch.zeros_like(value))
    number = complex(value)
    assert like is not None
    return Pair(torch.full_like(like, number.real), torch.full_like(like, number.imag))


def _operands(x: Any, y: Any) -> tuple[Pair, Pair]:
    like = next(each.real for each in (x, y) if isinstance(each, Pair))
    return _pair(x, like), _pair(y, like)


def _each_part(module: RealModule, op: Any, *args: Any, **kwargs: Any) -> Any:
    """A linear op with real coefficients: done to both parts."""
    if kwargs.pop("dtype", None) is not None or kwargs.get("alpha") is not None:
        raise Refused(op=str(op), where="", reason="a dtype for complex numbers", remedy="leave it out")
    pairs = tree_map(
        lambda each: _pair(each) if isinstance(each, Tensor) and each.is_floating_point() else each,
        args,
        is_leaf=_is_pair,
    )
    real = op(*tree_map(lambda e: e.real if _is_pair(e) else e, pairs, is_leaf=_is_pair), **kwargs)
    imag = op(*tree_map(lambda e: e.imag if _is_pair(e) else e, pairs, is_leaf=_is_pair), **kwargs)
    if isinstance(real, list | tuple):
        return [Pair(*each) for each in zip(real, imag, strict=True)]
    return Pair(real, imag)


def _add(sign: float) -> Callable[..., Pair]:
    def add(module: RealModule, op: Any, x: Any, y: Any, *, alpha: float = 1) -> Pair:
        left, right = _operands(x, y)
        scale = sign * alpha
        return Pair(left.real + right.real * scale, left.imag + right.imag * scale)

    return add


def _product(left: Pair, right: Pair, multiply: Callable[[Tensor, Tensor], Tensor]) -> Pair:
    real = multiply(left.real, right.real) - multiply(left.imag, right.imag)
    return Pair(real, multiply(left.real, right.imag) + multiply(left.imag, right.real))


def _multiply(module: RealModule, op: Any, x: Any, y: Any) -> Pair:
    real = next((each for each in (x, y) if isinstance(each, Tensor | int | float)), None)
    if real is not None:
        pair = x if isinstance(x, Pair) else y
        return Pair(pair.real * real, pair.imag * real)
    return _product(*_operands(x, y), torch.mul)


def _matmul(module: RealModule, op: Any, x: Any, y: Any) -> Pair:
    return _product(_pair(x), _pair(y), torch.matmul)


def _addmm(
    module: RealModule, op: Any, bias: Any, x: Any, y: Any, *, beta: float = 1, alpha: float = 1
) -> Pair:
    product, start = _matmul(module, op, x, y), _pair(bias)
    return Pair(start.real * beta + product.real * alpha, start.imag * beta + product.imag * alpha)


def _divide(module: RealModule, op: Any, x: Any, y: Any) -> Pair:
    if not isinstance(y, Pair) and not isinstance(y, complex):
        return Pair(x.real / y, x.imag / y)
    left, right = _operands(x, y)
    size = right.real.square() + right.imag.square()
    turned = _product(left, Pair(right.real, -right.imag), torch.mul)
    return Pair(turned.real / size, turned.imag / size)


def _absolute(module: RealModule, op: Any, x: Pair) -> Tensor:
    return (x.real.square() + x.imag.square()).sqrt()


def _angle(module: RealModule, op: Any, x: Pair) -> Tensor:
    return torch.atan2(x.imag, x.real)


def _exp(module: RealModule, op: Any, x: Pair) -> Pair:
    return _polar(module, op, x.real.exp(), x.imag)


def _polar(module: RealModule, op: Any, size: Tensor, angle: Tensor) -> Pair:
    return Pair(size * angle.cos(), size * angle.sin())


def _log(module: RealModule, op: Any, x: Pair) -> Pair:
    return Pair(_absolute(module, op, x).log(), _angle(module, op, x))


def _power(module: RealModule, op: Any, x: Pair, exponent: float) -> Pair:
    if exponent == int(exponent) and 1 <= exponent <= 8:
        result = x
        for _ in range(int(exponent) - 1):
            result = _product(result, x, torch.mul)
        return result
    return _polar(module, op, _absolute(module, op, x) ** exponent, _angle(module, op, x) * exponent)


def _conj(module: RealModule, op: Any, x: Pair) -> Pair:
    return Pair(x.real, -x.imag)


def _to_copy(module: RealModule, op: Any, x: Any, *, dtype: torch.dtype | None = None, **_: Any) -> Any:
    if dtype is None or dtype.is_complex:
        return _pair(x.float() if isinstance(x, Tensor) else x)
    return x.real.to(dtype)


def _full_like(module: RealModule, op: Any, x: Any, value: Any, **_: Any) -> Pair:
    return _pair(value, x.real if isinstance(x, Pair) else x)


def _full(module: RealModule, op: Any, size: Any, value: Any, **_: Any) -> Pair:
    number = complex(value)
    return Pair(torch.full(size, number.real), torch.full(size, number.imag))


def _size(module: RealModule, op: Any, x: Pair, axis: int) -> Any:
    return op(x.real, axis)


def _nothing(module: RealModule, op: Any, *args: Any, **kwargs: Any) -> None:
    return None


def _unchanged(module: RealModule, op: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    return x


# torch.fft's normalizations, as the ops carry them: none, by the root of the size, by the size.
_SCALES: tuple[Callable[[int], float], ...] = (lambda n: 1.0, lambda n: n**-0.5, lambda n: 1.0 / n)


def _fixed(size: Any) -> int:
    if not isinstance(size, int):
        raise Refused(
            op="aten.fft",
            where="",
            reason="the length of a Fourier transform differs from call to call",
            remedy="fix the length that is transformed, and leave only the batch free",
        )
    return size


def _transform(x: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """`x` with `axis` multiplied by `[size, count]`."""
    return (x.movedim(axis, -1) @ matrix).movedim(-1, axis)


def _dft(module: RealModule, x: Pair, axis: int, *, forward: bool) -> Pair:
    size = _fixed(x.real.shape[axis])
    cos, sin = module.wave(size, size)
    if forward:
        sin = -sin
    real = _transform(x.real, axis, cos) - _transform(x.imag, axis, sin)
    return Pair(real, _transform(x.real, axis, sin) + _transform(x.imag, axis, cos))


def _fft_c2c(
    module: RealModule, op: Any, x: Any, dims: Sequence[int], normalization: int, forward: bool
) -> Pair:
    result = _pair(x)
    scale = 1.0
    for axis in dims:
        result = _dft(module, result, axis, forward=forward)
        scale *= _SCALES[normalization](_fixed(result.real.shape[axis]))
    return Pair(result.real * scale, result.imag * scale)


def _fft_r2c(
    module: RealModule, op: Any, x: Tensor, dims: Sequence[int], normalization: int, onesided: bool
) -> Pair:
    last = dims[-1]
    size = _fixed(x.shape[last])
    cos, sin = module.wave(size, size // 2 + 1 if onesided else size)
    scale = _SCALES[normalization](size)
    half = Pair(_transform(x, last, cos) * scale, _transform(x, last, sin) * -scale)
    return _fft_c2c(module, op, half, dims[:-1], normalization, True)


def _fft_c2r(
    module: RealModule, op: Any, x: Pair, dims: Sequence[int], normalization: int, size: int
) -> Tensor:
    whole = _fft_c2c(module, op, x, dims[:-1], normalization, False)
    last, count = dims[-1], _fixed(size) // 2 + 1
    cos, sin = module.wave(size, count)
    # The half that is not stored is the conjugate of the other; the first and the middle have none.
    alone = {0, size / 2}
    scale = _SCALES[normalization](size)
    weight = torch.tensor([[scale if each in alone else 2 * scale] for each in range(count)])
    return _transform(whole.real, last, cos.T * weight) - _transform(whole.imag, last, sin.T * weight)


_LINEAR = (
    "alias cat clone constant_pad_nd contiguous copy detach diagonal expand flip gather index index_select "
    "mean narrow neg permute repeat reshape roll select select_scatter slice slice_scatter split "
    "split_with_sizes squeeze stack sum t transpose unbind unsqueeze view where cumsum as_strided "
    "index_put scatter scatter_add index_add index_copy"
)
_RULES: dict[Any, Callable[..., Any]] = {
    **{getattr(aten, name): _each_part for name in _LINEAR.split() if hasattr(aten, name)},
    aten.add: _add(1.0),
    aten.sub: _add(-1.0),
    aten.mul: _multiply,
    aten.div: _divide,
    aten.mm: _matmul,
    aten.bmm: _matmul,
    aten.addmm: _addmm,
    aten.abs: _absolute,
    aten.angle: _angle,
    aten.exp: _exp,
    aten.log: _log,
    aten.pow: _power,
    aten.polar: _polar,
    aten._conj: _conj,
    aten.conj_physical: _conj,
    aten.resolve_conj: _unchanged,
    aten._to_copy: _to_copy,
    aten.lift_fresh_copy: _unchanged,
    aten.full_like: _full_like,
    aten.full: _full,
    aten.complex: lambda module, op, real, imag: Pair(real, imag),
    aten.real: lambda module, op, x: x.real,
    aten.imag: lambda module, op, x: x.imag,
    aten.view_as_real: lambda module, op, x: torch.stack([x.real, x.imag], -1),
    aten.view_as_complex: lambda module, op, x: Pair(x[..., 0], x[..., 1]),
    aten.sym_size: _size,
    aten._assert_tensor_metadata: _nothing,
    aten._fft_c2c: _fft_c2c,
    aten._fft_r2c: _fft_r2c,
    aten._fft_c2r: _fft_c2r,
}

# It is not looked up by its op: whole programs are rewritten.
_RULE = OpRule(
    name="complex_to_pairs",
    op=aten.complex.default,
    replace=Pair,
    reason="neither Core ML nor ONNX has complex tensors",
)
