"""Evaluation data in files are the arrays that a factory would return, whatever the files are cut into."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import DataError, MissingExtra, RecipeError
from pocketrec.evaluation import ClassificationData, RankingData
from pocketrec.recipe import Evaluate
from pocketrec.recipe.measures import Slice
from pocketrec.source.columns import paths_of, read_rows
from pocketrec.source.data import TableData, open_tables

USERS = 11
EVALUATE = Evaluate(data="users-*.parquet", kind="ranking", output="scores")
Write = Callable[[pa.Table, Path], None]


def contract() -> Contract:
    history = Feature(
        name="history", kind="id_sequence", shape=("batch", "length"), vocabulary="item", padding_side="left"
    )
    bag = Feature(name="tags", kind="id_bag", shape=("batch", 2), vocabulary="item", padding_side="right")
    age = Feature(name="age", kind="dense", dtype="float32", shape=("batch", 1))
    pair = Feature(name="pair", kind="dense", dtype="float32", shape=("batch", 2))
    scores = Output(name="scores", meaning="score", shape=("batch", 40), vocabulary="item")
    return Contract(
        functions={"main": Signature(inputs=(history, bag, age, pair), outputs=(scores,))},
        dims={"batch": Dim(max=4), "length": Dim(max=3)},
        vocabularies={"item": VocabularySpec(size=40, padding_id=0, unknown_id=1)},
    )


def columns() -> dict[str, Any]:
    return {
        "history": [[2 + each] * (each % 4) for each in range(USERS)],
        "tags": [[5], [], [6, 7]] + [[8]] * (USERS - 3),
        "age": np.arange(USERS, dtype=np.float64),
        "pair": [[each, -each] for each in np.arange(USERS, dtype=np.float32)],
        "positive": np.arange(USERS) + 20,
        "seen": [list(range(each % 3)) for each in range(USERS)],
    }


def write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=2)


def write_arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write(folder: Path, given: dict[str, Any], *, suffix: str = "parquet") -> None:
    table = pa.table(given)
    for name, start, stop in (("a", 0, 5), ("b", 5, 5), ("c", 5, USERS)):
        place = folder / f"users-{name}.{suffix}"
        (write_parquet if suffix == "parquet" else write_arrow)(table.slice(start, stop - start), place)


def opened(folder: Path, evaluate: Evaluate = EVALUATE) -> TableData:
    return open_tables(evaluate, contract(), folder)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_parts_of_files_are_the_rows_in_order(suffix: str, size: int, tmp_path: Path) -> None:
    write(tmp_path, columns(), suffix=suffix)
    data = opened(tmp_path, replace(EVALUATE, data=f"users-*.{suffix}"))
    assert len(data) == USERS
    for start in (0, 3, 8):
        parts = list(data.parts(size, start))
        assert [len(each) for each in parts[:-1]] == [size] * (len(parts) - 1)
        assert all(isinstance(each, RankingData) for each in parts)
        joined = {name: np.concatenate([each.inputs[name] for each in parts]) for name in parts[0].inputs}
        history = [[0] * (3 - each % 4) + [2 + each] * (each % 4) for each in range(USERS)]
        np.testing.assert_array_equal(joined["history"], np.array(history, np.int32)[start:])
        tags = np.array([[5, 0], [0, 0], [6, 7]] + [[8, 0]] * (USERS - 3), np.int32)
        np.testing.assert_array_equal(joined["tags"], tags[start:])
        np.testing.assert_array_equal(joined["age"], np.arange(start, USERS, dtype=np.float32)[:, None])
        assert {name: each.dtype.name for name, each in joined.items()} == {
            "history": "int32",
            "tags": "int32",
            "age": "float32",
            "pair": "float32",
        }
        positives = [each.positives for each in parts if isinstance(each, RankingData)]
        assert np.concatenate(positives).tolist() == list(range(start + 20, USERS + 20))
        seen = [
            part.seen(user).tolist()
            for part in parts
            if isinstance(part, RankingData)
            for user in range(len(part))
        ]
        assert seen == columns()["seen"][start:]


def test_padding_and_unknown_of_the_ranked_vocabulary_are_no_items(tmp_path: Path) -> None:
    write(tmp_path, columns())
    assert opened(tmp_path).ignored_ids == (0, 1)


def test_heads_of_one_table_have_a_column_of_labels_each(tmp_path: Path) -> None:
    named = {"clicked": np.arange(USERS) % 2, "bought": (np.arange(USERS) < 4).astype(np.int64)}
    write(tmp_path, {**columns(), **named})
    for name, labels in named.items():
        data = opened(tmp_path, replace(EVALUATE, kind="classification", label=name))
        (part,) = data.parts(100)
        assert isinstance(part, ClassificationData)
        assert part.labels.tolist() == labels.tolist()
    one, other = (opened(tmp_path, replace(EVALUATE, kind="classification", label=name)) for name in named)
    assert one.sha256() != other.sha256()
    with pytest.raises(DataError, match="lacks the column 'liked'"):
        opened(tmp_path, replace(EVALUATE, kind="classification", label="liked"))
    write(tmp_path, {**columns(), "bought": np.arange(USERS) + 2})
    wrong = opened(tmp_path, replace(EVALUATE, kind="classification", label="bought"))
    with pytest.raises(DataError, match="row 0, column 'bought' is 2; expected 0 or 1"):
        next(wrong.parts(100))


def test_labels_come_from_their_own_column(tmp_path: Path) -> None:
    given = columns() | {"label": [0, 1] * 5 + [1]}
    write(tmp_path, given)
    (part,) = opened(tmp_path, replace(EVALUATE, kind="classification")).parts(100)
    assert isinstance(part, ClassificationData)
    assert part.labels.tolist() == [0, 1] * 5 + [1]
    write(tmp_path, given | {"label": [0] * 10 + [3]})
    with pytest.raises(DataError, match=r"users-c\.parquet: row 5, column 'label' is 3; expected 0 or 1"):
        list(opened(tmp_path, replace(EVALUATE, kind="classification")).parts(4))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"history": [[1]] * 9 + [[1] * 4] * 2},
            r"users-c\.parquet: row 4, column 'history' has 4 values; expected 3 at most; write the file "
            r"again with the most recent alone$",
        ),
        (
            {"pair": [[1.0, 2.0]] * 7 + [[1.0]] * 4},
            r"users-c\.parquet: row 2, column 'pair' has 1 value; expected 2; write the file again$",
        ),
        (
            {"history": [[1]] * 8 + [None] * 3},
            r"users-c\.parquet: row 3, column 'history' is null; expected a list",
        ),
        (
            {"tags": [[1]] * 8 + [[None]] * 3},
            r"users-c\.parquet: row 3, column 'tags' holds a null; expected numbers",
        ),
        (
            {"positive": [1] * 10 + [None]},
            r"users-c\.parquet: row 5, column 'positive' is null; expected a number",
        ),
        (
            {"positive": [1] * 10 + [-4]},
            r"users-c\.parquet: row 5, column 'positive' is -4; expected an item's id",
        ),
        ({"age": ["x"] * USERS}, r"users-a\.parquet: row 0, column 'age' holds 'x'; expected float32"),
        (
            {"history": [[2**40]] * USERS},
            r"users-a\.parquet: row 0, column 'history' holds 1099511627776; expected int32",
        ),
        (
            {"tags": [[1]] * 8 + [[1, 2], [3], [-(2**40)]]},
            r"users-c\.parquet: row 5, column 'tags' holds -1099511627776; expected int32",
        ),
        (
            {"age": [0.5] * 9 + [1e300] * 2},
            r"users-c\.parquet: row 4, column 'age' holds 1e\+300; expected a finite float32",
        ),
        (
            {"age": [0.5] * 10 + [float("nan")]},
            r"users-c\.parquet: row 5, column 'age' holds nan; expected a finite float32",
        ),
        ({"seen": [3] * USERS}, r"users-a\.parquet: row 0, column 'seen' is int64; expected a list"),
        ({"seen": ["a"] * USERS}, r"users-a\.parquet: row 0, column 'seen' is string; expected a list"),
        (
            {"history": [1] * USERS},
            r"users-a\.parquet: row 0, column 'history' is int64; expected a list of 3 values",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_file_and_row(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write(tmp_path, columns() | changed)
    with pytest.raises(DataError, match=message):
        list(opened(tmp_path).parts(4))


def test_a_list_of_ids_that_nothing_fills_up_is_told_with_what_would(tmp_path: Path) -> None:
    write(tmp_path, columns())
    known = contract()
    main = known.functions["main"]
    bare = tuple(
        replace(each, padding_side=None, out_of_vocabulary="forbid") if each.name == "history" else each
        for each in main.inputs
    )
    stated = replace(known, functions={"main": replace(main, inputs=bare)})
    told = r"column 'history' has \d values?; expected 3; .* padding_side and .* padding_id, which fill up$"
    with pytest.raises(DataError, match=told):
        list(open_tables(EVALUATE, stated, tmp_path).parts(4))


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"evaluate.data is 'users-\*.parquet'; no such file"):
        opened(tmp_path)
    write(tmp_path, {name: each for name, each in columns().items() if name != "tags"})
    with pytest.raises(DataError, match=r"users-a.parquet: lacks the column 'tags'; it has age, history"):
        opened(tmp_path)
    write(tmp_path, columns())
    with pytest.raises(RecipeError, match="arguments are a factory's"):
        opened(tmp_path, replace(EVALUATE, arguments={"rows": 3}))
    write_parquet(pa.table(columns() | {"more": [1] * USERS}), tmp_path / "users-b.parquet")
    with pytest.raises(DataError, match=r"users-b.parquet: its columns are not those of users-a.parquet"):
        opened(tmp_path)
    (tmp_path / "users-b.parquet").write_bytes(b"PAR1 no more than this")
    with pytest.raises(DataError, match=r"users-b.parquet: cannot be read"):
        opened(tmp_path)


def test_the_item_side_has_a_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, columns())
    pq.write_table(pa.table({"item": np.arange(40)}), tmp_path / "items.parquet")
    item = Feature(name="item", kind="id", shape=("batch",), vocabulary="item")
    user = replace(
        contract().functions["main"], outputs=(Output(name="user", meaning="embedding", shape=("batch", 4)),)
    )
    items = Signature(
        inputs=(item,), outputs=(Output(name="vector", meaning="embedding", shape=("batch", 4)),)
    )
    both = replace(contract(), functions={"main": user, "items": items})
    evaluate = replace(
        EVALUATE,
        output="user",
        catalogue_function="items",
        catalogue_output="vector",
        catalogue="items.parquet",
    )
    data = open_tables(evaluate, both, tmp_path)
    assert data.catalogue["item"].tolist() == list(range(40))
    assert data.catalogue["item"].dtype == np.int32
    assert data.ignored_ids == (0, 1)
    with pytest.raises(RecipeError, match=r"evaluate.catalogue is 'items.parquet'; it goes with"):
        replace(evaluate, data="data.py:make")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, columns())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pyarrow is not installed.*pocketrec\[parquet\]"):
        opened(tmp_path)


def test_files_without_rows_or_with_one_name_twice_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table(columns()).slice(0, 0), tmp_path / "users-a.parquet")
    with pytest.raises(DataError, match=r"users-a\.parquet: has no rows"):
        opened(tmp_path)
    table = pa.table(columns())
    table = table.append_column("age", table["age"])
    pq.write_table(table, tmp_path / "users-a.parquet")
    with pytest.raises(DataError, match=r"users-a\.parquet: has two columns 'age'; rename one"):
        opened(tmp_path)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_rows_of_columns_that_share_a_name_are_a_damaged_file(suffix: str, tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["age", "age"])
    (write_parquet if suffix == "parquet" else write_arrow)(table, tmp_path / f"a.{suffix}")
    with pytest.raises(DataError, match=rf"a\.{suffix}: .*age"):
        list(read_rows(tmp_path / f"a.{suffix}", ["age", "age"], 0))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_column_whose_name_is_no_text_is_a_damaged_file(suffix: str, tmp_path: Path) -> None:
    write(tmp_path, columns(), suffix=suffix)
    first = tmp_path / f"users-a.{suffix}"
    first.write_bytes(first.read_bytes().replace(b"history", b"hist\x86ry"))
    with pytest.raises(DataError, match=rf"users-a\.{suffix}: cannot be read \(.*0x86.*write it again"):
        opened(tmp_path, replace(EVALUATE, data=f"users-*.{suffix}"))


@pytest.mark.parametrize("pattern", ["**.parquet", "a\0b.parquet"])
def test_a_pattern_that_names_no_path_is_said_so(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"evaluate.data is .*; expected a path|no such file"):
        opened(tmp_path, replace(EVALUATE, data=pattern))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_columns_beside_the_inputs_are_read_for_slices(suffix: str, tmp_path: Path) -> None:
    land = pa.array(["a", None, *["b"] * (USERS - 2)])
    more = {
        "land": land.dictionary_encode(),
        "plain": land,
        "n": pa.array([None, *range(USERS - 1)]),
        "w": range(USERS),
    }
    write(tmp_path, columns() | more, suffix=suffix)
    asked = {name: Slice(by=name) for name in (*more, "age")}
    data = opened(tmp_path, replace(EVALUATE, data=f"users-*.{suffix}", slices=asked))
    first, *rest = data.parts(5)
    assert first.columns["land"].tolist() == first.columns["plain"].tolist() == ["a", "", "b", "b", "b"]
    assert np.isnan(first.columns["n"][0])
    assert rest[0].columns["w"].tolist() == list(range(5, 10))
    assert "age" not in first.columns  # an input


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "lacks the column 'land'"),
        ({"land": [[1]] * USERS}, "column land: holds list<.*expected numbers or texts"),
    ],
)
def test_a_column_that_cannot_cut_is_named(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    write(tmp_path, columns() | given)
    with pytest.raises(DataError, match=message):
        next(opened(tmp_path, replace(EVALUATE, slices={"x": Slice(by="land")})).parts(5))


def test_a_pattern_leads_to_no_hidden_file(tmp_path: Path) -> None:
    for name in ("a.parquet", ".partial-b.parquet"):
        (tmp_path / name).touch()
    (tmp_path / ".parts-a.parquet").mkdir()
    assert [each.name for each in paths_of("*.parquet", tmp_path, "--data")] == ["a.parquet"]
    assert [each.name for each in paths_of(".partial-*", tmp_path, "--data")] == [".partial-b.parquet"]
