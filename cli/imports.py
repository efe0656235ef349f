"""What coremltools imports for other people's formats, left out of our own process.

It looks for scikit-learn, XGBoost, libsvm and TensorFlow when it is imported, to convert their models, and
loads its toolkit for training in PyTorch. The command line needs neither, and waits for both.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

_OTHER_FORMATS = frozenset({"sklearn", "xgboost", "libsvm", "tensorflow"})
_TRAINING = "coremltools.optimize.torch"


class _Finder(MetaPathFinder):
    """Hides other formats from coremltools' own search, and loads its training toolkit at its first use."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec that loads late; None for what others find; raises ModuleNotFoundError to hide."""
        if name in _OTHER_FORMATS and _is_searching():
            raise ModuleNotFoundError(f"{name} is not needed here", name=name)
        if name != _TRAINING:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def _is_searching() -> bool:
    """Whether coremltools is in the middle of finding out what is installed."""
    spec = getattr(sys.modules.get("coremltools._deps"), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def import_less() -> None:
    """Lets coremltools, once it is imported, import only what this process needs."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
