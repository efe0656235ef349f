"""The report says how each kind of case ended on each target, and names each that is not the model's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.validate.report.toys import EMPTY

from pocketrec.report import Evidence, RuntimeResult, StressCase
from pocketrec.validate.report.html import to_html
from pocketrec.validate.report.page.shell import page
from pocketrec.validate.report.stress import stress_tables
from pocketrec.validate.report.stress_section import stress_section

SAME = StressCase(function="main", kind="ids", name="item = <1>", outcome="same", excess=0.25, output="y")
WRONG = replace(SAME, name="item = 2", outcome="differs", excess=12.0, reason="y: off by 3")
REFUSED = replace(SAME, kind="batches", name="8", outcome="refused", excess=0.0, reason="takes 1")


def evidence(*results: RuntimeResult) -> Evidence:
    return replace(EMPTY, results=results)


@pytest.fixture
def stressed() -> Evidence:
    onnx = RuntimeResult(
        target="onnx", runtime="onnxruntime", status="ran", stress=(SAME, replace(SAME, name="item = 2"))
    )
    coreml = replace(onnx, target="coreml", runtime="coreml-interpreter", stress=(REFUSED, SAME, WRONG))
    return evidence(onnx, coreml)


def test_kinds_are_counted_by_target_and_what_differs_is_named(stressed: Evidence) -> None:
    counts, told = stress_tables(stressed)
    assert counts.head == ("function", "kind", "onnx on onnxruntime", "coreml on coreml-interpreter")
    assert counts.rows == [
        ("main", "ids", "2 same (furthest 0.25)", "1 same, 1 differ (furthest 0.25)"),
        ("main", "batches", "—", "1 refused"),
    ]
    assert told.rows == [("coreml", "coreml-interpreter", "main, ids: item = 2", "differ", "y: off by 3")]
    assert "item = 2" in to_html(stressed)


def test_the_page_has_every_case_and_escapes_its_name(stressed: Evidence) -> None:
    section = stress_section(stressed)
    assert section is not None
    text = page("toy", [section])
    assert "item = &lt;1&gt;" in text
    assert text.count("y: off by 3") == 1
    assert 'href="#i-bad"' in text


def test_without_stress_there_is_no_section() -> None:
    bare = evidence(RuntimeResult(target="onnx", runtime="onnxruntime", status="ran"))
    assert stress_section(bare) is None
    assert [each.rows for each in stress_tables(bare)] == [[], []]
    assert "Stress" not in to_html(bare)
