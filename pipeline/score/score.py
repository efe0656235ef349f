"""Lists of every user by the artifact that ships: resumable, in memory that does not grow with the users.

users.parquet ─▶ checked ─▶ spans ─▶ any engine ─▶ parts that are kept ─▶ lists.parquet, whole or not at all
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from pocketrec import __version__
from pocketrec.errors import UsageError, meant
from pocketrec.files import check_outside, check_place, whole_file
from pocketrec.kept import Parts, key_of, path_sha256
from pocketrec.package.bundle import read_bundle
from pocketrec.package.host.roles import Call
from pocketrec.pipeline.app import Recommender, load
from pocketrec.pipeline.score.checks import check_batch
from pocketrec.pipeline.score.keys import check_keys
from pocketrec.pipeline.score.parts import Scorer
from pocketrec.pipeline.score.users import Users, open_users
from pocketrec.progress import Progress, silent
from pocketrec.source.columns import paths_of, pyarrow
from pocketrec.workers import Workers

SCHEMA = 1
METADATA = "pocketrec.score"  # the key in the file's metadata
_DEFAULT_K = 10
_MOST = 2**31 - 1  # items of a list
_GROUP_ROWS = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked for every user.

    Attributes:
        method: of the bundle; None: the only one there is.
        target: whose artifacts run; None: the first that runs everywhere.
        runtime: the engine; None: the first that the target has here.
        k: items in a list, of methods that take it; None: 10.
        key: the column that tells users apart.
        columns: which column an argument is read from, where it is not called like it.
        ids: whether whole numbers are ids of the vocabulary.
        batch: calls at once; None: as many as fit.
    """

    method: str | None = None
    target: str | None = None
    runtime: str | None = None
    k: int | None = None
    key: str = "user"
    columns: Mapping[str, str] = field(default_factory=dict)
    ids: bool = False
    batch: int | None = None

    def __post_init__(self) -> None:
        if self.k is not None and not 1 <= self.k <= _MOST:
            raise UsageError(f"k is {self.k}; expected 1 or more, and no more than {_MOST}")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"batch is {self.batch}; expected 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What was written.

    Attributes:
        path: of the lists.
        users: how many there are.
        about: what decided them, as the file's metadata says it.
        computed: parts that were computed now.
        reused: parts that an earlier run had kept.
        damaged: parts that were cut or edited, and computed again.
        short: users with fewer items than k.
        unknown: users of whom some words are no items.
        unread: columns that nothing was read from.
    """

    path: Path
    users: int
    about: Mapping[str, Any]
    computed: int
    reused: int
    damaged: int
    short: int
    unknown: int
    unread: tuple[str, ...]


def score(
    bundle: Path,
    data: str,
    out: Path,
    terms: Terms,
    *,
    parts: Path | None = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Writes the lists of every user in `data` to `out`, a Parquet file, and says what was done.

    Args:
        bundle: whose artifact answers.
        data: a Parquet or Arrow file, or several by a pattern with `*`; a row per user.
        out: the file; whole or not there.
        terms: what is asked.
        parts: the folder of finished parts, which are gone once the file is there; by default beside it.
        workers: who computes.
        progress: is told of each step.

    Raises:
        UsageError: the call cannot be, or an engine is not there.
        DataError: a row cannot be read; names file, row and column.
        StorageError: the file, or a part, cannot be written.
    """
    step, workers = progress or silent, workers or Workers()
    _check_places(out, parts, bundle, data)
    scorer = _prepared(bundle, data, terms, step)
    kept = Parts(parts or out.with_name(f".parts-{out.name}"))
    spans, about = scorer.users.spans(), json.loads(scorer.metadata[METADATA])
    key = key_of(**about, spans=spans, **_read_from(scorer))
    lists = scorer.lists
    if not workers.alone:
        scorer.close()  # it is opened where it works
    counts, done, total = np.zeros(2, np.int64), 0, scorer.users.rows
    step("score", 0, total)
    try:
        with whole_file(out.resolve()) as partial, _Writer(partial, lists.schema) as file:
            for rows in kept.complete(key, spans, lambda lacking: workers.map(scorer, lacking)):
                table = pyarrow().ipc.open_file(pyarrow().py_buffer(rows["table"])).read_all()
                file.add(table)
                counts += _counts(table, scorer.options.get("k"))
                done += table.num_rows
                step("score", done, total)
    finally:
        scorer.close()
    kept.remove()
    return Scored(
        path=out,
        users=done,
        about=about,
        computed=kept.computed,
        reused=kept.reused,
        damaged=len(kept.damaged),
        short=int(counts[0]),
        unknown=int(counts[1]),
        unread=scorer.users.unread,
    )


def _check_places(out: Path, parts: Path | None, bundle: Path, data: str) -> None:
    if parts is not None:
        check_outside(parts, f"--parts {parts}", (bundle,))
    check_place(out, "--out", (bundle, *paths_of(data, Path(), "--data")))
    if out.suffix != ".parquet":
        raise UsageError(f"--out {out}: expected the name of a .parquet file")


def _prepared(bundle: Path, data: str, terms: Terms, step: Progress) -> Scorer:
    """What scores a span, once all that can be checked before is checked."""
    held = read_bundle(bundle)
    model = load(bundle, target=terms.target, runtime=terms.runtime)
    method = _method(model, terms.method)
    call = model.check_method(method)
    options = _options(call, terms.k)
    users = open_users(data, model.contract, call, key=terms.key, columns=terms.columns, ids=terms.ids)
    scorer = Scorer(
        bundle=bundle.absolute(),
        target=model.target,
        runtime=terms.runtime,
        users=users,
        method=method,
        options=options,
        batch=terms.batch,
    )
    scorer.hold(model)
    try:
        _check(users, model, step)
        engine = model.engine(call.function)
        scorer.runtime = engine.runtime  # the same one in every worker
        scorer.check_alone()
        about = {
            "schema": SCHEMA,
            "bundle": {
                "name": held.manifest.name,
                "version": held.manifest.version,
                "tree_sha256": held.manifest.tree_sha256,
            },
            "pocketrec": __version__,
            "target": model.target,
            "runtime": engine.runtime,
            "runtime_version": engine.version,
            "precision": engine.precision,
            "method": method,
            **options,
            "batch": terms.batch,
            "users": users.rows,
            "data_sha256": [path_sha256(each.path) for each in users.files],
        }
    except BaseException:
        scorer.close()
        raise
    scorer.metadata = {METADATA: json.dumps(about, sort_keys=True)}
    return scorer


def _read_from(scorer: Scorer) -> dict[str, Any]:
    """What else decides the lists: which columns are read, and how."""
    users = scorer.users
    return {
        "key": users.key,
        "ids": users.ids,
        "arguments": [asdict(each) for each in users.arguments],
    }


def _method(model: Recommender, stated: str | None) -> str:
    known = list(model.methods)
    if stated is None and len(known) == 1:
        return known[0]
    if stated not in known:
        came = "not given" if stated is None else repr(stated)
        raise UsageError(f"--method is {came}; expected one of {', '.join(known)}{meant(stated, known)}")
    return stated


def _options(call: Call, k: int | None) -> dict[str, Any]:
    if "k" in call.names and "k" not in call.arguments:
        return {"k": _DEFAULT_K if k is None else k}
    if k is not None:
        raise UsageError(f"--k: {call.method} lists no k items; leave it out")
    return {}


def _check(users: Users, model: Recommender, step: Progress) -> None:
    """Checks every row's columns, and that no key stands twice, before the work begins."""
    for first, batch in users.batches(users.names):
        step("check", first, users.rows)
        check_batch(users, first, batch, model.vocabularies)
    check_keys(lambda: _keys(users), users.rows, users.where, users.key)


def _keys(users: Users) -> Iterator[tuple[int, Any]]:
    for first, batch in users.batches([users.key]):
        yield first, batch[users.key]


class _Writer:
    """A Parquet file whose row groups are of a size that readers like, whatever that of parts is."""

    def __init__(self, path: Path, schema: Any) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[Any] = []

    def add(self, table: Any) -> None:
        """Takes the rows of a part."""
        self._waiting.append(table)
        if sum(each.num_rows for each in self._waiting) >= _GROUP_ROWS:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            table = pyarrow().concat_tables(self._waiting)
            self._waiting.clear()
            self._file.write_table(table, row_group_size=table.num_rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is None:
            self._write()
        self._file.close()


def _counts(table: Any, k: int | None) -> Any:
    """How many users have fewer than k items, and how many have words that are no items."""
    import pyarrow.compute as pc

    short = 0
    if k is not None and "items" in table.schema.names:
        short = pc.sum(pc.less(pc.list_value_length(table["items"]), k)).as_py() or 0
    return np.array([short, pc.sum(pc.greater(table["unknown"], 0)).as_py() or 0])
