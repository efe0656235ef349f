"""The command line imports less of coremltools, and takes nothing away from who needs it."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from pocketrec.cli.imports import _Finder, import_less

_USE = """
import logging, sys
logging.getLogger("coremltools").setLevel(logging.CRITICAL)
from pocketrec.cli.imports import import_less
import_less()
import coremltools
print("sklearn" in sys.modules)
import sklearn
from coremltools.optimize.torch.quantization import LinearQuantizer
print(sklearn.__name__, LinearQuantizer.__name__, coremltools.optimize.torch.quantization.__name__)
"""


def test_what_is_left_out_is_there_for_who_imports_it() -> None:
    found = subprocess.run([sys.executable, "-c", _USE], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines() == [
        "False",
        "sklearn LinearQuantizer coremltools.optimize.torch.quantization",
    ]


@pytest.mark.parametrize("searching", [True, False])
def test_other_formats_are_hidden_from_coremltools_search_only(
    searching: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = ModuleType("coremltools._deps")
    search.__spec__ = ModuleSpec(search.__name__, None)
    monkeypatch.setattr(search.__spec__, "_initializing", searching, raising=False)
    monkeypatch.setitem(sys.modules, search.__name__, search)
    finder = _Finder()
    assert finder.find_spec("json", None) is None
    if not searching:
        assert finder.find_spec("sklearn", None) is None
        return
    with pytest.raises(ModuleNotFoundError, match="sklearn"):
        finder.find_spec("sklearn", None)


def test_it_is_set_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [each for each in sys.meta_path if not isinstance(each, _Finder)])
    import_less()
    import_less()
    assert sum(isinstance(each, _Finder) for each in sys.meta_path) == 1
