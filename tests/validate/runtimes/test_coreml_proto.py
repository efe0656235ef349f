"""The format of Core ML is read without the converter, with the classes that the converter has."""

from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest
from coremltools.proto import MIL_pb2, Model_pb2

from pocketrec.errors import MissingExtra
from pocketrec.validate.runtimes import coreml_proto
from pocketrec.validate.runtimes.coreml_proto import proto

_READ = """
import sys
from pathlib import Path
from pocketrec.validate.artifact.coreml import read_core_ml
read_core_ml(Path(sys.argv[1]))
print(sorted({"coremltools", "torch", "sklearn"} & set(sys.modules)))
"""


def test_the_classes_are_those_of_coremltools() -> None:
    """A model of one can be copied to a model of the other: there is one class per message."""
    ours = proto("Model_pb2").Model(specificationVersion=8)
    theirs = Model_pb2.Model()
    theirs.CopyFrom(ours)
    assert theirs.specificationVersion == 8
    assert proto("MIL_pb2").Program is MIL_pb2.Program


def test_a_package_is_read_without_the_converter_and_pytorch(tmp_path: Path) -> None:
    file = tmp_path / "model.mlmodel"
    file.write_bytes(Model_pb2.Model(specificationVersion=8).SerializeToString())
    command = [sys.executable, "-c", _READ, str(file)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_without_coremltools_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    coreml_proto._register.cache_clear()
    with pytest.raises(MissingExtra, match="coremltools"):
        proto("Model_pb2")
