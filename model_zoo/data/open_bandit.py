"""The Open Bandit Dataset, small version (Saito et al., 2020): what was shown to whom, and who clicked.

10,000 impressions for each of two logging policies and three campaigns of a fashion store. Features of
people are hashes without names; they become ids by the order of the texts over both policies.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.model_zoo.data import folders

Policy = Literal["random", "bts"]
Campaign = Literal["all", "men", "women"]
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

POLICIES: tuple[Policy, ...] = ("random", "bts")
POSITIONS = 3
_SET = "open-bandit"
_PERSON = tuple(f"user_feature_{place}" for place in range(4))
_ITEM = tuple(f"item_feature_{place}" for place in range(1, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Impressions in order of time; arrays are `[rounds]` unless said.

    Attributes:
        item: what was shown, from 0.
        position: where, 0 to 2 from the left.
        click: 1 where it was clicked.
        propensity: the logging policy's probability of this item at this position.
        person: four ids from 1, int32 `[rounds, 4]`; 0 is none that was seen.
        affinity: past clicks between person and each item, `[rounds, items]`.
        timestamp: seconds since 1970, UTC.
    """

    item: Ints
    position: Ints
    click: Floats
    propensity: npt.NDArray[np.float64]
    person: Ints
    affinity: Floats
    timestamp: npt.NDArray[np.int64]


@cache
def log(policy: Policy, campaign: Campaign = "all") -> Log:
    """What the policy showed in the campaign; the order is that of the file made stable by time."""
    rows = _rows(f"{policy}_{campaign}.csv.gz")
    names = [each for each in rows[0] if each.startswith("user-item_affinity_")]
    moments = np.array([np.datetime64(row["timestamp"].split("+")[0], "s") for row in rows]).astype(np.int64)
    order = np.argsort(moments, kind="stable")
    persons = [[_person_ids(campaign)[name][row[name]] for name in _PERSON] for row in rows]
    return Log(
        item=np.array([row["item_id"] for row in rows], dtype=np.int32)[order],
        position=np.array([row["position"] for row in rows], dtype=np.int32)[order] - 1,
        click=np.array([row["click"] for row in rows], dtype=np.float32)[order],
        propensity=np.array([row["propensity_score"] for row in rows], dtype=np.float64)[order],
        person=np.array(persons, dtype=np.int32)[order],
        affinity=np.array([[row[name] for name in names] for row in rows], dtype=np.float32)[order],
        timestamp=moments[order],
    )


def person_values(campaign: Campaign = "all") -> tuple[tuple[str, ...], ...]:
    """The texts of the four features of people, each in the order of its ids, which begin with 1."""
    return tuple(tuple(each) for each in _person_ids(campaign).values())


@cache
def items(campaign: Campaign = "all") -> tuple[Floats, Ints]:
    """The items' own features: one number `[items]`, and three ids from 1, int32 `[items, 3]`."""
    rows = sorted(_rows(f"random_{campaign}_items.csv.gz"), key=lambda row: int(row["item_id"]))
    ids = [_numbered({row[name] for row in rows}) for name in _ITEM]
    features = [[known[row[name]] for known, name in zip(ids, _ITEM, strict=True)] for row in rows]
    return np.array([row["item_feature_0"] for row in rows], dtype=np.float32), np.array(features, np.int32)


@cache
def _person_ids(campaign: Campaign) -> dict[str, dict[str, int]]:
    rows = [row for policy in POLICIES for row in _rows(f"{policy}_{campaign}.csv.gz")]
    return {name: _numbered({row[name] for row in rows}) for name in _PERSON}


def _numbered(values: set[str]) -> dict[str, int]:
    return {value: place for place, value in enumerate(sorted(values), 1)}


@cache
def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(folders.read_rows(folders.folder(_SET) / name))))
