"""The Open Bandit Dataset, small version (Saito et al., 2020): what was shown to whom, and who clicked.

10,000 impressions for each of two logging policies and three campaigns of a fashion store. Features of
people are hashes without names; they become ids by the order of the texts over all logs. Items are those of
a campaign: the hashes of their features differ between campaigns.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Vocabulary
from pocketrec.evaluation import ClassificationData, RankingData
from pocketrec.model_zoo.data import folders

Policy = Literal["random", "bts"]
Campaign = Literal["all", "men", "women"]
Split = Literal["train", "test"]
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

POLICIES: tuple[Policy, ...] = ("random", "bts")
CAMPAIGNS: dict[Campaign, int] = {"all": 80, "men": 34, "women": 46}  # and how many items each has
LOGS: tuple[tuple[Policy, Campaign], ...] = tuple(
    (policy, campaign) for policy in POLICIES for campaign in CAMPAIGNS
)
POSITIONS = 3
TRAIN_SHARE = 0.8  # of each log, from its beginning
_UNKNOWN = "<unknown>"
_SET = "open-bandit"
_PERSON = tuple(f"user_feature_{place}" for place in range(4))
_SINGLE = 10  # columns before those of the affinities
_REST = "affinities"
_ITEM = tuple(f"item_feature_{place}" for place in range(1, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Impressions in order of time; arrays are `[rounds]` unless said.

    Attributes:
        item: what was shown, from 0.
        position: where, 0 to 2 from the left.
        click: 1 where it was clicked.
        propensity: the logging policy's probability of this item at this position.
        person: four ids from 1, the places in `person_vocabulary`, int32 `[rounds, 4]`.
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
    columns = _columns(policy, campaign)
    moments = np.array([each.split("+")[0] for each in columns["timestamp"]], "datetime64[s]").astype(
        np.int64
    )
    order = np.argsort(moments, kind="stable")
    known = [{token: place for place, token in enumerate(_person_values(i), 1)} for i in range(len(_PERSON))]
    persons = [[places[each] for each in columns[name]] for places, name in zip(known, _PERSON, strict=True)]
    return Log(
        item=np.array(columns["item_id"], dtype=np.int32)[order],
        position=np.array(columns["position"], dtype=np.int32)[order] - 1,
        click=np.array(columns["click"], dtype=np.float32)[order],
        propensity=np.array(columns["propensity_score"], dtype=np.float64)[order],
        person=np.array(persons, dtype=np.int32).T[order],
        affinity=_affinity(columns[_REST])[order],
        timestamp=moments[order],
    )


def person_vocabulary(feature: int) -> Vocabulary:
    """The hashes that a feature of people, 0 to 3, has in any log; id 0 is an unknown one."""
    return Vocabulary(tokens=(_UNKNOWN, *_person_values(feature)))


def person_0() -> Vocabulary:
    """The hashes of the first feature of people; id 0 is an unknown one."""
    return person_vocabulary(0)


def person_1() -> Vocabulary:
    """The hashes of the second feature of people; id 0 is an unknown one."""
    return person_vocabulary(1)


def person_2() -> Vocabulary:
    """The hashes of the third feature of people; id 0 is an unknown one."""
    return person_vocabulary(2)


def person_3() -> Vocabulary:
    """The hashes of the fourth feature of people; id 0 is an unknown one."""
    return person_vocabulary(3)


def person_sizes() -> dict[str, int]:
    """How many values each feature of people has, without the unknown one, as the factories call it."""
    return {f"num_person_{place}s": len(_person_values(place)) for place in range(len(_PERSON))}


def arms() -> Vocabulary:
    """The items of the campaign `all`, of which a bandit shows one; every id is one."""
    return Vocabulary(tokens=tuple(f"item {item}" for item in range(CAMPAIGNS["all"])))


def item_vocabulary() -> Vocabulary:
    """The items of all three campaigns, such as `men 7`; id 0 is an unknown one."""
    named = (f"{campaign} {item}" for campaign, items in CAMPAIGNS.items() for item in range(items))
    return Vocabulary(tokens=(_UNKNOWN, *named))


def position_vocabulary() -> Vocabulary:
    """The three places of the page; id 0 is an unknown one."""
    return Vocabulary(tokens=(_UNKNOWN, "left", "middle", "right"))


def people(found: Log) -> dict[str, Ints]:
    """The four features of people under the names that the recipes give them, `[rounds]` each."""
    return {f"person_{place}": found.person[:, place] for place in range(len(_PERSON))}


def impressions(
    *, split: Split = "test", logs: Sequence[tuple[Policy, Campaign]] = LOGS
) -> ClassificationData:
    """Whether an impression was clicked: the first 80 per cent in time of each of the logs, or the rest.

    Inputs: `person_0` to `person_3`, `item`, `position`, and `affinity`, the person's past clicks on it.
    """
    starts = dict(zip(CAMPAIGNS, np.cumsum([1, *CAMPAIGNS.values()]), strict=False))
    parts = [_impressions(log(policy, campaign), starts[campaign], split) for policy, campaign in logs]
    whole = {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
    return ClassificationData(labels=whole.pop("click").astype(np.float32), inputs=whole)


def _impressions(found: Log, first_id: int, split: Split) -> dict[str, npt.NDArray[np.generic]]:
    """The columns of `impressions` for one log; its item 0 has the id `first_id`."""
    rounds = np.arange(len(found.item))
    columns = {
        **people(found),
        "item": (found.item + first_id).astype(np.int32),
        "position": found.position + 1,
        "affinity": found.affinity[rounds, found.item],
        "click": found.click,
    }
    cut = int(TRAIN_SHARE * len(rounds))
    rows = rounds[:cut] if split == "train" else rounds[cut:]
    return {name: column[rows] for name, column in columns.items()}


def clicked(*, policy: Policy = "random") -> RankingData:
    """Which of the 80 items of `all` was clicked, given the person: a row for each click of the policy's log.

    Nothing is left out: an item that was clicked may be shown again.
    """
    found = log(policy)
    rows = np.flatnonzero(found.click)
    return RankingData(
        inputs={name: column[rows] for name, column in people(found).items()},
        positives=found.item[rows].astype(np.int64),
        ignored_ids=(),
    )


def clicked_with_noise() -> RankingData:
    """As `clicked`, with `noise`, a normal number for each click and item, float32 `[38, 80]`."""
    data = clicked()
    noise = np.random.default_rng(0).standard_normal((len(data), CAMPAIGNS["all"]), np.float32)
    return replace(data, inputs={**data.inputs, "noise": noise.clip(-3, 3)})


@cache
def items(campaign: Campaign = "all") -> tuple[Floats, Ints]:
    """The items' own features: one number `[items]`, and three ids from 1, int32 `[items, 3]`."""
    text = folders.read_rows(folders.folder(_SET) / f"random_{campaign}_items.csv.gz")
    rows = sorted(csv.DictReader(io.StringIO(text)), key=lambda row: int(row["item_id"]))
    ids = [_numbered({row[name] for row in rows}) for name in _ITEM]
    features = [[known[row[name]] for known, name in zip(ids, _ITEM, strict=True)] for row in rows]
    return np.array([row["item_feature_0"] for row in rows], dtype=np.float32), np.array(features, np.int32)


@cache
def _person_values(feature: int) -> tuple[str, ...]:
    logs = [_columns(policy, campaign) for policy in POLICIES for campaign in CAMPAIGNS]
    return tuple(sorted({each for columns in logs for each in columns[_PERSON[feature]]}))


def _numbered(values: set[str]) -> dict[str, int]:
    return {value: place for place, value in enumerate(sorted(values), 1)}


@cache
def _columns(policy: Policy, campaign: Campaign) -> dict[str, tuple[str, ...]]:
    """The columns of a log by name; the affinities, a column an item, are one text."""
    text = folders.read_rows(folders.folder(_SET) / f"{policy}_{campaign}.csv.gz")
    header, *lines = text.splitlines()
    names = header.split(",", _SINGLE)
    columns = zip(*(line.split(",", _SINGLE) for line in lines), strict=True)
    return dict(zip((*names[:_SINGLE], _REST), columns, strict=True))


def _affinity(texts: tuple[str, ...]) -> Floats:
    """The numbers of each text; most are all zeros, and are not read number by number."""
    found = np.zeros((len(texts), texts[0].count(",") + 1), np.float32)
    for row, text in enumerate(texts):
        if text.strip("0.,"):
            found[row] = text.split(",")
    return found
