"""coremltools' way to the Core ML framework, replaced from when a caller asks for it until it is put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pocketrec.foreign import LOCK, Releases

COREMLTOOLS = Releases(library="coremltools", first="9.0", below="10")
_before: dict[str, Any] = {}


def replace_framework(stand_ins: Mapping[str, Any]) -> None:
    """Replaces names of `coremltools.models.model`, if they are not already; WrongVersion as for others."""
    from coremltools.models import model

    COREMLTOOLS.check("coremltools.models.model")
    with LOCK:
        if _before:
            return
        for name, stand_in in stand_ins.items():
            _before[name] = getattr(model, name)
            setattr(model, name, stand_in)


def restore_framework() -> None:
    """Puts back what was replaced; a second call finds nothing."""
    from coremltools.models import model

    with LOCK:
        for name, original in _before.items():
            setattr(model, name, original)
        _before.clear()
