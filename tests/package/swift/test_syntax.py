"""Every Swift file of the project is Swift by tree-sitter's grammar, which flags what is broken."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.package.host.toys import TITLES, TOKENS
from tests.package.swift.syntax import faults
from tests.package.tapes import CONTRACTS, SPELLINGS
from tests.package.web.conftest import digest, lines

from pocketrec.contract import Contract, vocabulary_file
from pocketrec.package.bundle import Bundle, publish, read_bundle, seal, staging
from pocketrec.package.swift.generate import write_swift_package

ROOT = Path(__file__).parents[3]
LISTED = subprocess.run(
    ["git", "ls-files", "*.swift"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
HOST = ROOT / "package/swift/templates/package/Sources/Host"


@pytest.mark.parametrize("name", LISTED)
def test_a_file_is_swift(name: str) -> None:
    assert faults((ROOT / name).read_text(encoding="utf-8")) == []


def bundle_of(contract: Contract, place: Path) -> Bundle:
    """A bundle of a toy contract, whose vocabularies have the files that it names."""
    specs: dict[str, Any] = {}
    files: dict[str, str] = {}
    for name, spec in contract.vocabularies.items():
        held = {"tokens": TOKENS[: spec.size]}
        held |= {"titles": TITLES} if spec.titles_sha256 else {}
        held |= {"spellings": SPELLINGS} if spec.spelled_in else {}
        found = {key: lines(each) for key, each in held.items()}
        files |= {vocabulary_file(name, key): text for key, text in found.items()}
        sums: dict[str, Any] = {
            "sha256" if key == "tokens" else f"{key}_sha256": digest(text) for key, text in found.items()
        }
        specs[name] = replace(spec, **sums)
    contract = replace(contract, vocabularies=specs)
    files["contract.json"] = json.dumps(contract.to_dict())
    artifacts = {each: f"artifacts/coreml/{each}.mlpackage" for each in contract.functions}
    with staging(place) as folder:
        for name, text in (files | {f"{each}/Manifest.json": "{}" for each in artifacts.values()}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        seal(folder, name='Say "hi"', version="1.0.0", artifacts={"coreml": artifacts})
        publish(folder, place)
    return read_bundle(place)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_file_that_is_generated_is_swift(name: str, tmp_path: Path) -> None:
    """Of every role: the class and its methods, the package's manifests, its tests, its example."""
    write_swift_package(bundle_of(CONTRACTS[name], tmp_path / "b"), tmp_path / "out")
    found = {path.name: faults(path.read_text(encoding="utf-8")) for path in generated(tmp_path / "out")}
    assert {each for each, wrong in found.items() if wrong} == set(), found
    assert found.keys() >= {"Package.swift", "Package@swift-6.0.swift", "Loader.swift", "VectorsTests.swift"}
    assert len(found) > 40


def generated(package: Path) -> list[Path]:
    return sorted(package.rglob("*.swift"))


def shown() -> dict[str, str]:
    """The Swift that is shown in documents, by file and number."""
    found: dict[str, str] = {}
    for path in sorted((*ROOT.glob("docs/*.md"), ROOT / "README.md")):
        blocks = re.findall(r"^```swift\n(.*?)^```$", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        found |= {f"{path.name} {number}": text for number, text in enumerate(blocks)}
    return found


@pytest.mark.parametrize(("name", "text"), shown().items())
def test_what_documents_show_is_swift(name: str, text: str) -> None:
    assert faults(text) == []


def test_there_are_files_to_look_at() -> None:
    assert len(LISTED) > 20
    assert {Path(each).parent for each in LISTED} >= {HOST.relative_to(ROOT)}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("func f() {\n    let a = 1\n", "1:1"),
        ("func f() { let a = (1 + 2 }\n", "1:"),
        ("func (a: Int) {}\n", "1:"),
        ('let a = "open\n', "2:"),
        ("struct A { let b: }\n", "1:"),
        ("switch a { case 1: }}\n", "1:"),
        ("let a = [1, 2\nlet b = 3\n", "2:"),
        ("class A extends B {}\n", "1:"),
        ("let a = b ? c\n", "1:"),
        ("func f() throws -> { 1 }\n", "1:"),
        ("let a = 1\nimport {{ name }}\n", "2:"),
        ("{% if a %}\nlet a = 1\n", "1:"),
    ],
)
def test_what_is_broken_is_flagged_with_its_line(text: str, place: str) -> None:
    assert faults("let first = 0\n") == []
    found = faults(text)
    assert found, text
    assert found[0].startswith(place)


def test_one_lost_word_in_a_whole_file_is_flagged() -> None:
    """Of a real file, without each closing bracket in turn."""
    text = (HOST / "Best.swift").read_text(encoding="utf-8")
    places = [place for place, each in enumerate(text) if each in "})]" and text[place - 1] != "\\"]
    assert len(places) > 50
    code = [place for place in places if "//" not in text[text.rfind("\n", 0, place) : place]]
    assert [place for place in code if not faults(text[:place] + text[place + 1 :])] == []


# What the compiler (6.0.3, in Swift 6 mode) accepts, and generated code is made of.
ACCEPTED = {
    "typed throws": "struct E: Error {}\nfunc f() throws(E) -> Int { throw E() }",
    "do throws": "struct E: Error {}\nfunc f() { do throws(E) { throw E() } catch { _ = error } }",
    "not copyable": "struct A: ~Copyable { deinit {} }\nfunc f(_ a: borrowing A, _ b: consuming A) {}",
    "sending": "final class C {}\nfunc f(_ c: sending C) -> sending C { c }",
    "unsafe global": "nonisolated(unsafe) var x = 1",
    "isolated": "actor A {}\nfunc f(_ a: isolated A) {}",
    "isolation": "func f(isolation: isolated (any Actor)? = #isolation) async {}",
    "imports": "@preconcurrency import Foundation\nprivate import Dispatch",
    "if as a value": "func f(_ a: Bool) -> Int { let x = if a { 1 } else { 2 }; return x }",
    "switch as a value": "func f(_ a: Bool) -> Int { switch a { case true: 1\n case false: 2 } }",
    "packs": "func f<each T>(_ x: repeat each T) -> (repeat each T) { (repeat each x) }",
    "any and some": "func f(_ x: any Error, _ y: some Collection<Int>) -> some Sendable { 1 }",
    "if let": "func f(_ a: Int?) { if let a { _ = a }; guard let a else { return }; _ = a }",
    "streams": "func f(_ s: AsyncStream<Int>) async { for await x in s where x > 1 { _ = x } }",
    "async let": "func g() async -> Int { 1 }\nfunc f() async { async let a = g(); _ = await a }",
    "executors": "actor A { nonisolated var unownedExecutor: UnownedSerialExecutor { fatalError() } }",
    "several closures": "func f(a: () -> Void, b: () -> Void) {}\nfunc g() { f { } b: { } }",
    "raw and long text": 'let s = #"a "b" \\#(1)"#\nlet t = """\n  a \\(1 + 2)\n  """',
    "available": "func f() { if #available(iOS 18, macOS 15, *) {}; if #unavailable(iOS 18) {} }",
    "conditions": "struct S {\n#if os(Linux) && canImport(CoreML)\n let a = 1\n#else\n let a = 2\n#endif\n}",
    "wrapping": "let h: UInt64 = (1 &* 2) ^ (3 &<< 4) | 5 & 0xCBF2_9CE4_8422_2325",
    "conformances": "extension Array: @retroactive CustomStringConvertible where Element == Never {}",
    "unchecked": "final class C: @unchecked Sendable { var a = 1 }",
    "patterns": "func f(_ a: (Int, Int?)) { switch a { case (1...5, let b?): _ = b\n default: break } }",
    "a name that is a word": "func f(_ a: [Int]) -> [Int] { a.filter { each in each > 1 || each == -each } }",
}
# What the compiler accepts and the grammar does not: generated code says it otherwise.
NOT_KNOWN = {
    "a range in an if case": "func f(_ b: Int) { if case 1...3 = b { print(b) } }",
    "a name that is a word, beside packs": "func f<each T>(_ x: repeat each T, b: [Int]) {\n"
    "    for each in b where each > 1 { print(each) }\n}",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_the_compiler_accepts_is_accepted(name: str) -> None:
    assert faults(ACCEPTED[name]) == []


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_what_the_grammar_does_not_know_is_listed(name: str) -> None:
    assert faults(NOT_KNOWN[name]), f"{name}: the grammar knows it now; take it out of NOT_KNOWN"


def test_it_knows_no_types_and_not_every_word() -> None:
    """Syntax alone is told, and not all of it: this compiles nowhere."""
    assert faults('let a: Int = "text"\nundefined(a)\nlet = 1\n') == []
