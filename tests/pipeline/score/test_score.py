"""Every user's list is the one that the bundle gives alone, and work that was killed goes on where it was."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tests.mean import RECIPE, write_mean

import pocketrec
from pocketrec.cli.main import main
from pocketrec.errors import CheckFailed, DataError, MissingExtra, StorageError, UsageError
from pocketrec.package.bundle import read_bundle
from pocketrec.pipeline.score import users as score_users
from pocketrec.pipeline.score.parts import Scorer
from pocketrec.pipeline.score.score import METADATA, Terms, score
from pocketrec.workers import Workers

# Histories of any length, since what the model makes of padding depends on it.
SHORTER = (
    RECIPE.replace("[contract.vocabularies", "[contract.dims.length]\nmax = 5\n[contract.vocabularies", 1)
    .replace('"batch", 5]', '"batch", "length"]\npadding_side = "left"\nout_of_vocabulary = "padding"')
    .replace('tokens = "items.txt"', 'tokens = "items.txt"\ntitles = "titles.txt"')
)
USERS = 19


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("score")
    titles = ["", *(f"Film {number // 2}" for number in range(1, 30))]
    (folder / "titles.txt").write_text("".join(f"{each}\n" for each in titles))
    built = pocketrec.build(write_mean(folder, recipe=SHORTER), out=folder / "mean")
    assert built.passed
    return built.path


@pytest.fixture(autouse=True)
def short_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_users, "_SPAN_ROWS", 4)


def table(rows: int = USERS) -> Any:
    """Users with histories of every length, none among them, and words that nobody knows."""
    rng = np.random.default_rng(0)
    histories = [[f"item {each}" for each in rng.integers(1, 30, length % 7)] for length in range(rows)]
    histories[3] = ["Film 0", "never heard of", "item 29"]
    return pa.table(
        {
            "user": [f"user {number}" for number in range(rows)],
            "history": pa.array(histories, pa.list_(pa.string())),
            "excluding": pa.array([each[:1] for each in histories], pa.list_(pa.string())),
        }
    )


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("users") / "users.parquet"
    pq.write_table(table(), path, row_group_size=7)
    return path


@pytest.fixture(scope="module")
def expected(bundle: Path, users: Path) -> list[dict[str, Any]]:
    """What the bundle gives to each user alone."""
    found = []
    with pocketrec.load(bundle) as model:
        for row in pq.read_table(users).to_pylist():
            listed = model.recommend(history=row["history"], excluding=row["excluding"], k=3)
            found.append(
                {
                    "user": row["user"],
                    "items": [each.token for each in listed],
                    "scores": [each.score for each in listed],
                    "unknown": len(listed.unknown),
                }
            )
    return found


@pytest.fixture(scope="module")
def lists(bundle: Path, users: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of the lists of all users, computed in one go."""
    out = tmp_path_factory.mktemp("lists") / "lists.parquet"
    score(bundle, str(users), out, Terms(k=3))
    return out.read_bytes()


def test_each_user_gets_what_the_bundle_recommends_alone_to_the_bit(
    bundle: Path, users: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    out = tmp_path / "lists.parquet"
    found = score(bundle, str(users), out, Terms(k=3, batch=1))
    assert pq.read_table(out).to_pylist() == expected
    assert (found.users, found.computed, found.reused) == (USERS, 5, 0)
    assert found.unknown == 1
    assert found.short == 0
    assert [each.name for each in tmp_path.iterdir()] == ["lists.parquet"], "nothing is left behind"


def test_batches_move_scores_by_rounding_alone(lists: bytes, expected: list[dict[str, Any]]) -> None:
    found = pq.read_table(pa.BufferReader(lists)).to_pylist()
    for one, alone in zip(found, expected, strict=True):
        assert one["scores"] == pytest.approx(alone["scores"], abs=1e-6)
        assert {**one, "scores": 0} == {**alone, "scores": 0}


def test_the_file_says_what_decided_it(lists: bytes, bundle: Path, users: Path) -> None:
    about = json.loads(pq.read_schema(pa.BufferReader(lists)).metadata[METADATA.encode()])
    assert about["bundle"]["tree_sha256"] == read_bundle(bundle).manifest.tree_sha256
    assert (about["target"], about["runtime"], about["method"]) == ("onnx", "onnxruntime", "recommend")
    assert (about["k"], about["users"], about["batch"], about["schema"]) == (3, USERS, None, 1)
    assert len(about["data_sha256"]) == 1


@pytest.mark.parametrize(("engine", "count"), [("threading", 2), ("loky", 2)])
def test_any_workers_give_the_same_bytes(
    engine: str, count: int, bundle: Path, users: Path, tmp_path: Path, lists: bytes
) -> None:
    out = tmp_path / "lists.parquet"
    score(bundle, str(users), out, Terms(k=3), workers=Workers(count=count, engine=engine))
    assert out.read_bytes() == lists


def test_a_dask_cluster_gives_the_same_bytes(bundle: Path, users: Path, tmp_path: Path, lists: bytes) -> None:
    from distributed import LocalCluster

    out = tmp_path / "lists.parquet"
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp://", dashboard_address=":0"
    ) as running:
        where = Workers(engine="dask", address=running.scheduler_address)
        score(bundle, str(users), out, Terms(k=3), workers=where)
    assert out.read_bytes() == lists


@pytest.mark.cluster
@pytest.mark.parametrize(("engine", "address"), [("ray", "local"), ("spark", "local[2]")])
def test_ray_and_spark_give_the_same_bytes(
    engine: str,
    address: str,
    bundle: Path,
    users: Path,
    tmp_path: Path,
    lists: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    out = tmp_path / "lists.parquet"
    score(bundle, str(users), out, Terms(k=3), workers=Workers(engine=engine, address=address))
    assert out.read_bytes() == lists


KILLED = """
import os, signal, sys
from pathlib import Path
from pocketrec.pipeline.score import users as score_users
from pocketrec.pipeline.score.score import Terms, score

score_users._SPAN_ROWS = 4

def progress(stage, done, total):
    if stage == "score" and done >= 12:
        os.kill(os.getpid(), signal.SIGKILL)

score(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Terms(k=3), progress=progress)
"""


def test_after_a_kill_finished_parts_are_not_computed_again_and_a_cut_one_is(
    bundle: Path, users: Path, tmp_path: Path, lists: bytes
) -> None:
    out = tmp_path / "lists.parquet"
    killed = subprocess.run([sys.executable, "-c", KILLED, bundle, users, out], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    cut = next((tmp_path / ".parts-lists.parquet").rglob("4-8.part"))
    cut.write_bytes(cut.read_bytes()[:-9])
    found = score(bundle, str(users), out, Terms(k=3))
    assert (found.reused, found.computed, found.damaged) == (2, 3, 1)
    assert out.read_bytes() == lists
    assert [each.name for each in tmp_path.iterdir()] == ["lists.parquet"]


class Stopped(Exception):
    """What ends a run in a test."""


def stopped_after(parts: int, monkeypatch: pytest.MonkeyPatch, bundle: Path, data: Path, out: Path) -> None:
    """Scores some parts, and no further."""
    original = Scorer.__call__
    begun: list[Any] = []

    def call(self: Scorer, span: tuple[int, int]) -> Any:
        begun.append(span)
        if len(begun) > parts:
            raise Stopped
        return original(self, span)

    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "__call__", call)
        with pytest.raises(Stopped):
            score(bundle, str(data), out, Terms(k=3))


def test_parts_of_other_work_are_never_used(
    bundle: Path, users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = tmp_path / "lists.parquet", tmp_path / "other.parquet"
    stopped_after(2, monkeypatch, bundle, users, out)
    changed = table().to_pylist()
    changed[18]["history"] = ["item 1"]
    pq.write_table(pa.Table.from_pylist(changed, schema=table().schema), other, row_group_size=7)
    for data, terms in [
        (users, Terms(k=4)),
        (users, Terms(k=3, batch=1)),
        (users, Terms(k=3, columns={"excluding": "history"})),
        (other, Terms(k=3)),
    ]:
        assert score(bundle, str(data), out, terms).reused == 0
    assert score(bundle, str(users), out, Terms(k=3)).reused == 2


def test_two_runs_at_once_do_not_disturb_each_other(
    bundle: Path, users: Path, tmp_path: Path, lists: bytes
) -> None:
    out = tmp_path / "lists.parquet"
    within: list[int] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "score" and done == 8 and not within:
            within.append(score(bundle, str(users), out, Terms(k=3)).users)
            assert out.read_bytes() == lists
            out.unlink()

    found = score(bundle, str(users), out, Terms(k=3), progress=progress)
    assert within == [USERS]
    assert found.users == USERS
    assert out.read_bytes() == lists
    assert [each.name for each in tmp_path.iterdir()] == ["lists.parquet"]


def test_a_full_disk_is_one_line_and_what_was_there_stays(
    bundle: Path, users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "lists.parquet"
    out.write_bytes(b"what was there")

    def full(self: Any, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", full)
        with pytest.raises(StorageError, match=r"lists\.parquet: No space left on device"):
            score(bundle, str(users), out, Terms(k=3))
    assert out.read_bytes() == b"what was there"
    assert score(bundle, str(users), out, Terms(k=3)).reused == 5, "the parts were kept"


def test_what_a_killed_run_left_of_its_file_goes_with_the_next(
    bundle: Path, users: Path, tmp_path: Path
) -> None:
    (tmp_path / ".partial-lists.parquet-abc").write_bytes(b"half")
    score(bundle, str(users), tmp_path / "lists.parquet", Terms(k=3))
    assert [each.name for each in tmp_path.iterdir()] == ["lists.parquet"]


def written(folder: Path, **columns: Any) -> str:
    """Two users, with some columns changed or taken away."""
    given: dict[str, Any] = {"user": ["a", "b"], "history": [["item 1"], ["item 2"]], **columns}
    path = folder / "users.parquet"
    pq.write_table(pa.table({name: each for name, each in given.items() if each is not None}), path)
    return str(path)


@pytest.mark.parametrize(
    ("columns", "terms", "message"),
    [
        ({"history": None}, Terms(), "column 'history' is missing, which recommend takes as history"),
        ({"user": None}, Terms(), "column 'user' is missing, which tells users apart.*name it with --key"),
        ({}, Terms(key="member"), "column 'member' is missing"),
        ({"user": [1.5, 2.5]}, Terms(), "column 'user' holds double; expected strings or whole numbers"),
        ({"user": ["a", "a"]}, Terms(), r"row 1 \(row group 0\), column 'user' holds 'a', which .*: row 0"),
        ({"user": ["a", None]}, Terms(), r"row 1 \(row group 0\), column 'user' holds a null"),
        ({"history": ["item 1", "x"]}, Terms(), "column 'history' holds string; expected lists of strings"),
        ({"history": [[1], [2]]}, Terms(), "holds list<element: int64>; .*pass strings, or --ids where"),
        ({"history": [["item 1"], None]}, Terms(), "row 1 .*column 'history' holds a null"),
        ({"history": [["item 1"], ["item 2", None]]}, Terms(), "row 1 .*column 'history' holds a null"),
        (
            {"history": [["item 1"], ["Film 7"]]},
            Terms(),
            'holds "Film 7".*title of 2 items: item 14, item 15',
        ),
        ({"excluding": ["x", "y"]}, Terms(), "column 'excluding' holds string; expected lists of strings"),
        (
            {"user": pa.array([], pa.string()), "history": pa.array([], pa.list_(pa.string()))},
            Terms(),
            "no rows",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_before_the_work(
    bundle: Path, tmp_path: Path, columns: dict[str, Any], terms: Terms, message: str
) -> None:
    with pytest.raises(DataError, match=message) as error:
        score(bundle, written(tmp_path, **columns), tmp_path / "lists.parquet", terms)
    assert "users.parquet" in str(error.value)
    assert [each.name for each in tmp_path.iterdir()] == ["users.parquet"]


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (Terms(columns={"histroy": "history"}), "no argument of recommend; expected history, excluding"),
        (Terms(method="rank"), "--method is 'rank'; expected one of recommend"),
        (Terms(target="web"), "'web' is no target"),
    ],
)
def test_a_call_that_cannot_be_names_what_there_is(
    bundle: Path, users: Path, tmp_path: Path, terms: Terms, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        score(bundle, str(users), tmp_path / "lists.parquet", terms)
    for k in (0, 10**20):
        with pytest.raises(UsageError, match=f"k is {k}; expected 1 or more, and no more than"):
            Terms(k=k)
    with pytest.raises(UsageError, match=r"expected the name of a .parquet file"):
        score(bundle, str(users), tmp_path / "lists.csv", Terms())
    with pytest.raises(UsageError, match="there is no folder"):
        score(bundle, str(users), tmp_path / "none" / "lists.parquet", Terms())
    with pytest.raises(UsageError, match="which is read; pass another path"):
        score(bundle, str(users), users, Terms())
    with pytest.raises(UsageError, match="which is read; pass another path"):
        score(bundle, str(users), bundle / "lists.parquet", Terms())
    with pytest.raises(UsageError, match=r"--parts .*kept: is .* or lies in it, which is read"):
        score(bundle, str(users), tmp_path / "lists.parquet", Terms(), parts=bundle / "kept")


def test_an_extra_that_is_not_installed_is_named(
    bundle: Path, users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, extra in (("pyarrow", "parquet"), ("distributed", "dask"), ("ray", "ray")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            where = Workers(engine=extra) if extra != "parquet" else Workers()
            with pytest.raises(MissingExtra, match=rf"{module} is not installed.*pocketrec\[{extra}\]"):
                score(bundle, str(users), tmp_path / "lists.parquet", Terms(), workers=where)


def test_ids_stand_for_tokens_where_it_is_said_and_several_files_are_one_table(
    bundle: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    rows = table().to_pylist()
    with pocketrec.load(bundle) as model:
        items = model.items("item")
        for row in rows:
            for name in ("history", "excluding"):
                row[name] = [items.find(each) or 99 for each in row[name]]
    for number, part in enumerate((rows[:10], rows[10:])):
        pq.write_table(pa.Table.from_pylist(part), tmp_path / f"users-{number}.parquet")
    out = tmp_path / "lists.parquet"
    score(bundle, str(tmp_path / "users-*.parquet"), out, Terms(k=3, ids=True, batch=1))
    assert pq.read_table(out).to_pylist() == expected


def test_a_model_that_looks_from_row_to_row_is_refused(
    bundle: Path, users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Scorer._ask

    def leaking(self: Scorer, rows: Sequence[Any]) -> Any:
        answers = original(self, list(rows))
        return answers if len(rows) == 1 else answers[1:] + answers[:1]

    monkeypatch.setattr(Scorer, "_ask", leaking)
    with pytest.raises(CheckFailed, match=r"other scores in a batch than alone.*--batch 1"):
        score(bundle, str(users), tmp_path / "lists.parquet", Terms(k=3))


def test_the_command_says_what_was_done(bundle: Path, users: Path, tmp_path: Path, lists: bytes) -> None:
    out = tmp_path / "lists.parquet"
    asked = ["score", str(bundle), "--data", str(users), "--out", str(out), "--k", "3"]
    run = CliRunner().invoke(main, [*asked, "--json"])
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)
    assert (found["schema"], found["users"], found["computed"], found["reused"]) == (1, USERS, 5, 0)
    assert found["path"] == str(out)
    assert found["about"]["k"] == 3
    assert out.read_bytes() == lists
    shown = CliRunner().invoke(main, [*asked, "--column", "excluding=history"])
    assert "recommend of onnx on onnxruntime" in shown.stdout
    assert "columns that nothing was read from: excluding" in shown.stdout
    assert "1 user has words that are no items" in shown.stdout
    wrong = CliRunner().invoke(main, [*asked, "--column", "excluding"])
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "--column 'excluding': expected ARGUMENT=COLUMN" in wrong.stderr


def test_spans_in_any_order_have_their_own_rows(users: Path, bundle: Path) -> None:
    with pocketrec.load(bundle) as model:
        call = model.check_method("recommend")
        opened = score_users.open_users(str(users), model.contract, call, key="user", columns={}, ids=False)
    reader = score_users.Reader(opened)
    for start, end in [(8, 12), (0, 4), (12, 16), (16, 19), (4, 8), (5, 6), (6, 7)]:
        keys = [key for _, batch in reader.span((start, end)) for key in batch["user"].to_pylist()]
        assert keys == [f"user {number}" for number in range(start, end)]
    assert opened.where(15).endswith("users.parquet: row 15 (row group 2)")
