"""Drawn programs agree with PyTorch on both targets; a wrong lowering does not stay unseen."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from pocketrec.convert.coreml import ops

from . import run
from .compare import compare, probes, summary
from .programs import OPS, Chain, Drawn, programs


@pytest.mark.long
@settings(
    max_examples=5,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(program=programs())
def test_drawn_programs_agree_with_pytorch(
    program: tuple[Chain, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    outcome = compare(program, tmp_path_factory.mktemp("drawn"))
    assert outcome.differs == []
    assert outcome.compared or outcome.refused


def test_every_step_keeps_the_shape_and_takes_each_of_its_options() -> None:
    x, ids = probes()["example"]
    for name, op in OPS.items():
        for place in range(max([len(each) for each in op.options.values()], default=1)):
            options = {key: values[place % len(values)] for key, values in op.options.items()}
            (given_,) = Drawn([((name, options),)]).eval()(x, ids)
            assert given_.shape == x.shape, (name, options)


def test_a_lowering_that_drops_an_option_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ops.LOWERINGS, "gelu")  # coremltools' own takes `tanh` for exact
    monkeypatch.delitem(ops.LOWERINGS, "log")
    chains: list[Chain] = [(("gelu", {"approximate": "tanh"}),), (("log", {}),)]
    outcome = compare(chains, tmp_path)
    assert any(each.startswith("coreml, example, y0") for each in outcome.differs)
    assert any(each.startswith("coreml, zeros, y1") for each in outcome.differs)
    assert not any(each.startswith("onnx") for each in outcome.differs)


def test_a_run_goes_on_where_it_was_stopped_and_fails_where_something_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing: dict[str, Any] = {"compared": 3, "unsure": 1, "nan": 0, "refused": [], "differs": []}
    monkeypatch.setattr(run, "_outcome", lambda _: nothing)
    clock = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    assert run.main(["--seconds", "40", "--out", str(tmp_path)]) == 0
    first = run.read(tmp_path / "programs.jsonl")
    monkeypatch.setattr(run, "_outcome", lambda _: {**nothing, "differs": ["coreml: wrong"]})
    assert run.main(["--seconds", "40", "--out", str(tmp_path)]) == 1
    both = run.read(tmp_path / "programs.jsonl")
    assert both[: len(first)] == first
    assert [each["number"] for each in both] == list(range(len(both)))
    assert len({json.dumps(each["program"]) for each in both}) > len(first)
    assert "coreml: wrong" in capsys.readouterr().out


def test_the_summary_counts_refusals_by_reason_without_their_places() -> None:
    refused = ["coreml: i0 at a.py:3: no lowering", "coreml: i0 at b.py:9: no lowering"]
    told = summary([{"compared": 1, "unsure": 0, "nan": 2, "refused": refused, "differs": []}])
    assert "2  coreml: i0: no lowering" in told
    assert "programs run    1" in told
