"""Arrays from and to .npz files, as the commands take and give them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.errors import UsageError
from pocketrec.source.arrays import read_arrays

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pocketrec.validate.runtimes.runtime import TensorSpec


def load_arrays(path: Path, specs: Sequence[TensorSpec] | None = None) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of an .npz file by name, read once their headers are found to fit.

    Args:
        path: of the file.
        specs: the inputs that an artifact takes; None where they are not known.

    Raises:
        InputError: they do not fit `specs`, or as `read_arrays` has it; names the array.
    """
    if specs is None:
        return read_arrays(path)
    from pocketrec.validate.runtimes.runtime import check_inputs

    return read_arrays(path, lambda headers: check_inputs(tuple(specs), headers, where=path.name))


def save_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Writes the arrays; the file appears whole or not at all."""
    import numpy as np

    if path.is_dir():
        raise UsageError(f"{path}: a folder; pass the .npz file to write as --out")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); pass another --out") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
