"""The protobuf classes of Core ML's format, without the converter that they come with.

`import coremltools` imports PyTorch and scikit-learn where they are installed, which takes seconds; the
generated modules alone take a twentieth of one. They are loaded here as a package of their own, out of
coremltools' folder. protobuf keeps one class per message, so both packages hold the very same classes.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module, util
from importlib.machinery import ModuleSpec
from typing import Any

from pocketrec.errors import MissingExtra

_PACKAGE = "pocketrec_coreml_proto"


def proto(name: str) -> Any:
    """The generated module of that name, such as `Model_pb2`; MissingExtra without coremltools."""
    _register()
    return import_module(f"{_PACKAGE}.{name}")


@cache
def _register() -> None:
    """Makes coremltools' folder of generated modules known as a package; its own `__init__` is not run."""
    found = util.find_spec("coremltools")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("coremltools", "build")
    spec = ModuleSpec(_PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [f"{folder}/proto" for folder in found.submodule_search_locations]
    sys.modules.setdefault(_PACKAGE, util.module_from_spec(spec))
