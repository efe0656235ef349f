"""What a saboteur is, what became of it, and the three ways to find out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pocketrec
from pocketrec.convert.targets import TARGETS, Row
from pocketrec.errors import PocketrecError
from pocketrec.pipeline.verify import verify
from pocketrec.report import GateResult

NOBODY = "nobody"  # caught it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the product said: who objected, and in which words; nobody where all passed.

    Attributes:
        said: gate, kind of error, or part of `verify`, with its message.
        path: the bundle, where one was made.
    """

    said: tuple[tuple[str, str], ...] = ()
    path: Path | None = None

    @property
    def passed(self) -> bool:
        """Whether nobody objected."""
        return not self.said

    def by(self, name: str) -> str:
        """The message of one that objected; empty where it did not."""
        return next((message for by, message in self.said if by == name), "")


Act = Callable[[Path], Outcome]


def once(act: Act) -> Act:
    """The same act, done once for all who share it; they get what was said, and no bundle."""
    kept: list[Outcome] = []

    def shared(folder: Path) -> Outcome:
        if not kept:
            kept.append(Outcome(said=act(folder).said))
        return kept[0]

    return shared


@dataclass(frozen=True, slots=True, kw_only=True)
class Saboteur:
    """Somebody who changes files, or registers what a user may register, and nothing else.

    Attributes:
        name: in a few words.
        caught_by: the gate, the error or the part of `verify` that must object.
        message: what it must say, or a part of it.
        cheat: does it, in a folder of its own.
        honest: does the same without deceit; must pass.
        fast: whether it runs in `make test`, too.
    """

    name: str
    caught_by: str
    message: str
    cheat: Act
    honest: Act
    fast: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a saboteur was caught by whom it must be, and its honest twin was not."""

    saboteur: Saboteur
    cheat: Outcome
    honest: Outcome

    @property
    def caught(self) -> bool:
        """Whether the right one objected, in the right words."""
        return self.saboteur.message in self.cheat.by(self.saboteur.caught_by)

    @property
    def message(self) -> str:
        """What caught it said; what was said instead where it was not."""
        if self.caught:
            return self.cheat.by(self.saboteur.caught_by)
        others = "; ".join(f"{by}: {message}" for by, message in self.cheat.said) or "everything passed"
        return f"expected {self.saboteur.caught_by} with {self.saboteur.message!r}; {others}"


def judge(saboteur: Saboteur, folder: Path) -> Verdict:
    """The verdict on one saboteur and its twin, each in an empty folder."""
    places = [folder / "cheat", folder / "honest"]
    for each in places:
        each.mkdir(parents=True)
    return Verdict(saboteur=saboteur, cheat=saboteur.cheat(places[0]), honest=saboteur.honest(places[1]))


def built(recipe: Path, rows: Mapping[str, Row] | None = None) -> Outcome:
    """What a build says, and `verify` of the bundle where it passed."""
    with registered(rows or {}):
        try:
            result = pocketrec.build(recipe, out=recipe.parent / "bundle")
        except PocketrecError as error:
            return Outcome(said=((type(error).__name__, str(error)),))
        failed = [each for each in result.evidence.gates if each.status == "failed"]
        said = tuple((each.gate, f"{_where(each)}: {each.message}") for each in failed)
        if said:
            return Outcome(said=said, path=result.path)
        return verified(result.path)


def _where(gate: GateResult) -> str:
    return f"{gate.target} on {gate.runtime}" if gate.runtime else gate.target


def verified(bundle: Path, key: Path | None = None) -> Outcome:
    """What `verify` says of a bundle, with a key or without."""
    result = verify(bundle, key=key)
    said = [("signature", result.signature.message)] if result.signature.exit_code else []
    said += [("verify", each) for each in result.problems]
    said += [("replay", each.message) for each in result.replays if each.status == "failed"]
    if not result.passed and not said:
        said = [("verify", "nothing was compared")]
    return Outcome(said=tuple(said), path=bundle)


@contextmanager
def registered(rows: Mapping[str, Row]) -> Iterator[None]:
    """Targets that a user brings, known while it lasts."""
    TARGETS.update(rows)
    try:
        yield
    finally:
        for name in rows:
            TARGETS.pop(name, None)
