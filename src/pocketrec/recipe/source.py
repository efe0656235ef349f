"""The table `model`: where the module comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pocketrec.errors import RecipeError

STREAM_MB = 1000.0  # a table of so many 10^6 bytes is not held where nothing else is stated
_MOST_STREAM_MB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where the module comes from.

    Attributes:
        factory: `package.module:function` or `path/to/file.py:function`, which returns an nn.Module; or a
            TorchScript or .pt2 file.
        weights: a .safetensors file, the .index.json of several, a folder of `<tensor>.npy`, or a
            state dict that loads with weights_only=True; left out where the factory brings the trained
            weights itself.
        trained_by: the command that makes the weights, for people who do not have them yet.
        arguments: keyword arguments for the factory.
        example: an .npz file of what the module takes: arrays by the names of forward's arguments, or in
            their order. The contract is drafted from it where none is stated; else it gives probes.
        stream_mb: a table of `weights` that takes so much as float32, in 10^6 bytes, is never held
            but streamed from file to file; 0 streams nothing.
    """

    factory: str
    weights: str | None = None
    trained_by: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    example: str | None = None
    stream_mb: float = STREAM_MB

    def __post_init__(self) -> None:
        if not 0 <= self.stream_mb <= _MOST_STREAM_MB:
            raise RecipeError(f"model.stream_mb is {self.stream_mb}; expected a size, or 0 to stream nothing")

    @property
    def stream_bytes(self) -> int:
        """Bytes of float32 from which on a table is streamed; 0 where none is."""
        return round(self.stream_mb * 1e6)
