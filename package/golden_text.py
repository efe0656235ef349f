"""Golden vectors as JSON, for XCTest and everybody without safetensors; bit for bit the same numbers.

golden/<function>.vectors.json    {"schema": 1, "function": ..., "left_out": [...], "vectors": [
    {"name": ..., "inputs": {name: tensor}, "outputs": {name: tensor}}]}
tensor    {"dtype": "float32", "shape": [1, 3], "step": 1, "data": [0.5, "-inf", "nan"]}

`data` is in row-major order. A float32 is written so that it comes back whether it is read as float32 or as
float64; what JSON has no number for is "nan", "inf" or "-inf". Of an output with very many numbers every
`step`th is given, from the first one on; a vector whose inputs have too many is named in `left_out`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ArtifactError
from pocketrec.package.bundle import Bundle
from pocketrec.package.manifest import read_json

Array = npt.NDArray[np.generic]
Arrays = Mapping[str, Array]
_MOST_INPUT = 1 << 16  # numbers of a vector's inputs, which are whole or not there
_MOST_OUTPUTS = 1 << 18  # numbers of all outputs in a file, some 3 MB
_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_KINDS: Mapping[str, tuple[type, ...]] = {"b": (bool,), "i": (int,), "f": (int, float)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTensor:
    """A tensor in words: every `step`th of its numbers, in row-major order."""

    dtype: Literal["int32", "int64", "float32", "bool"]
    shape: tuple[int, ...]
    step: int
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVector:
    """A golden vector in words."""

    name: str
    inputs: Mapping[str, TextTensor]
    outputs: Mapping[str, TextTensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVectors:
    """What a file holds; `left_out` names the vectors whose inputs are too large for it."""

    schema: Literal[1]
    function: str
    left_out: tuple[str, ...]
    vectors: tuple[TextVector, ...]


def text_name(function: str) -> str:
    """Where a bundle holds them; no function's name makes it that of another file in the folder."""
    return f"golden/{function}.vectors.json"


def to_text(function: str, vectors: Mapping[str, tuple[Arrays, Arrays]]) -> str:
    """The file: a line a vector, the same for the same vectors.

    Args:
        function: whose vectors they are.
        vectors: name to inputs and outputs.
    """
    kept, most = _kept(vectors)
    lines = [_vector(name, *each, most=most) for name, each in kept.items()]
    head = {"schema": 1, "function": function, "left_out": [each for each in vectors if each not in kept]}
    body = ",\n".join(lines)
    return f'{json.dumps(head)[:-1]}, "vectors": [\n{body}\n]}}\n'


def _kept(vectors: Mapping[str, tuple[Arrays, Arrays]]) -> tuple[dict[str, tuple[Arrays, Arrays]], int]:
    """The vectors that are not left out, and the most numbers of each output."""
    kept = {name: each for name, each in vectors.items() if _numbers(each[0]) <= _MOST_INPUT}
    count = sum(len(outputs) for _, outputs in kept.values())
    return kept, max(1, _MOST_OUTPUTS // max(1, count))


def _numbers(arrays: Arrays) -> int:
    return sum(each.size for each in arrays.values())


def _vector(name: str, inputs: Arrays, outputs: Arrays, *, most: int) -> str:
    given = ", ".join(f"{json.dumps(each)}: {_tensor(array, 1)}" for each, array in sorted(inputs.items()))
    made = ", ".join(
        f"{json.dumps(each)}: {_tensor(array, step_of(array.shape, most))}"
        for each, array in sorted(outputs.items())
    )
    return f'{{"name": {json.dumps(name)}, "inputs": {{{given}}}, "outputs": {{{made}}}}}'


def step_of(shape: Sequence[int], most: int) -> int:
    """Every which number is given, so that there are `most` at most; rows share no column by it."""
    step = -(-math.prod(shape) // most)
    while step > 1 and math.gcd(step, shape[-1]) != 1:
        step += 1
    return max(1, step)


def _tensor(array: Array, step: int) -> str:
    data = ",".join(_spelled(array.reshape(-1)[::step]))
    shape = json.dumps(list(array.shape))
    return f'{{"dtype": "{array.dtype}", "shape": {shape}, "step": {step}, "data": [{data}]}}'


def _spelled(numbers: Array) -> list[str]:
    """Each number as it stands in the file."""
    if numbers.dtype.kind != "f":
        return [json.dumps(each) for each in numbers.tolist()]
    texts = numbers.astype(str).tolist()
    again = np.array([float(each) for each in texts], numbers.dtype)
    return [
        _number(text, float(own), bool(own == back))
        for text, own, back in zip(texts, numbers.tolist(), again.tolist(), strict=True)
    ]


def _number(shortest: str, own: float, kept: bool) -> str:
    """The shortest text of a float32, or that of the same float64 where the shortest would not come back."""
    if not math.isfinite(own):
        return f'"{shortest}"'
    return shortest if kept else repr(own)


def read_text_vectors(bundle: Bundle, function: str) -> TextVectors | None:
    """The vectors in words, None where the bundle has none; raises ArtifactError naming file and key."""
    name = text_name(function)
    if name not in bundle.manifest.files:
        return None
    return read_json(bundle.path, name, TextVectors)


def check_text(found: TextVectors, function: str, vectors: Mapping[str, tuple[Arrays, Arrays]]) -> None:
    """Checks that the words say what the vectors say, bit for bit; ArtifactError names what differs."""
    where = text_name(function)
    if found.function != function:
        raise ArtifactError(f"{where}: is of function {found.function!r}; expected {function!r}")
    names = sorted((*(each.name for each in found.vectors), *found.left_out))
    if names != sorted(vectors):
        raise ArtifactError(f"{where}: has vectors {names}; the other file has {sorted(vectors)}")
    kept, most = _kept(vectors)
    if missing := sorted(kept.keys() & set(found.left_out)):
        raise ArtifactError(f"{where}: leaves out {missing}, which it has room for; build the bundle again")
    for each in found.vectors:
        inputs, outputs = vectors[each.name]
        _check_side(f"{where}: {each.name}, inputs", each.inputs, inputs, most=None)
        _check_side(f"{where}: {each.name}, outputs", each.outputs, outputs, most=most)


def _check_side(where: str, texts: Mapping[str, TextTensor], arrays: Arrays, *, most: int | None) -> None:
    if texts.keys() != arrays.keys():
        raise ArtifactError(f"{where}: {sorted(texts)}; the other file has {sorted(arrays)}")
    for name, text in texts.items():
        own = arrays[name]
        step = 1 if most is None else step_of(own.shape, most)
        if (text.dtype, text.shape, text.step) != (str(own.dtype), own.shape, step):
            came, expected = (
                f"{dtype} {list(shape)} by steps of {each}"
                for dtype, shape, each in ((text.dtype, text.shape, text.step), (own.dtype, own.shape, step))
            )
            raise ArtifactError(f"{where}, {name}: {came}; expected {expected}; build the bundle again")
        if not _same_bits(_read(text, f"{where}, {name}"), own.reshape(-1)[::step]):
            raise ArtifactError(f"{where}, {name}: other numbers than the other file; build the bundle again")


def _read(text: TextTensor, where: str) -> Array:
    """The numbers that are given; ArtifactError where one is no number of the dtype."""
    dtype = np.dtype(text.dtype)
    values = text.data if isinstance(text.data, list) else [text.data]
    if dtype.kind == "f":
        values = [_WORDS.get(each, each) if isinstance(each, str) else each for each in values]
    wrong = [each for each in values if type(each) not in _KINDS[dtype.kind]]
    try:
        if not wrong:
            with np.errstate(over="ignore"):
                return np.array(values, dtype)
    except OverflowError:
        wrong = ["a number that is too large"]
    raise ArtifactError(f"{where}: {str(wrong[0])[:40]!r} is no {text.dtype}; build the bundle again")


def _same_bits(found: Array, expected: Array) -> bool:
    """Whether all numbers are the same, zeros of either sign apart; one NaN is any NaN."""
    if found.shape != expected.shape:
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(found, expected))
    both = np.isnan(found) & np.isnan(expected)
    return bool(np.all(both | ((found == expected) & (np.signbit(found) == np.signbit(expected)))))
