"""Two contracts, as an app that was written for the old one meets the new one.

- breaking: a function, input or output is gone; another role, kind, meaning, dtype, unit, vocabulary or
  padding side; a new input; an input that takes less, in sizes or range; unknown items that are refused now
- addition: a new function or output; an input that takes more; unknown items taken, or of another id
- same: another order of inputs or outputs

Vocabularies are compared by their words: `vocabularies.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.package.host.roles import Call, calls_of
from pocketrec.report import Change, Level

_Named = TypeVar("_Named", Feature, Output)
_RENAMED = "an app that names it fails; keep the name, or raise the major version"


def contract_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """What changed in functions, inputs, outputs and their shapes; vocabularies are left out."""
    for name in sorted(old.functions.keys() - new.functions.keys()):
        yield Change(level="breaking", where=f"function {name}", what="is gone", why=_RENAMED)
    for name in sorted(new.functions.keys() - old.functions.keys()):
        yield Change(level="addition", where=f"function {name}", what="is new")
    for name, before in old.functions.items():
        if name in new.functions:
            yield from _function(name, old, before, new, new.functions[name])


def _function(
    name: str, old: Contract, before: Signature, new: Contract, after: Signature
) -> Iterator[Change]:
    was, now = _call(old, name), _call(new, name)
    for key in ("role", "method", "items"):
        why = "an app calls it otherwise"
        yield from _replaced(name, key, getattr(was, key, None), getattr(now, key, None), why)
    yield from _gone(name, "input", before.inputs, after.inputs)
    yield from _gone(name, "output", before.outputs, after.outputs)
    inputs = {each.name: each for each in before.inputs}
    for feature in after.inputs:
        where = f"{name}, input {feature.name}"
        if feature.name in inputs:
            yield from _input(where, old, inputs[feature.name], new, feature)
        else:
            yield Change(level="breaking", where=where, what="is new", why="an app does not pass it yet")
    outputs = {each.name: each for each in before.outputs}
    for out in after.outputs:
        where = f"{name}, output {out.name}"
        if out.name in outputs:
            yield from _output(where, old, outputs[out.name], new, out)
        else:
            yield Change(level="addition", where=where, what="is new")
    yield from _order(name, "inputs", before.inputs, after.inputs)
    yield from _order(name, "outputs", before.outputs, after.outputs)


def _call(contract: Contract, function: str) -> Call | None:
    """What an app makes of a function; None where it only feeds another."""
    return next((each for each in calls_of(contract).values() if each.function == function), None)


def _gone(name: str, what: str, before: Sequence[_Named], after: Sequence[_Named]) -> Iterator[Change]:
    kept = {each.name for each in after}
    for each in before:
        if each.name not in kept:
            alike = [other.name for other in after if other.name not in {one.name for one in before}]
            said = f"is gone; {' and '.join(alike)} came" if alike else "is gone"
            yield Change(level="breaking", where=f"{name}, {what} {each.name}", what=said, why=_RENAMED)


def _order(name: str, what: str, before: Sequence[_Named], after: Sequence[_Named]) -> Iterator[Change]:
    old, new = [each.name for each in before], [each.name for each in after]
    if sorted(old) == sorted(new) and old != new:
        said = f"{', '.join(old)} → {', '.join(new)}"
        yield Change(level="same", where=f"{name}, {what}", what=said, why="they are passed by name")


def _input(where: str, old: Contract, before: Feature, new: Contract, after: Feature) -> Iterator[Change]:
    for key, why in (
        ("kind", "an app passes something else"),
        ("dtype", "an app passes another type"),
        ("vocabulary", "an app passes items of another vocabulary"),
        ("unit", "an app passes other numbers"),
        ("padding_side", "an app that pads by itself gets other answers"),
    ):
        yield from _replaced(where, key, getattr(before, key), getattr(after, key), why)
    yield from _shape(where, old, before, new, after, taken=True)
    yield from _policy(where, before, after)
    if after.kind == before.kind == "dense":
        yield from _range(where, before, after)


def _output(where: str, old: Contract, before: Output, new: Contract, after: Output) -> Iterator[Change]:
    for key, why in (
        ("meaning", "an app reads the numbers as something else"),
        ("dtype", "an app reads another type"),
        ("vocabulary", "the ids are another vocabulary's"),
        ("unit", "an app shows other numbers"),
        ("updates", "it is another state's next value"),
    ):
        yield from _replaced(where, key, getattr(before, key), getattr(after, key), why)
    yield from _shape(where, old, before, new, after, taken=False)


def _replaced(where: str, key: str, before: object, after: object, why: str) -> Iterator[Change]:
    if before != after:
        said = f"{key.replace('_', ' ')} {_shown(before)} → {_shown(after)}"
        yield Change(level="breaking", where=where, what=said, why=why)


def _shown(value: object) -> str:
    return str(value) if value not in (None, "") else "none"


def _shape(
    where: str,
    old: Contract,
    before: Feature | Output,
    new: Contract,
    after: Feature | Output,
    *,
    taken: bool,
) -> Iterator[Change]:
    """Sizes that an input takes or an output may have; one that follows a vocabulary is that one's change."""
    if len(before.shape) != len(after.shape):
        said = f"shape {list(before.shape)} → {list(after.shape)}"
        yield Change(level="breaking", where=where, what=said, why="another number of axes")
        return
    for axis, (one, other) in enumerate(zip(before.shape, after.shape, strict=True)):
        was, now = old.bounds(one), new.bounds(other)
        if was == now or (_follows(old, before, one) and _follows(new, after, other)):
            continue
        narrower = now[0] > was[0] or now[1] < was[1]
        level: Level = "breaking" if narrower or not taken else "addition"
        why = "an app may pass what is refused now" if taken else "an app may not expect it"
        said = f"axis {axis} {_sizes(was)} → {_sizes(now)}"
        yield Change(level=level, where=where, what=said, why=why if level == "breaking" else "")


def _follows(contract: Contract, each: Feature | Output, size: int | str) -> bool:
    """Whether a size is that of the vocabulary that an output scores."""
    name = each.vocabulary if isinstance(each, Output) else None
    return name is not None and size == contract.vocabularies[name].size


def _sizes(bounds: tuple[int, int]) -> str:
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}..{bounds[1]}"


def _policy(where: str, before: Feature, after: Feature) -> Iterator[Change]:
    was, now = before.out_of_vocabulary, after.out_of_vocabulary
    if was == now:
        return
    refused = now == "forbid"
    why = (
        "an unknown item is refused now" if refused else "" if was == "forbid" else "it stands for another id"
    )
    level: Level = "breaking" if refused else "addition"
    yield Change(level=level, where=where, what=f"unknown items: {was} → {now}", why=why)


def _range(where: str, before: Feature, after: Feature) -> Iterator[Change]:
    was, now = (before.minimum, before.maximum), (after.minimum, after.maximum)
    if was == now:
        return
    narrower = now[0] > was[0] or now[1] < was[1]
    said = f"range {was[0]:g}..{was[1]:g} → {now[0]:g}..{now[1]:g}"
    why = "the model was not proved for what an app may pass" if narrower else ""
    yield Change(level="breaking" if narrower else "addition", where=where, what=said, why=why)
