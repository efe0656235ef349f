"""The page says what ran, what did not, and what failed; text from models cannot become markup."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from pocketrec.report import (
    ArtifactSize,
    Evidence,
    GateResult,
    LatencyResult,
    RankingParity,
    RuntimeResult,
    TensorParity,
    TensorSize,
    WebFacts,
    WireSize,
)
from pocketrec.validate.measure.machine import this_machine, tool_versions
from pocketrec.validate.report.html import to_html
from pocketrec.validate.report.short import to_markdown
from pocketrec.validate.report.summary import summary_rows

LATENCY = LatencyResult(
    load_ms=1, p50_ms=2, p95_ms=3, p99_ms=4, runs=10, threads=1, batch=1, samples_ms=(1.0, 2.0, 4.0)
)
PARITY = TensorParity(
    function="main",
    output="scores",
    probes=2,
    elements=4,
    max_abs_error=1e-6,
    max_rel_error=1e-5,
    sqnr_db=math.inf,
    cosine=1.0,
    worst_probe="all | padding",
    histogram=(4,) + (0,) * 14,
)
RANKING = RankingParity(examples=3, reference={"ndcg@10": 0.1}, artifact={"ndcg@10": 0.1}, top_k_overlap=1.0)


@pytest.fixture
def evidence() -> Evidence:
    reference = RuntimeResult(
        target="reference", runtime="pytorch", status="ran", ranking=RANKING, latency={"main": LATENCY}
    )
    onnx = RuntimeResult(
        target="onnx",
        runtime="onnxruntime",
        status="ran",
        precision="float32",
        parity=(PARITY,),
        ranking=RANKING,
        latency={"main": replace(LATENCY, p50_ms=1)},
    )
    coreml = replace(onnx, target="coreml", runtime="coreml-interpreter")
    absent = RuntimeResult(
        target="coreml", runtime="coreml-framework", status="not_run", reason="only on macOS"
    )
    tensor = TensorSize(name="<script>$x", dtype="float32", shape=(5, 2), size_bytes=40)
    gates = (
        GateResult(gate="max_abs_error", target="onnx", runtime="onnxruntime", status="passed", message="ok"),
        GateResult(
            gate="max_abs_error",
            target="coreml",
            runtime="coreml-interpreter",
            status="failed",
            message="far",
        ),
        GateResult(gate="ran", target="coreml", runtime="coreml-framework", status="skipped", message="no"),
    )
    return Evidence(
        recipe="<b>demo</b>",
        recipe_sha256="a",
        contract_sha256="b",
        machine=this_machine(),
        versions=tool_versions(),
        results=(onnx, coreml, absent, reference),
        sizes=(
            ArtifactSize(target="onnx", function="main", path="m.onnx", size_bytes=1500, tensors=(tensor,)),
        ),
        rewrites=(),
        gates=gates,
    )


def test_the_page_is_whole_and_escaped(evidence: Evidence) -> None:
    page = to_html(evidence)
    assert "<b>demo" not in page
    assert "&lt;script&gt;$x" in page
    assert page.count("<script") == 1  # its own
    assert page.count('class="treemap"') == 1
    assert page.count("Errors: ") == 2
    assert "Calls of main" in page
    assert not re.search(r"""(src|href)=["']https?:""", page)


FIRST = ("1.2.3</small>", "Change of", "What failed", "What did not run<", "Targets</h2>")


def test_what_matters_stands_first(evidence: Evidence) -> None:
    page = to_html(evidence, version="1.2.3")
    places = [page.index(each) for each in FIRST]
    assert places == sorted(places)
    assert "1 of 2 gates failed. 1 gate was skipped. 1 runtime did not run here." in page
    assert "<title>&lt;b&gt;demo&lt;/b&gt;: failed</title>" in page


def test_both_reports_say_what_was_not_measured_and_what_failed(evidence: Evidence) -> None:
    for text in (to_html(evidence), to_markdown(evidence)):
        assert "not measured on Apple hardware" in text
        assert "interpreter on " in text
        assert "coreml on coreml-framework" in text
        assert "only on macOS" in text
        assert "1 of 2 gates failed" in text
    measured = replace(evidence.results[2], status="ran")
    assert "not measured on Apple" not in to_markdown(replace(evidence, results=(measured,)))


def test_a_browser_says_where_it_ran_what_it_fetched_and_what_was_software(evidence: Evidence) -> None:
    facts = WebFacts(
        creation_ms=812.5,
        first_run_ms=9.25,
        adapter="google swiftshader",
        software=True,
        files=(WireSize(file="main.onnx.data", raw=2_000_000, gzip=1_500_000, brotli=1_400_000),),
    )
    units = "webgpu (software: google swiftshader), 2 of 9 nodes on the CPU"
    onnx = replace(evidence.results[0], target="web", runtime="web-webgpu", compute_units=units)
    sampled = replace(RANKING, examples=320, available=1000)
    result = replace(onnx, web={"main": facts}, ranking=sampled)
    found = replace(evidence, results=(result, *evidence.results))
    text = to_html(found)
    for each in (units, "812.5", "1.4 MB", "320 of 1000", "nothing of a device", "In the browser"):
        assert each in text
    shown = next(row for row in summary_rows(found) if row.target == "web")
    assert shown.p50 == "1.00 ms (WebGPU in software, not a device)"
    assert " on 320 of 1000" in shown.ranking
    assert "In the browser" not in to_html(evidence)


def test_rows_for_the_terminal(evidence: Evidence) -> None:
    rows = summary_rows(evidence)
    assert [row.status for row in rows] == ["reference", "passed", "failed", "skipped"]
    assert rows[1].parity == "max |Δ| 1.0e-06"
    assert rows[1].size == "1.5 kB"
    assert rows[1].p50 == "1.00 ms (0.50× PyTorch's)"
    assert "not a device" in rows[2].p50
    assert rows[3].parity == "not run"


def test_what_was_measured_is_not_said_to_be_skipped(evidence: Evidence) -> None:
    """Where a recipe states a size alone, what that cost is measured, and no gate is on it."""
    cost = GateResult(
        gate="compression loss: ndcg@10", target="compressed", runtime="pytorch", status="skipped", message=""
    )
    compressed = RuntimeResult(target="compressed", runtime="pytorch", status="ran", ranking=RANKING)
    made = replace(evidence, results=(*evidence.results, compressed), gates=(*evidence.gates, cost))
    assert summary_rows(made)[-1].status == "not gated"
    failed = replace(made, gates=(*made.gates, replace(cost, status="failed")))
    assert summary_rows(failed)[-1].status == "failed"
    passed = replace(made, gates=(*made.gates, replace(cost, status="passed")))
    assert summary_rows(passed)[-1].status == "passed"


def test_a_failed_comparison_is_not_shown_as_a_number(evidence: Evidence) -> None:
    broken = replace(evidence.results[0], parity=(replace(PARITY, failure="3 NaN"),))
    rows = summary_rows(replace(evidence, results=(broken,)))
    assert rows[0].parity == "failed: main.scores"


def test_the_machine_is_named() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.processor
    assert "numpy" in tool_versions()
