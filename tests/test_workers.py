"""Work that is spread over workers gives what one process gives, in the items' order."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from pocketrec import workers as where
from pocketrec.errors import MissingExtra, RecipeError, UsageError
from pocketrec.source.factory import load_factory
from pocketrec.workers import Workers

COUNTING = """
import os

class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, item):
        self.calls += 1
        return 2 * item, self.calls, os.getpid()
"""

NOTED: list[int] = []


def note(item: int) -> None:
    """Notes in this process that a thread was given the item."""
    NOTED.append(item)


@pytest.fixture
def counting(tmp_path: Path) -> Any:
    """An object of a class in a user's file, which no worker can import."""
    (tmp_path / "own.py").write_text(COUNTING)
    return load_factory("own.py:Counting", base=tmp_path, key="model.factory")()


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a Dask scheduler with two workers in processes of their own."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as running:
        yield running.scheduler_address


def test_this_process_does_everything_unless_it_is_told_otherwise(counting: Any) -> None:
    assert [each[:2] for each in Workers().map(counting, [3, 1])] == [(6, 1), (2, 2)]
    assert counting.calls == 2


def test_a_users_own_class_reaches_processes_that_cannot_import_it(counting: Any) -> None:
    found = list(Workers(count=2).map(counting, [5, 4, 3, 2]))
    assert [each[0] for each in found] == [10, 8, 6, 4]
    assert counting.calls == 0
    assert max(each[1] for each in found) > 1, "a worker keeps what it was sent"


def test_an_engine_that_gives_all_results_at_once_is_asked_for_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is done can be kept before all is done."""
    import joblib
    from joblib._parallel_backends import ThreadingBackend

    class Lists(ThreadingBackend):  # type: ignore[misc]  # joblib has no types
        supports_return_generator = False

    monkeypatch.setitem(joblib.parallel.BACKENDS, "ray", Lists)
    monkeypatch.setitem(where._CLUSTERS, "ray", nullcontext)
    monkeypatch.setattr(sys.modules[__name__], "NOTED", [])
    going = Workers(count=2, engine="ray").map(note, list(range(20)))
    next(going)
    assert sorted(NOTED) == list(range(8))
    assert len(list(going)) == 19
    assert sorted(NOTED) == list(range(20))


def test_workers_that_rest_are_new_ones_when_there_is_work_again(counting: Any) -> None:
    two = Workers(count=2)
    first = {each[2] for each in two.map(counting, [1, 2, 3])}
    two.rest()
    Workers().rest()
    assert first.isdisjoint(each[2] for each in two.map(counting, [1, 2, 3]))


def test_a_dask_cluster_gives_the_same_by_its_address(counting: Any, cluster: str) -> None:
    found = list(Workers(engine="dask", address=cluster).map(counting, [5, 4, 3, 2]))
    assert [each[0] for each in found] == [10, 8, 6, 4]
    assert counting.calls == 0
    assert os.getpid() not in {each[2] for each in found}


def test_an_engine_that_is_unknown_or_has_no_address_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="engine 'slurm' is unknown; expected one of loky, threading"):
        Workers(engine="slurm")
    with pytest.raises(UsageError, match="engine 'loky' has no address"):
        Workers(address="tcp://127.0.0.1:1")


def test_a_cluster_that_is_not_named_or_not_there_is_one_line(counting: Any) -> None:
    import dask

    with pytest.raises(UsageError, match="engine 'dask': no cluster is named"):
        list(Workers(engine="dask").map(counting, [1]))
    place = "tcp://127.0.0.1:9"
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        pytest.raises(UsageError, match=f"engine 'dask': no scheduler at {place}"),
    ):
        list(Workers(engine="dask", address=place).map(counting, [1]))


@pytest.mark.parametrize(("engine", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_an_engine_that_is_not_installed_names_its_extra(
    engine: str, module: str, counting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"{module} is not installed.*pocketrec\[{engine}\]"):
        list(Workers(engine=engine).map(counting, [1]))


def test_a_worker_that_dies_is_one_line() -> None:
    with pytest.raises(UsageError, match="engine 'loky': a worker ended in the middle"):
        list(Workers(count=2).map(os._exit, [1, 2]))


def test_an_error_of_the_work_itself_comes_home_as_it_is(counting: Any) -> None:
    with pytest.raises(TypeError, match="'int' and 'NoneType'"):
        list(Workers(count=2).map(counting, [1, None]))


def test_a_missing_extra_survives_the_way_home_from_a_worker() -> None:
    error = MissingExtra("pyarrow", "parquet")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.cluster
@pytest.mark.parametrize(("engine", "address"), [("ray", "local"), ("spark", "local[2]")])
def test_ray_and_spark_give_the_same(
    engine: str, address: str, counting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    found = list(Workers(engine=engine, address=address).map(counting, [5, 4, 3, 2]))
    assert [each[0] for each in found] == [10, 8, 6, 4]


@pytest.mark.cluster
@pytest.mark.parametrize(("engine", "address"), [("ray", "local"), ("spark", "local[2]")])
def test_what_goes_wrong_on_ray_and_spark_is_one_line(
    engine: str, address: str, counting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work's own error as it was raised; where a worker died, that it did."""
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    workers = Workers(engine=engine, address=address)
    with pytest.raises(TypeError) as caught:
        list(workers.map(counting, [1, None]))
    assert str(caught.value) == "unsupported operand type(s) for *: 'int' and 'NoneType'"
    with pytest.raises(UsageError, match=rf"^engine '{engine}': a worker ended in the middle.*workers$"):
        list(workers.map(os._exit, [1, 2]))


def test_an_error_from_a_worker_says_where_it_was_raised(counting: Any) -> None:
    with pytest.raises(TypeError) as caught:
        list(Workers(count=2).map(counting, [1, None]))
    assert "return 2 * item" in caught.value.__notes__[0]


def test_importing_this_loads_no_engine() -> None:
    code = (
        "import sys, pocketrec.workers; sys.exit(bool({'joblib', 'distributed', 'ray'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_work_that_ends_its_process_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import sys\ndef leaves(item):\n    sys.exit(0)\n")
    leaves = load_factory("own.py:leaves", base=tmp_path, key="model.factory")
    for workers in (Workers(count=2), Workers(count=2, engine="threading")):
        with pytest.raises(RecipeError, match=r"ended the process: SystemExit at .*own\.py:3: 0"):
            list(workers.map(leaves, [1, 2]))


@pytest.mark.parametrize("count", [-1, 0, 1025, 1_000_000])
def test_a_number_of_workers_that_no_machine_has_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} workers; expected 1 to 1024"):
        Workers(count=count)
