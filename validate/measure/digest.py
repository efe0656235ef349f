"""The digest of evaluation data, by which two evaluations are told to be of the same examples."""

from __future__ import annotations

import hashlib

import numpy as np

from pocketrec.evaluation import Array, Arrays, EvaluationData, RankingData

_ROWS = 4096  # at a time; padding may follow the part, so that it is part of what the digest means


def data_sha256(data: EvaluationData) -> str:
    """Hex sha256 of the examples' content: inputs, what they are judged by, what was seen, the catalogue.

    Columns that only slices are made of are left out. Numbers are widened first, so that int32 ids and int64
    ids of the same values have one digest.
    """
    found = hashlib.sha256()
    for number, part in enumerate(data.parts(_ROWS)):
        if isinstance(part, RankingData):
            if not number:
                _add(found, {"ignored": np.array(part.ignored_ids, np.int64)})
                _add(found, part.catalogue)
            sizes = np.diff(part.seen_offsets)
            _add(found, {"positives": part.positives, "seen": part.seen_ids, "sizes": sizes})
        else:
            _add(found, {"labels": part.labels})
        _add(found, part.inputs)
    return found.hexdigest()


def _add(found: hashlib._Hash, arrays: Arrays) -> None:
    for name in sorted(arrays):
        array = _widened(np.asarray(arrays[name]))
        found.update(f"{name} {array.dtype.str} {array.shape};".encode())
        found.update(np.ascontiguousarray(array).tobytes())


def _widened(array: Array) -> Array:
    if array.dtype.kind == "f":
        return array.astype("<f8")
    return array.astype("<i8") if array.dtype.kind in "bui" else array
