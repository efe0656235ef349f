"""Logs in files: every column that can be wrong is told by file, column, row, value and what was expected."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from pocketrec.errors import DataError
from pocketrec.pipeline.logged import read_logged
from pocketrec.validate.experiments.estimates import Asked, Estimate, estimate_log
from pocketrec.validate.experiments.propensity import Log

ROWS = 600
RNG = np.random.default_rng(0)
ACTIONS = RNG.choice(2, ROWS, p=[0.6, 0.4])
COLUMNS: dict[str, Any] = {
    "reward": (RNG.random(ROWS) < 0.3).astype(float),
    "propensity": np.array([0.6, 0.4])[ACTIONS],
    "target": np.array([0.5, 0.5])[ACTIONS],
}


def written(place: Path, **changes: Any) -> Path:
    columns = {name: each for name, each in {**COLUMNS, **changes}.items() if each is not None}
    pq.write_table(pa.table(columns), place / "log.parquet")
    return place / "log.parquet"


def test_the_estimates_are_those_of_the_arrays(tmp_path: Path) -> None:
    more = {"predicted": np.full(ROWS, 0.3), "expected": np.full(ROWS, 0.3), "unsupported": np.zeros(ROWS)}
    units = [f"user {each // 3}" for each in range(ROWS)]
    found = read_logged(written(tmp_path, unit=units, other=units, **more), Asked())
    log = Log(
        rewards=COLUMNS["reward"],
        propensities=COLUMNS["propensity"],
        targets=COLUMNS["target"],
        units=np.arange(ROWS) // 3,
        **more,
    )
    assert found.estimates == estimate_log(log)
    assert all(isinstance(each, Estimate) for each in found.estimates)
    assert (found.rows, found.positions, dict(found.not_run)) == (ROWS, None, {})
    assert found.earned == COLUMNS["reward"].mean()


def test_whole_numbers_booleans_and_arrow_files_are_read_as_well(tmp_path: Path) -> None:
    as_bool = {**COLUMNS, "reward": COLUMNS["reward"] == 1}
    feather.write_feather(pa.table(as_bool), str(tmp_path / "log.arrow"), compression="uncompressed")
    found = read_logged(tmp_path / "log.arrow", Asked())
    assert found.estimates == read_logged(written(tmp_path), Asked()).estimates
    assert set(found.not_run) == {"dr", "switch-dr"}


def lists(values: Any) -> list[Any]:
    return list(np.asarray(values).reshape(-1, 2))


def test_columns_of_lists_are_whole_lists(tmp_path: Path) -> None:
    columns = {name: lists(each) for name, each in COLUMNS.items()}
    found = read_logged(written(tmp_path, **columns), Asked())
    assert [each.estimator for each in found.estimates] == ["slate-ips", "rips"]
    assert (found.rows, found.positions, set(found.not_run)) == (ROWS // 2, 2, {"iips", "pi"})
    both = {"marginal_propensity": columns["propensity"], "marginal_target": columns["target"]}
    found = read_logged(written(tmp_path, **columns, **both), Asked())
    assert [each.estimator for each in found.estimates] == ["slate-ips", "rips", "iips", "pi"]
    assert not found.not_run


def changed(name: str, row: int, value: object) -> dict[str, list[object]]:
    values = [float(each) for each in COLUMNS[name]]
    return {name: [*values[:row], value, *values[row + 1 :]]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (changed("propensity", 7, 0.0), "column 'propensity': row 7 is 0.0; expected 1e-12 to 1; correct"),
        (changed("propensity", 7, 1.01), "column 'propensity': row 7 is 1.01; expected 1e-12 to 1"),
        (changed("target", 599, -0.5), "column 'target': row 599 is -0.5; expected 0 to 1"),
        (changed("reward", 3, float("nan")), "row 3, column 'reward' holds nan; expected a finite float64"),
        (changed("reward", 3, None), "row 3, column 'reward' is null; expected a number"),
        (
            {"target": None},
            "column 'target' is missing; it has reward, propensity, and needs reward, propens",
        ),
        ({"target": ["a"] * ROWS}, "row 0, column 'target' holds 'a'; expected float64"),
        (
            {"predicted": COLUMNS["reward"]},
            "column 'predicted' without 'expected'; expected both, or neither",
        ),
        ({"marginal_target": COLUMNS["target"]}, "column 'marginal_target' says nothing in a log of rounds;"),
        ({"unit": [None, *range(ROWS - 1)]}, "row 0, column 'unit' is null; expected who the row belongs to"),
        ({"target": lists(np.ones(2 * ROWS))}, "row 0, column 'target' holds"),
    ],
)
def test_a_column_that_is_wrong_is_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as raised:
        read_logged(written(tmp_path, **changes), Asked())
    assert str(raised.value).startswith(f"{tmp_path / 'log.parquet'}: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward": [[0.0, 1.0], [1.0]]}, "row 1, column 'reward' has 1 positions; expected 2, as row 0"),
        (
            {"reward": pa.array([[], []], pa.list_(pa.float64()))},
            "row 0, column 'reward' has 0 positions; expected one or more",
        ),
        (
            {"propensity": [[0.5], [0.5]]},
            "column 'propensity': shape (2, 1); expected (2, 2), as the rewards",
        ),
        ({"propensity": [[0.5, 0.5], [0.5, 0.0]]}, "column 'propensity': row 1, position 1 is 0.0; expected"),
        ({"target": [0.5, 0.5]}, "row 0, column 'target' is double; expected a list"),
        ({"expected": [0.5, 0.5]}, "column 'expected' says nothing in a log of whole lists; leave it out"),
        ({"unsupported": [0.5, 1.5]}, "column 'unsupported': row 1 is 1.5; expected 0 to 1"),
        ({"marginal_target": [[0.5, 0.5]] * 2}, "column 'marginal_target' without 'marginal_propensity'"),
    ],
)
def test_a_column_of_lists_that_is_wrong_is_told(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    two = {"reward": [[0.0, 1.0]] * 2, "propensity": [[0.5, 0.5]] * 2, "target": [[0.5, 0.5]] * 2}
    with pytest.raises(DataError, match=re.escape(message)):
        read_logged(written(tmp_path, **{**two, **changes}), Asked())


def test_a_log_without_rows_and_a_file_that_is_none_are_told(tmp_path: Path) -> None:
    empty = {name: np.zeros(0) for name in COLUMNS}
    with pytest.raises(DataError, match="no rows; expected a row for each round that was logged"):
        read_logged(written(tmp_path, **empty), Asked())
    (tmp_path / "log.parquet").write_bytes(b"no Parquet")
    with pytest.raises(DataError, match="cannot be read"):
        read_logged(tmp_path / "log.parquet", Asked())
    with pytest.raises(DataError, match=r"no such file; pass a \.parquet, "):
        read_logged(tmp_path / "nowhere.parquet", Asked())
