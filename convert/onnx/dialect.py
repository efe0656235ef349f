"""What the engines that an ONNX file is for can read: operators, constants, files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import onnx

from pocketrec.convert.onnx.external import LARGE_BYTES
from pocketrec.errors import Refused
from pocketrec.origin import Origin
from pocketrec.web_operators import Met, WebOperators, web_operators

_PAGE, _WORD = 4096, 64  # bytes
_CONTRIB = frozenset({"GatherBlockQuantized", "MatMulNBits"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a file is written for its engines.

    Attributes:
        float16: whether a constant may be float16; where not, its bytes are stored apart and
            joined by arithmetic; few numbers as float32.
        contrib: the ops of ONNX Runtime's own domain that may be written.
        table_bytes: constants of this size or more lie in `<path>.data`.
        alignment: bytes of which every place in that file is a multiple.
        operators: what runs of all operators; None where nothing is left out.
    """

    float16: bool = True
    contrib: frozenset[str] = _CONTRIB
    table_bytes: int = LARGE_BYTES
    alignment: int = _PAGE
    operators: WebOperators | None = None

    @property
    def standard(self) -> Dialect:
        """The same with no op but those of the standard."""
        return replace(self, contrib=frozenset())

    @property
    def blocks(self) -> bool:
        """Whether both ops that read codes in blocks may be written, which share one array."""
        return self.contrib >= _CONTRIB


NATIVE = Dialect()
STANDARD = NATIVE.standard


@cache
def web_dialect() -> Dialect:
    """What every provider of both of onnxruntime-web's builds reads."""
    operators = web_operators()
    return Dialect(
        float16=False,
        contrib=frozenset(each for each in _CONTRIB if operators.runs(f"com.microsoft.{each}")),
        table_bytes=_PAGE,
        alignment=_WORD,
        operators=operators,
    )


def check_operators(
    model: onnx.ModelProto, dialect: Dialect, origins: Mapping[str, Origin], *, function: str
) -> None:
    """Checks that the file's engines run every operator; Refused names the first that they do not."""
    operators = dialect.operators
    for met in () if operators is None else operators.met(model):
        said = operators.said(met) if operators is not None else ""
        if said:
            raise Refused(
                op=met.op,
                where=_where(met, origins),
                reason=f"function {function}: {said}",
                remedy="compute it from other operations in the module",
                elsewhere=True,
            )


def _where(met: Met, origins: Mapping[str, Origin]) -> str:
    return next((origins[name].source for name in met.outputs if name in origins), "")
