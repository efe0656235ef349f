"""What a search found out is kept line by line, and a line that is none or was edited is found out again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pocketrec.kept import key_of
from pocketrec.pipeline.measurements import MeasurementFile, Weighed, candidate_file
from pocketrec.quantize.planner import Measured

KEPT = Measured(losses={"auc": 0.1}, distortion=0.2, errors={"auc": 0.01})


def digested(line: str) -> str:
    """The line with the digest that it would have been written with, where it is a table."""
    return json.dumps((table := json.loads(line)) | {"sha256": key_of(**table)}) if line[0] == "{" else line


def test_a_line_with_its_digest_is_known(tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    line = '{"key": "a", "size_bytes": 12, "noise": 0.5, "limited": [9, 8]}'
    path.write_text(digested(line) + "\n")
    assert candidate_file(path).get("a") == Weighed(key="a", size_bytes=12, noise=0.5, limited=(9, 8))
    path.write_text(line + "\n")
    assert candidate_file(path).get("a") is None


@pytest.mark.parametrize(
    "line",
    [
        '{"key": "KEY", "size_bytes": -1, "noise": 0.1, "limited": []}',
        '{"key": "KEY", "size_bytes": 1, "noise": -0.1, "limited": []}',
        '{"key": "KEY", "size_bytes": 1, "noise": NaN, "limited": []}',
        '{"key": "KEY", "size_bytes": 1, "noise": Infinity, "limited": []}',
        '{"key": "KEY", "size_bytes": "x", "noise": 0.1, "limited": []}',
        '{"key": "KEY", "noise": 0.1}',
    ],
)
def test_a_line_that_is_no_candidate_is_weighed_again(line: str, tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    path.write_text(digested(line.replace("KEY", "a")) + "\n")
    kept = candidate_file(path)
    assert kept.get("a") is None
    kept.put(Weighed(key="a", size_bytes=12, noise=0.5, limited=(9, 8)))
    kept.put(Weighed(key="b", size_bytes=None, noise=0.0, limited=()))
    again = candidate_file(path)
    assert again.get("a") == Weighed(key="a", size_bytes=12, noise=0.5, limited=(9, 8))
    assert again.get("b") == Weighed(key="b", size_bytes=None, noise=0.0, limited=())


def test_a_line_that_was_cut_off_is_left_out_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    MeasurementFile(path, ["auc"]).put("a", KEPT)
    path.write_text(path.read_text() + '{"key": "b", "los')
    again = MeasurementFile(path, ["auc"])
    assert (again.get("a"), again.get("b")) == (KEPT, None)
    again.put("c", KEPT)
    again.put("d", KEPT)
    last = MeasurementFile(path, ["auc"])
    assert [last.get(key) for key in "abcd"] == [KEPT, None, KEPT, KEPT]


@pytest.mark.parametrize(
    "line",
    [
        '{"key": "a", "losses": {"auc": 0.1}, "distortion": "x", "errors": {}}',
        '{"key": "a", "losses": [1], "distortion": 0.2, "errors": {}}',
        '{"key": "a", "distortion": 0.2, "errors": {}}',
        '{"key": "a", "losses": {"auc": NaN}, "distortion": 0.2, "errors": {}}',
        '{"key": "a", "losses": {"auc": 0.1}, "distortion": 1e308, "errors": {}}',
        '{"key": "a", "losses": {"auc": -1e308}, "distortion": 0.2, "errors": {}}',
        '{"key": "a", "losses": {"ndcg@10": 0.1}, "distortion": 0.2, "errors": {}}',
        '{"key": 5, "losses": {"auc": 0.1}, "distortion": 0.2, "errors": {}}',
        '{"key": "a", "losses": {"auc": 0.1}, "distortion": 0.2}',
        '{"key": "a", "losses": {"auc": 0.1}, "distortion": 0.2, "errors": {"auc": -0.1}}',
        '{"key": "a", "losses": {"auc": 0.1}, "distortion": 0.2, "errors": {"auc": NaN}}',
        '{"key": "a", "losses": {"auc": 0.1}, "distortion": 0.2, "errors": {"ndcg@10": 0.1}}',
        "[" * 5000,
        "null",
        "\xff\x00",
    ],
)
def test_a_line_that_is_no_measurement_is_measured_again(line: str, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(digested(line).encode("latin-1") + b"\n")
    MeasurementFile(path, ["auc"]).put("b", KEPT)
    found = MeasurementFile(path, ["auc"])
    assert (found.get("a"), found.get("b")) == (None, KEPT)


def test_a_plan_that_broke_the_ranking_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    broken = Measured(losses={"auc": float("nan")}, distortion=0.2)
    store = MeasurementFile(path, ["auc"])
    store.put("a", broken)
    known = store.get("a")
    assert known is not None
    assert np.isnan(known.losses["auc"])
    assert not path.exists()
