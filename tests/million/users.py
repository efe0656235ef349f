"""Users drawn from MovieLens-100K with a seed, as a table for a recipe's `evaluate.data`.

    one of the 943 people ─▶ a place in what they rated, by time ─▶ before it each item stays with the
    chance q of this user, q from 0.5 to 1 ─▶ history (the last 50) and seen (all); held out: what comes next

So users differ in whose taste they have, how long they have been there, and what they happened to watch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pocketrec.files import whole_or_nothing
from pocketrec.model_zoo.data import movielens

_AT_ONCE = 16_384  # rows of a group
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Users side by side; lists are concatenated, a user's from one offset to the next."""

    person: npt.NDArray[np.int64]
    positives: npt.NDArray[np.int64]
    seen: Ints
    offsets: npt.NDArray[np.int64]


def draw(sequences: list[Ints], users: int, rng: np.random.Generator) -> Drawn:
    """So many users from what people rated in order of time; each has had one item or more."""
    person = rng.integers(len(sequences), size=users)
    chance = rng.uniform(0.5, 1, users)
    place = rng.integers(1, np.array([len(each) for each in sequences])[person])
    kept = []
    for one, cut, share in zip(person.tolist(), place.tolist(), chance.tolist(), strict=True):
        before = sequences[one][:cut]
        stay = rng.random(cut) < share
        stay[-1] |= not stay.any()
        kept.append(before[stay])
    positives = [sequences[one][cut] for one, cut in zip(person.tolist(), place.tolist(), strict=True)]
    return Drawn(
        person=person,
        positives=np.array(positives, np.int64),
        seen=np.concatenate(kept),
        offsets=np.cumsum([0, *map(len, kept)]),
    )


def write_users(path: Path, users: int, seed: int) -> int:
    """Writes the table, a few thousand users at a time; how many differ from all before them."""
    sequences, rng = movielens.sequences(), np.random.default_rng(seed)
    gender = np.array(movielens.gender_vocabulary().tokens)[movielens.user_features()["gender"][1:]]
    known: set[int] = set()
    with whole_or_nothing(path) as partial, pq.ParquetWriter(partial, _schema(), compression="zstd") as file:
        for start in range(0, users, _AT_ONCE):
            drawn = draw(sequences, min(_AT_ONCE, users - start), rng)
            file.write_table(_table(drawn, gender))
            pieces = np.split(drawn.seen, drawn.offsets[1:-1])
            known |= {
                hash((each.tobytes(), one))
                for each, one in zip(pieces, drawn.positives.tolist(), strict=True)
            }
    return len(known)


def _schema() -> pa.Schema:
    ids = pa.list_(pa.int32())
    return pa.schema([("history", ids), ("positive", pa.int64()), ("seen", ids), ("gender", pa.string())])


def _table(drawn: Drawn, gender: npt.NDArray[np.str_]) -> pa.Table:
    sizes = np.minimum(np.diff(drawn.offsets), movielens.HISTORY_LENGTH)
    ends = np.repeat(drawn.offsets[1:], np.diff(drawn.offsets))
    recent = ends - np.arange(len(drawn.seen)) <= movielens.HISTORY_LENGTH
    history = _lists(drawn.seen[recent], np.concatenate([[0], np.cumsum(sizes)]))
    columns = [history, drawn.positives, _lists(drawn.seen, drawn.offsets), gender[drawn.person]]
    return pa.Table.from_arrays([pa.array(each) for each in columns], schema=_schema())


def _lists(values: Ints, offsets: npt.NDArray[np.int64]) -> pa.ListArray:
    return pa.ListArray.from_arrays(offsets.astype(np.int32), values)
