"""The evidence as JUnit XML: a suite per target and runtime, a gate is a test case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

from pocketrec.report import Evidence, GateResult

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(evidence: Evidence) -> str:
    """Returns the XML document; a runtime that did not run and that no gate is about is a skipped case."""
    root = ElementTree.Element("testsuites", {"name": _text(f"pocketrec {evidence.recipe}")})
    for name, cases in _suites(evidence).items():
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, "tests": str(len(cases))})
        counts = {"failed": 0, "skipped": 0}
        for case, gate in zip(_names(cases), cases, strict=True):
            counts[gate.status] = counts.get(gate.status, 0) + 1
            _add(suite, name, case, gate)
        suite.attrib.update(failures=str(counts["failed"]), errors="0", skipped=str(counts["skipped"]))
    root.attrib.update(_totals(root))
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suites(evidence: Evidence) -> Mapping[str, list[GateResult]]:
    found: dict[str, list[GateResult]] = {}
    for each in (*evidence.gates, *_silent(evidence)):
        found.setdefault(_text(each.where or "build"), []).append(each)
    return found


def _silent(evidence: Evidence) -> Iterator[GateResult]:
    """What did not run, where no gate says so."""
    told = {(each.target, each.runtime) for each in evidence.gates}
    for each in evidence.results:
        if each.status == "not_run" and (each.target, each.runtime) not in told:
            yield GateResult(
                gate="ran",
                target=each.target,
                runtime=each.runtime,
                status="skipped",
                message=f"not run: {each.reason}",
            )


def _names(cases: list[GateResult]) -> list[str]:
    """A name for each case, none twice: with what the message is about, else with a number."""
    plain = [_text(each.gate) for each in cases]
    about = [
        f"{name}: {_text(each.message).partition(':')[0]}" if plain.count(name) > 1 else name
        for name, each in zip(plain, cases, strict=True)
    ]
    return [
        f"{name} ({about[: place + 1].count(name)})" if about.count(name) > 1 else name
        for place, name in enumerate(about)
    ]


def _add(suite: ElementTree.Element, where: str, name: str, gate: GateResult) -> None:
    case = ElementTree.SubElement(suite, "testcase", {"classname": where, "name": name})
    message = _text(gate.message)
    if gate.status == "failed":
        ElementTree.SubElement(case, "failure", {"message": message, "type": "gate"}).text = message
    elif gate.status == "skipped":
        ElementTree.SubElement(case, "skipped", {"message": message})
    else:
        ElementTree.SubElement(case, "system-out").text = message


def _totals(root: ElementTree.Element) -> dict[str, str]:
    keys = ("tests", "failures", "errors", "skipped")
    return {key: str(sum(int(suite.attrib[key]) for suite in root)) for key in keys}


def _text(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
