"""A bundle as a Swift package that is built and tested here, beside the answers that Python gives."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.swift.packages import write_fixtures
from tests.swift.toolchain import ROOT, STAND_IN, run_swift
from tests.swift.totals import Outcome, first_line, pytest_total, swift_total
from tests.zoo.bundles import trained

from pocketrec.contract import Contract
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.package.api import answered, read_api, spread
from pocketrec.package.bundle import Bundle, read_bundle
from pocketrec.package.host.answers import plain
from pocketrec.package.host.calls import States
from pocketrec.package.manifest import file_sha256, read_json
from pocketrec.package.vocabularies import vocabularies_of
from pocketrec.pipeline.app import Recommender, host_of, load, run_function
from pocketrec.pipeline.opening import open_artifact
from pocketrec.validate.runtimes.runtime import Array, Runtime

PRESETS = {"float32": ("float", "coreml"), "float16": ("float", "coreml_fp16"), "int8": ("int8", "coreml")}
PAGES = {"tests/swift/test_lists_page.py": {"hybrid", "sasrec"}}  # by the families that they speak of
_STRICT = ("-Xswiftc", "-warnings-as-errors")
_TRIES = 40  # bytes of weights that may be changed until an answer changes
_ALIGNED, _BLOB = 64, bytes.fromhex("efbeadde")  # a blob of MIL's storage: where it is described, and by what
_WARNING = re.compile(r"warning: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one package's tests gave.

    Attributes:
        package: its name.
        tests: how many were run; a test that was skipped is one that did not pass.
        passed: how many passed.
        warnings: of the compiler.
        answers: calls whose answers Python's were compared with, every bit of them.
        altered: the weight that was changed, and that the tests then failed.
        failure: the first line that says what is wrong; empty where nothing is.
    """

    package: str
    tests: int = 0
    passed: int = 0
    warnings: int = 0
    answers: int = 0
    altered: str = ""
    failure: str = ""


def answers_of(bundle: Bundle, target: str) -> list[dict[str, Any]]:
    """What Python answers on a Core ML target: the API vectors' calls that have an answer, in order."""
    vectors = read_api(bundle)
    assert vectors is not None
    contract = read_json(bundle.path, "contract.json", Contract)
    host = host_of(contract, vocabularies_of(bundle, contract.vocabularies), lambda *_: {})
    found = []
    with load(bundle.path, target=target) as model:
        sessions: dict[str, Recommender] = {}
        for call in vectors.calls:
            if call.answer is None:
                continue
            asked = sessions.setdefault(call.session, model.session()) if call.session else model
            arguments = spread(call, host)
            answer = plain(asked.call(call.method, arguments))
            made = {"method": call.method, "arguments": arguments, "answer": answer}
            found.append(made | ({"session": call.session} if call.session else {}))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A Swift package, where it is built, and what its tests are told."""

    path: Path
    scratch: Path
    environment: Mapping[str, str]

    def test(self, *more: str) -> Outcome:
        """Builds everything with warnings as errors, and runs the tests."""
        built = run_swift(self.path, "build", "--build-tests", *self._scratch(), *_STRICT)
        warnings = len(_WARNING.findall(built.stdout))
        if built.returncode or warnings:
            return Outcome(warnings=warnings, failure=first_line(built.stdout))
        return self.test_again(*more)

    def test_again(self, *more: str, **environment: str) -> Outcome:
        """Runs the tests as they were built."""
        given = {**self.environment, **environment}
        words = ("--skip-build", *self._scratch(), *_STRICT, *more)
        done = run_swift(self.path, "test", *words, environment=given)
        return swift_total(done.stdout, done.returncode)

    def _scratch(self) -> tuple[str, ...]:
        return "--scratch-path", str(self.scratch), "-j", "2"


def row_of(name: str, tested: Outcome) -> Row:
    """A row of a package that is tested once."""
    return Row(
        package=name,
        tests=tested.tests,
        passed=tested.passed,
        warnings=tested.warnings,
        failure=tested.failure,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Built(Package):
    """A bundle's package, and its model folder."""

    bundle: Bundle
    model: Path


def package_of(bundle: Bundle, preset: str, name: str, folder: Path, answers: list[dict[str, Any]]) -> Built:
    """The bundle's package with its vectors, and the answers that its tests compare.

    Packages of one preset, which all have names of their own, are built in one place: what they depend on,
    once.
    """
    from pocketrec.package.swift.generate import write_swift_package

    written = write_swift_package(bundle, folder / "packages" / name, target=PRESETS[preset][1], vectors=True)
    expected = folder.resolve() / f"{name}.json"
    expected.write_text(json.dumps(answers, ensure_ascii=False), encoding="utf-8")
    return Built(
        path=written.path.resolve(),
        scratch=folder.resolve() / "scratch" / preset,
        environment={"POCKETREC_EXPECTED": str(expected)},
        bundle=bundle,
        model=written.path / "Sources" / written.module / "Resources" / "Model",
    )


def packaged(bundle: Path, preset: str, folder: Path) -> Row:
    """A target's package: built, tested, tested on padded rows, and tested with a weight changed."""
    read, (_, target) = read_bundle(bundle), PRESETS[preset]
    answers, name = answers_of(read, target), f"{bundle.name.rpartition('-')[0]}-{preset}"
    built = package_of(read, preset, name, folder, answers)
    row = replace(row_of(name, built.test()), answers=len(answers))
    if row.failure:
        return row
    padded = built.test_again("--filter", "Vectors", POCKETREC_COREML_PAD_ROWS="1")
    if padded.failure:
        return replace(row, failure=f"with padded rows: {padded.failure}")
    altered, failure = _altered(built, answers)
    return replace(row, altered=altered, failure=failure)


def _altered(built: Built, answers: list[dict[str, Any]]) -> tuple[str, str]:
    """Which weight was changed, and a failure where the tests pass with it all the same."""
    where = alter(built.bundle, built.model, answers)
    spoiled = built.test("--filter", "Vectors")
    failed = spoiled.tests - spoiled.passed
    if 0 < failed < spoiled.tests:  # the rules, which need no numbers of the model's, pass all the same
        return f"{where}: {failed} of {spoiled.tests} tests fail", ""
    said = f"{failed} of {spoiled.tests} tests fail: {spoiled.failure or 'all passed'}"
    return where, f"{where} was changed; expected that some comparisons fail, and {said}"


def alter(bundle: Bundle, model: Path, answers: list[dict[str, Any]]) -> str:
    """Changes a package's weights so that Python's own answers change; says which bytes.

    One byte where the answers read one of those tried, else a part of the file: of a table few rows are read.
    The digests of the model folder's manifest are made to fit, so that only a comparison of answers notices.
    """
    manifest = json.loads((model / "manifest.json").read_text())
    names = [each for each in manifest["files"] if each.endswith("weight.bin")]
    for name, places in _places(model, names):
        whole = (model / name).read_bytes()
        made = bytearray(whole)
        for place in places:
            made[place] ^= 8
        (model / name).write_bytes(made)
        if answers_on(bundle, model) != [each["answer"] for each in answers]:
            manifest["files"][name]["sha256"] = file_sha256(model / name)
            (model / "manifest.json").write_text(json.dumps(manifest))
            some = f"byte {places[0]}" if len(places) == 1 else f"{len(places)} bytes from {places[0]} on"
            return f"{some} of {name}"
        (model / name).write_bytes(whole)
    raise SystemExit(f"{bundle.path.name}: no byte of its weights changes an answer")


def _places(model: Path, names: list[str]) -> Iterator[tuple[str, list[int]]]:
    """High bytes of numbers, whose change leaves a number of another size: some alone, then all in parts."""
    for alone in (True, False):
        for name in names:
            data = (model / name).read_bytes()
            parts = 1 + _TRIES // len(names)
            for share in range(1, parts):
                start, stop = (len(data) * each // parts | 3 for each in (share, share + 1))
                found = [each for each in range(start, stop, 4) if _is_number(data, each)]
                if found:
                    yield name, found[:1] if alone else found


def _is_number(data: bytes, place: int) -> bool:
    """Whether a byte of a file of weights is part of one, and not of what describes the file or a blob."""
    head = place - place % _ALIGNED
    return head > 0 and not data.startswith(_BLOB, head)


def answers_on(bundle: Bundle, model: Path) -> list[Any]:
    """What the reference answers with the packages of a model folder, whatever their digests."""
    vectors = read_api(bundle)
    assert vectors is not None
    contract = read_json(bundle.path, "contract.json", Contract)
    functions = json.loads((model / "manifest.json").read_text())["functions"]
    opened: dict[str, Runtime] = {}

    def run(function: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if function not in opened:
            named = functions[function]
            opened[function] = open_artifact(
                model / named["package"], compute_units="all", function=named["function"]
            )
        return run_function(opened[function], contract, function, inputs)

    host = host_of(contract, vocabularies_of(bundle, contract.vocabularies), run)
    sessions: dict[str, States] = {}
    asked = [each for each in vectors.calls if each.answer is not None]
    return [
        answered(host, each, sessions.setdefault(each.session, {}) if each.session else None).answer
        for each in asked
    ]


def stand_in(folder: Path) -> Row:
    """The tests of the stand-in for Core ML itself."""
    fixtures = folder / "fixtures"
    fixtures.mkdir(parents=True, exist_ok=True)
    for each in fixtures.glob("*.mlpackage"):
        shutil.rmtree(each)
    environment = {"POCKETREC_COREML_FIXTURES": str(write_fixtures(fixtures.resolve()))}
    scratch = folder.resolve() / "scratch" / STAND_IN.name
    return row_of(STAND_IN.name, Package(path=STAND_IN, scratch=scratch, environment=environment).test())


def pytests(families: Collection[str]) -> Row:
    """The tests of pytest that need a compiler; a page about families where all of them are asked for."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "swift"]
    for page, named in PAGES.items():
        if named <= set(families):
            for each in named:
                trained(FAMILIES[each])
        else:
            words.append(f"--ignore={page}")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return row_of("pytest -m swift", pytest_total(done.stdout, done.returncode))
