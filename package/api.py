"""API vectors: calls in an app's words with their answers, which every language's package replays.

golden/api.json    the calls through the model, and the rules that need none

A call's arguments are what an app passes. `excluding` may be `{"all_but": [tokens]}`: every item but those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pocketrec.errors import ArtifactError, CallError
from pocketrec.package.bundle import Bundle
from pocketrec.package.host.answers import plain
from pocketrec.package.host.calls import Host, States
from pocketrec.package.host.items import Items
from pocketrec.package.host.roles import Call
from pocketrec.package.manifest import read_json

API = "golden/api.json"
ALL_BUT = "all_but"
_CUT = 60  # characters of a call's name in a message
_DEEPEST = 16  # lists in lists of an answer
_LARGEST = 1.7e308  # of numbers: what a float holds


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call with what it answers, or the error that it ends with.

    Attributes:
        name: what it shows.
        function: of the contract.
        method: in an app.
        arguments: by their names in an app.
        session: calls of one session come one after another and hand on their states; empty for none.
        answer: as JSON values, see `host.answers.plain`.
        error: `code` and `message`, where the call is refused.
    """

    name: str
    function: str
    method: str
    arguments: Mapping[str, Any]
    session: str = ""
    answer: Mapping[str, Any] | None = None
    error: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiVectors:
    """What `golden/api.json` holds.

    Attributes:
        schema: version of this layout.
        contract_sha256: of the contract that the calls are of.
        calls: in order.
        rules: arguments and results of the rules that need no model; NaN and infinities are strings.
    """

    schema: Literal[1]
    contract_sha256: str
    calls: tuple[ApiCall, ...]
    rules: tuple[Mapping[str, Any], ...] = field(default=())


def write_api(folder: Path, vectors: ApiVectors) -> None:
    """Writes `golden/api.json` into a staging folder."""
    (folder / "golden").mkdir(exist_ok=True)
    text = json.dumps(asdict(vectors), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / API).write_text(f"{text}\n", encoding="utf-8")


def read_api(bundle: Bundle) -> ApiVectors | None:
    """The bundle's API vectors; None where it was built before there were any.

    Raises:
        ArtifactError: the file is damaged, or is of another contract.
    """
    if API not in bundle.manifest.files:
        return None
    vectors = read_json(bundle.path, API, ApiVectors)
    for place, call in enumerate(vectors.calls):
        where = f"{API}: calls[{place}] ({call.name[:_CUT]!r})"
        if (call.answer is None) == (call.error is None):
            raise ArtifactError(f"{where} has to have an answer or an error, and not both")
        _check_values(where, call.arguments)
        _check_values(where, call.answer)
        _check_items(where, call.answer or {})
    for place, rule in enumerate(vectors.rules):
        _check_values(f"{API}: rules[{place}]", rule)
    return vectors


def check_calls(vectors: ApiVectors, calls: Mapping[str, Call]) -> None:
    """Checks that every call is of a method of the contract, and every method has a call.

    Raises:
        ArtifactError: names the call or the method, as otherwise it would pass without being compared.
    """
    for place, each in enumerate(vectors.calls):
        known = calls.get(each.method)
        if known is None or known.function != each.function:
            raise ArtifactError(
                f"{API}: calls[{place}] is of {each.method} and {each.function}, which is no method of "
                "contract.json; build the bundle again"
            )
    if lacking := sorted(calls.keys() - {each.method for each in vectors.calls}):
        raise ArtifactError(f"{API}: no call of {lacking[0]}, so nothing is compared; build the bundle again")


def _check_values(where: str, value: Any) -> None:
    if not is_written(value):
        raise ArtifactError(
            f"{where} holds a number that is not finite, or more than {_DEEPEST} lists in one another; "
            "build the bundle again"
        )


def is_written(value: Any) -> bool:
    """Whether all numbers of a JSON value are finite, and nothing is nested deeper than any answer."""
    level = [value]
    for _ in range(_DEEPEST):
        numbers = [each for each in level if isinstance(each, int | float)]
        if not all(abs(each) <= _LARGEST for each in numbers):  # NaN is not, either
            return False
        tables = [list(each.values()) for each in level if isinstance(each, Mapping)]
        level = [one for each in (*tables, *filter(_is_list, level)) for one in each]
    return not level


def _check_items(where: str, answer: Mapping[str, Any]) -> None:
    """Checks that what an answer lists are items."""
    items = answer.get("items", [])
    known = {"id": int, "token": str, "title": str}
    if not isinstance(items, list) or not all(
        isinstance(each, Mapping)
        and all(type(each.get(key)) is kind for key, kind in known.items())
        and type(each.get("score", 0.0)) in (int, float)
        for each in items
    ):
        raise ArtifactError(f"{where} lists what is no item; build the bundle again")


def answered(host: Host, call: ApiCall, states: States | None = None) -> ApiCall:
    """The call with what the host answers."""
    arguments = spread(call, host)
    try:
        found = host.call(call.method, arguments, states)
    except CallError as error:
        return replace(call, answer=None, error={"code": error.code, "message": str(error)})
    return replace(call, answer=plain(found), error=None)


def spread(call: ApiCall, host: Host) -> dict[str, Any]:
    """The arguments with shorthands written out."""
    given = dict(call.arguments)
    excluding = given.get("excluding")
    items: Items | None = host.vocabularies.get(host.calls[call.method].items)
    if items is not None and isinstance(excluding, Mapping) and excluding.keys() == {ALL_BUT}:
        words = excluding[ALL_BUT]
        kept = [each for each in words if isinstance(each, str)] if _is_list(words) else []
        given["excluding"] = [
            token for place, token in enumerate(items.tokens) if items.is_item(place) and token not in kept
        ]
    return given


def replay_calls(
    host: Host, vectors: ApiVectors, function: str, tolerances: Mapping[str, float], tie_tolerance: float
) -> tuple[int, str]:
    """How many calls of a function were compared, and what differs in the first that does; empty if none.

    Args:
        host: with the model that is examined.
        vectors: of the bundle.
        function: whose calls are replayed.
        tolerances: output to the largest absolute difference of its numbers.
        tie_tolerance: share of the largest score within which items may swap places.
    """
    sessions: dict[str, States] = {}
    compared, allowed = 0, max(tolerances.values(), default=0.0)
    for call in vectors.calls:
        if call.function != function:
            continue
        states = sessions.setdefault(call.session, {}) if call.session else None
        difference = _difference(call, answered(host, call, states), allowed, tie_tolerance)
        if difference:
            return compared, f"{call.method}, {call.name!r}: {difference}"
        compared += 1
    return compared, ""


def _difference(expected: ApiCall, found: ApiCall, tolerance: float, tie_tolerance: float) -> str:
    """What an answer has that is not as expected; empty where nothing is."""
    if expected.answer is None or found.answer is None:
        wanted, came = expected.error or expected.answer, found.error or found.answer
        return "" if wanted == came else f"answers {_cut(came)}; expected {_cut(wanted)}"
    if expected.answer.get("unknown") != found.answer.get("unknown"):
        return f"names {_cut(found.answer.get('unknown'))} as unknown; expected {_cut(expected.answer)}"
    if expected.answer.keys() != found.answer.keys():
        return f"has {', '.join(found.answer)}; expected {', '.join(expected.answer)}"
    if "items" in expected.answer:
        return _list_difference(expected.answer["items"], found.answer["items"], tolerance, tie_tolerance)
    return number_difference(expected.answer, found.answer, tolerance, "")


def _list_difference(
    expected: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    tolerance: float,
    tie_tolerance: float,
) -> str:
    """Lists are equal where scores are, place by place and item by item, within the tolerance."""
    if len(expected) != len(found):
        return f"lists {len(found)} items; expected {len(expected)}"
    if any("score" not in each for each in expected):
        return "" if list(expected) == list(found) else f"lists {_cut(found)}; expected {_cut(expected)}"
    largest = max((abs(each["score"]) for each in expected), default=0.0)
    allowed = 2 * tolerance + tie_tolerance * largest
    scores = {each["id"]: each for each in expected}
    for place, (want, came) in enumerate(zip(expected, found, strict=True)):
        other = scores.get(came["id"], {**came, "score": expected[-1]["score"]})
        own = want if came["id"] == want["id"] else other
        near = all(abs(came["score"] - each["score"]) <= allowed for each in (own, want))
        named = own["token"] == came["token"] and own["title"] == came["title"]
        if not (near and named):
            return f"place {place} is {_cut(came)}; expected {_cut(want)}"
        if came["id"] == want["id"] and (more := number_difference(want, came, allowed, "")):
            return f"place {place}: {more}"
    return ""


def number_difference(expected: Any, found: Any, tolerance: float, where: str) -> str:
    """Where numbers differ by more than the tolerance, or anything else at all; empty where nothing does."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping) and expected.keys() == found.keys():
        parts = [(f"{where}.{key}" if where else key, expected[key], found[key]) for key in expected]
    elif _is_list(expected) and _is_list(found) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        parts = [(f"{where}[{place}]", want, came) for place, (want, came) in enumerate(pairs)]
    else:
        if isinstance(expected, float) and isinstance(found, float):
            same = abs(expected - found) <= tolerance
        else:
            same = bool(expected == found)
        return "" if same else f"{where} is {_cut(found)}; expected {_cut(expected)}"
    return next(
        (said for at, want, came in parts if (said := number_difference(want, came, tolerance, at))), ""
    )


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _cut(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) < 120 else f"{text[:116]}…"
