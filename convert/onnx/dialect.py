"""What the engines that an ONNX file is for can read: constants, ops of their own, files beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pocketrec.convert.onnx.external import LARGE_BYTES

_PAGE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a file is written for its engines.

    Attributes:
        float16: whether a constant may be float16; where not, its bits are stored as uint16 and decoded.
        contrib: the ops of ONNX Runtime's own domain that may be written.
        table_bytes: constants of this size or more lie in `<path>.data`.
        alignment: bytes of which every place in that file is a multiple.
    """

    float16: bool = True
    contrib: frozenset[str] = frozenset({"GatherBlockQuantized", "MatMulNBits"})
    table_bytes: int = LARGE_BYTES
    alignment: int = _PAGE

    @property
    def standard(self) -> Dialect:
        """The same with no op but those of the standard."""
        return replace(self, contrib=frozenset())

    @property
    def blocks(self) -> bool:
        """Whether both ops that read codes in blocks may be written, which share one array."""
        return self.contrib >= {"GatherBlockQuantized", "MatMulNBits"}


NATIVE = Dialect()
STANDARD = NATIVE.standard
WEB = Dialect(float16=False, contrib=frozenset(), table_bytes=4096, alignment=64)
