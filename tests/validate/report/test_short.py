"""The short form says verdict, three numbers, what failed and what did not run; texts stay texts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.validate.report.toys import EMPTY

from pocketrec.report import Evidence, GateResult, RuntimeResult
from pocketrec.validate.report.short import to_markdown

NASTY = "a | b\n# <img src=x> @someone [x](y) `q` _e_ **s** max_ndcg_drop"


@pytest.fixture
def evidence() -> Evidence:
    return replace(
        EMPTY,
        results=(RuntimeResult(target="coreml", runtime="framework", status="not_run", reason=NASTY),),
        gates=(GateResult(gate="far", target="onnx", runtime="", status="failed", message=NASTY),),
    )


def test_texts_stay_in_their_line_and_become_nothing_else(evidence: Evidence) -> None:
    lines = to_markdown(evidence).splitlines()
    (failed,) = [each for each in lines if each.startswith("- **far**")]
    shown = r"a \| b \# \<img src=x\> \@someone \[x\](y) \`q\` \_e\_ \*\*s\*\* max_ndcg_drop"
    assert failed == f"- **far** onnx: {shown}"
    assert f"- coreml on framework: {shown}" in lines


def test_a_gate_of_no_target_has_no_gap_before_its_message(evidence: Evidence) -> None:
    gate = replace(evidence.gates[0], gate="versus.due_version", target="", message="set 1.0.1")
    assert "- **versus.due_version**: set 1.0.1" in to_markdown(replace(evidence, gates=(gate,)))


def test_it_begins_with_the_verdict(evidence: Evidence) -> None:
    mark, first, *_ = to_markdown(evidence).splitlines()
    assert mark == "<!-- pocketrec report -->"
    assert first == "## ❌ toy failed"


def test_without_failures_there_is_no_such_part(evidence: Evidence) -> None:
    good = replace(evidence, results=(), gates=(replace(evidence.gates[0], status="passed"),))
    text = to_markdown(good)
    assert "## ✅ toy passed" in text
    assert "### " not in text


def test_every_row_of_a_table_has_as_many_cells(evidence: Evidence) -> None:
    rows = [each for each in to_markdown(evidence).splitlines() if each.startswith("|")]
    cells = [each.replace("\\|", "").count("|") for each in rows]
    assert set(cells) == {4, 9}


def test_letters_that_a_terminal_would_obey_are_left_out(evidence: Evidence) -> None:
    gate = replace(evidence.gates[0], message="\x1b[31mred\x07\x9f, 👩\u200d💻")
    assert "onnx: \\[31mred, 👩\u200d💻" in to_markdown(replace(evidence, gates=(gate,)))
