"""A package is read as if from a stranger: every fault is one line, and nothing outside is opened."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.validate.conftest import MODEL, WEIGHTS, edit_program

from pocketrec.errors import ArtifactError, PocketrecError, UnsupportedOp, UsageError
from pocketrec.validate.coreml_program import CoreMLInterpreter

Damage = Callable[[Callable[[Path], object]], Path]
IDS = {"ids": np.array([0, 5, 11], dtype=np.int32)}


def manifest(path: object) -> bytes:
    return json.dumps({"itemInfoEntries": {"a": {"path": path}}, "rootModelIdentifier": "a"}).encode()


def one_line(error: BaseException) -> bool:
    return "\n" not in str(error) and len(str(error)) > 20


@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "a\0b", "", "none.mlmodel", 7])
def test_a_manifest_leads_to_no_file_outside(damaged: Damage, path: object) -> None:
    """Parents, absolute paths, NUL bytes and what is not there are refused by name."""
    package = damaged(lambda copy: (copy / "Manifest.json").write_bytes(manifest(path)))
    with pytest.raises(ArtifactError) as caught:
        CoreMLInterpreter(package)
    assert one_line(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_a_broken_manifest_is_named(damaged: Damage, content: bytes) -> None:
    """No JSON, the wrong JSON, or nested without end."""
    package = damaged(lambda copy: (copy / "Manifest.json").write_bytes(content))
    with pytest.raises(ArtifactError, match=r"Manifest\.json") as caught:
        CoreMLInterpreter(package)
    assert one_line(caught.value)


@pytest.mark.parametrize(
    "name", ["@model_path/../../../../etc/passwd", "/etc/passwd", "@model_path/\0", "\0"]
)
def test_a_weight_file_outside_is_refused(damaged: Damage, name: str) -> None:
    """A program may read weights of its own package only."""

    def redirect(block: Any) -> None:
        for operation in block.operations:
            for value in operation.attributes.values():
                if value.WhichOneof("value") == "blobFileValue":
                    value.blobFileValue.fileName = name

    package = damaged(lambda copy: edit_program(copy, redirect))
    with pytest.raises(ArtifactError, match=r"outside of com\.apple\.CoreML|no name of a file"):
        CoreMLInterpreter(package).run(IDS)


def test_a_link_out_of_the_package_is_refused(damaged: Damage, tmp_path: Path) -> None:
    """A weight file that is a symbolic link to somewhere else is not followed."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0" * 4096)

    def link(copy: Path) -> None:
        (copy / WEIGHTS).unlink()
        (copy / WEIGHTS).symlink_to(secret)

    with pytest.raises(ArtifactError, match=r"outside of com\.apple\.CoreML|no name of a file"):
        CoreMLInterpreter(damaged(link)).run(IDS)


def _first(block: Any, op_type: str) -> Any:
    return next(each for each in block.operations if each.type == op_type)


def _rename_output(block: Any) -> None:
    block.outputs[0] = "nowhere"


def _rename_input(block: Any) -> None:
    _first(block, "gather").inputs["indices"].arguments[0].name = "ghost"


def _drop_value(block: Any) -> None:
    del _first(block, "const").attributes["val"]


def _break_line(block: Any) -> None:
    _first(block, "gather").type = "ga\nther"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_rename_output, "gives 'nowhere', which nothing makes"),
        (_rename_input, "uses 'ghost', which nothing makes"),
        (_drop_value, "has no value"),
        (_break_line, r"an op is called 'ga\\nther'"),
    ],
)
def test_a_program_that_cannot_run_is_refused_when_it_is_opened(
    damaged: Damage, change: Callable[[Any], None], words: str
) -> None:
    """Before a single op has run, with the name of what is wrong."""
    package = damaged(lambda copy: edit_program(copy, change))
    with pytest.raises(ArtifactError, match=words) as caught:
        CoreMLInterpreter(package)
    assert one_line(caught.value)


def test_an_op_that_is_left_out_is_named_with_the_alternative(damaged: Damage) -> None:
    """A custom layer cannot be run, and the message says where it is and what can run it."""

    def customize(block: Any) -> None:
        _first(block, "gather").type = "custom_layer"

    package = damaged(lambda copy: edit_program(copy, customize))
    with pytest.raises(UnsupportedOp, match=r"custom_layer \(rows\).*run it on the Core ML framework"):
        CoreMLInterpreter(package)


def test_a_path_that_leads_nowhere_is_a_usage_error(tmp_path: Path) -> None:
    """It is the caller's to correct, unlike a damaged file."""
    with pytest.raises(UsageError, match="no such file"):
        CoreMLInterpreter(tmp_path / "none.mlpackage")


def test_a_cut_model_is_named(damaged: Damage) -> None:
    """A protobuf that ends early."""
    package = damaged(lambda copy: (copy / MODEL).write_bytes((copy / MODEL).read_bytes()[:-7]))
    with pytest.raises(ArtifactError, match=r"model\.mlmodel"):
        CoreMLInterpreter(package)


def test_random_damage_gives_our_errors_only(damaged: Damage) -> None:
    """400 copies with a few changed bytes run, or end in one line of ours; never in a traceback."""
    package = damaged(lambda copy: None)
    path, generator = package / MODEL, random.Random(7)
    whole = path.read_bytes()
    faults: list[PocketrecError] = []
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(generator.choice([1, 3, 10])):
            content[generator.randrange(len(content))] = generator.randrange(256)
        path.write_bytes(content)
        try:
            with CoreMLInterpreter(package) as interpreter:
                interpreter.describe()
                interpreter.run(IDS)
        except PocketrecError as error:
            faults.append(error)
    assert [str(error) for error in faults if not one_line(error)] == []
    assert len(faults) > 100
