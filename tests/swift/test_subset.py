"""The stand-in for Core ML declares what its page compares with Apple's, and nothing beside it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.swift.toolchain import ROOT, STAND_IN, run_swift, swift_is_there

PAGE = (ROOT / "docs" / "coreml-linux.md").read_text(encoding="utf-8")
SOURCES = sorted((STAND_IN / "Sources" / "CoreML").glob("*.swift"))
_DECLARED = re.compile(
    r"\bpublic (?:static |final |convenience )*(?:class|struct|enum|protocol|func|var|let) (\w+)"
)
_CASE = re.compile(r"^    (?:    )?case (\w+)(?: = \d+)?$", re.MULTILINE)
_CLASS = re.compile(r"^public final class (\w+)(?:: ([^{]*))?\{|^public (?:open )?class (\w+)", re.MULTILINE)
# The ellipsis of the codes stands for these; the others are kinds that the page does not tell one by one.
_GIVEN = {
    *("customLayer", "customModel", "update", "parameters", "modelDecryptionKeyFetch", "modelDecryption"),
    *("modelCollection", "predictionCancelled", "invalid", "int64", "string", "image", "multiArray"),
    *("dictionary", "sequence", "state", "unspecified", "enumerated", "range", "errorDescription"),
}


def table() -> str:
    return "".join(line for line in PAGE.splitlines() if line.startswith("| `"))


def declared(source: str) -> Iterator[str]:
    """The names of what is public, cases of enumerations among it."""
    yield from _DECLARED.findall(source)
    yield from _CASE.findall(source)


def unlisted(source: str, page: str) -> list[str]:
    words = {word for code in re.findall(r"`([^`]*)`", page) for word in re.findall(r"\w+", code)} | _GIVEN
    return sorted({each for each in declared(source) if each not in words})


def loose(source: str) -> list[str]:
    """Classes that are open, or conform to what Apple's do not."""
    allowed = {"", "MLFeatureProvider"}
    return [
        name or other
        for name, given, other in _CLASS.findall(source)
        if other or given.strip() not in allowed
    ]


def test_every_public_declaration_stands_beside_apples() -> None:
    assert len(SOURCES) > 5
    assert {each.name: found for each in SOURCES if (found := unlisted(each.read_text(), table()))} == {}


def test_a_declaration_that_is_not_on_the_page_is_found() -> None:
    source = "public final class MLBatch {\n    public static func more() {}\n    case other = 1\n}"
    assert unlisted(source, table()) == ["MLBatch", "more", "other"]


def test_no_class_promises_more_than_apples() -> None:
    """A class that were Sendable here would let code compile that a Mac refuses."""
    assert {each.name: found for each in SOURCES if (found := loose(each.read_text()))} == {}


def test_a_class_that_promises_more_is_found() -> None:
    source = "public final class A: @unchecked Sendable {\npublic class B {\npublic final class C {\n"
    assert loose(source) == ["A", "B"]


@pytest.mark.swift
def test_the_pages_manifest_finds_the_stand_in(tmp_path: Path) -> None:
    """A package beside a checkout, as the page shows it, compiles a source that imports Core ML."""
    if not swift_is_there():
        pytest.skip("not run: no Swift compiler is here")
    (manifest,) = re.findall(r"^```swift\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for name in ("Sources/Ranker/Ranker.swift", "Tests/RankerTests/RankerTests.swift"):
        (tmp_path / "app" / name).parent.mkdir(parents=True)
        (tmp_path / "app" / name).write_text("import CoreML\n\nlet units = MLComputeUnits.all\n")
    (tmp_path / "app/Package.swift").write_text(manifest)
    shutil.copytree(STAND_IN, tmp_path / "pocketrec/swift/CoreMLLinux")
    built = run_swift(tmp_path / "app", "build", "-j", "2", "-Xswiftc", "-warnings-as-errors")
    assert built.returncode == 0, built.stdout
