"""Bytes of an artifact's files over the wire: as they are, and as a web server compresses them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from pocketrec.outside import require_file
from pocketrec.report import WireSize

_GZIP, _BROTLI = 6, 5  # what servers compress with while they serve


def wire_sizes(files: Sequence[Path]) -> tuple[WireSize, ...]:
    """One entry per file, in their order; compressed as a whole."""
    import brotli

    found = []
    for path in files:
        data = require_file(path).read_bytes()
        size = WireSize(
            file=path.name,
            raw=len(data),
            gzip=len(gzip.compress(data, _GZIP)),
            brotli=len(brotli.compress(data, quality=_BROTLI)),
        )
        found.append(size)
    return tuple(found)
