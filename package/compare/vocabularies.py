"""Two releases of a vocabulary, word by word: an id that means another item is the quietest break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pocketrec.contract import Contract
from pocketrec.package.host.items import Items
from pocketrec.report import Change

_NAMED = 3  # how many of many are named
_STORED = "ids that an app has stored mean other items"


def vocabulary_changes(
    old: Contract, new: Contract, before: Mapping[str, Items], after: Mapping[str, Items]
) -> Iterator[Change]:
    """What changed in the vocabularies.

    Args:
        old: the contract of the earlier release.
        new: that of the later one.
        before: the earlier release's items, of the vocabularies whose files it holds.
        after: the later one's.
    """
    for name in sorted(old.vocabularies.keys() - new.vocabularies.keys()):
        yield Change(level="breaking", where=f"vocabulary {name}", what="is gone")
    for name in sorted(new.vocabularies.keys() - old.vocabularies.keys()):
        yield Change(level="addition", where=f"vocabulary {name}", what="is new")
    for name in sorted(old.vocabularies.keys() & new.vocabularies.keys()):
        yield from _specs(name, old, new)
        if name in before and name in after:
            yield from _words(name, before[name], after[name])
        else:
            yield from _sizes(name, old, new)


def _specs(name: str, old: Contract, new: Contract) -> Iterator[Change]:
    was, now = old.vocabularies[name], new.vocabularies[name]
    for key, why in (
        ("padding_id", "an app that pads by itself passes an item instead"),
        ("unknown_id", "unknown items stand for another id"),
        ("spelled_in", "items are spelled in other ids"),
        ("tokenizer", "a text becomes other ids"),
    ):
        if getattr(was, key) != getattr(now, key):
            said = (
                f"{key} {getattr(was, key)} → {getattr(now, key)}"
                if key.endswith("_id")
                else f"another {key}"
            )
            yield Change(level="breaking", where=f"vocabulary {name}", what=said, why=why)


def _sizes(name: str, old: Contract, new: Contract) -> Iterator[Change]:
    """What can be said of words that one of the releases does not hold."""
    was, now = old.vocabularies[name], new.vocabularies[name]
    if was.size == now.size and was.sha256 == now.sha256 != "":
        return
    said = f"{was.size:,} → {now.size:,} words" if was.size != now.size else "its words cannot be compared"
    why = "a release without its tokens cannot be told to have kept their places; build it with a tokens file"
    yield Change(level="breaking", where=f"vocabulary {name}", what=said, why=why)


def _words(name: str, before: Items, after: Items) -> Iterator[Change]:
    where = f"vocabulary {name}"
    old, new = tuple(before.tokens), tuple(after.tokens)
    if old != new[: len(old)]:
        yield from _moved(where, before, after, old, new)
    elif len(new) > len(old):
        more = _named([after.shown(each) for each in range(len(old), len(new))])
        yield Change(level="addition", where=where, what=f"{len(new) - len(old):,} more at the end ({more})")
    yield from _titles(where, before, after)
    if any(after.spelled.get(place) != spelling for place, spelling in before.spelled.items()):
        yield Change(level="breaking", where=where, what="items are spelled otherwise", why=_STORED)


def _moved(
    where: str, before: Items, after: Items, old: Sequence[str], new: Sequence[str]
) -> Iterator[Change]:
    places = {token: place for place, token in enumerate(new)}
    gone = [place for place, token in enumerate(old) if token not in places]
    moved = [place for place, token in enumerate(old) if places.get(token, place) != place]
    if gone:
        named = _named([before.shown(each) for each in gone])
        yield Change(
            level="breaking",
            where=where,
            what=f"{len(gone):,} gone ({named})",
            why="an app may still hold them",
        )
    if moved:
        named = _named([f"{before.shown(each)}: {each} → {places[old[each]]}" for each in moved])
        yield Change(level="breaking", where=where, what=f"{len(moved):,} moved ({named})", why=_STORED)
    known = set(old)
    added = [place for place, token in enumerate(new) if token not in known]
    if added:
        named = _named([after.shown(each) for each in added])
        yield Change(level="addition", where=where, what=f"{len(added):,} new ({named})")


def _titles(where: str, before: Items, after: Items) -> Iterator[Change]:
    """Items whose token stayed and whose title did not."""
    places = after.places
    both = [(place, places[token]) for place, token in enumerate(before.tokens) if token in places]
    other = [(was, now) for was, now in both if before.shown(was) != after.shown(now)]
    if other:
        named = _named([f"{before.shown(was)} → {after.shown(now)}" for was, now in other])
        said = f"{len(other):,} other titles ({named})"
        yield Change(level="addition", where=where, what=said, why="who asks by the old one asks for no item")


def _named(words: Sequence[str]) -> str:
    """A few of many, in a line."""
    plain = [" ".join(each.split()) for each in words[:_NAMED]]
    return ", ".join(plain) + (", …" if len(words) > _NAMED else "")
