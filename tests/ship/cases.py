"""One case: a thing is chosen, copied, changed, perhaps sealed again, and opened, as its number decides."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from click.testing import CliRunner
from tests.fuzz.targets import seal_again
from tests.package.sign.signing import reseal
from tests.saboteurs.bundles import own_evidence
from tests.ship import bases
from tests.ship.harm import ANYWHERE, TREES, Harm, harmed
from tests.ship.harm_layouts import LAYOUTS
from tests.ship.judging import FAULTS, Done, judge
from tests.ship.readers import READERS, SIGNATURES, Place, Reader
from tests.ship.watching import Watch, content, stamps

from pocketrec.cli.main import main as pocketrec
from pocketrec.package.manifest import EVIDENCE_MANIFEST, MANIFEST

_SEALED = 0.4  # of changed bundles: the share whose digests are made to fit
# What is changed, and how often.
_THINGS: Mapping[str, int] = {bases.DOUBLE: 45, bases.SMALL: 25, bases.LAYOUT: 22, bases.DELTA: 8}
_HARMS: Mapping[str, tuple[Harm, ...]] = {bases.LAYOUT: LAYOUTS, bases.DELTA: ANYWHERE}
_COSTLY = 0.3  # of changed bundles: the share that a command opens which writes a package

Honest = Mapping[str, Sequence[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What became of one command: a word of `judging.OUTCOMES`, and why where that is a fault."""

    reader: str
    outcome: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case that was run.

    Attributes:
        number: decides everything else, with the seed.
        thing: which base it began with.
        harm: what was done to it, in words.
        sealed: whether digests were made to fit again.
        ran: the commands.
    """

    number: int
    thing: str
    harm: str
    sealed: bool
    ran: tuple[Ran, ...]

    @property
    def faults(self) -> tuple[Ran, ...]:
        """Commands that did what none may do."""
        return tuple(each for each in self.ran if each.outcome in FAULTS)

    def to_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)


class Workshop:
    """The folder in which a process runs cases, one after the other."""

    def __init__(self, honest: Path, folder: Path, watch: Watch) -> None:
        self.honest, self.folder, self.watch = honest, folder, watch

    def run(self, number: int, seed: int, answers: Honest) -> Case:
        """The case with this number."""
        rng = Random(f"{seed}-{number}")
        thing = rng.choices(list(_THINGS), list(_THINGS.values()))[0]
        place = self._copied(thing)
        harm, sealed = self._harmed(rng, thing, place.given)
        altered = _altered(place.given, self.honest / thing)
        chosen = _chosen(rng, thing, answers)
        ran = [self._opened(each, place, answers[f"{each.name} {thing}"], altered, sealed) for each in chosen]
        return Case(number=number, thing=thing, harm=harm, sealed=sealed, ran=tuple(ran))

    def answer(self, reader: Reader, thing: str) -> Done:
        """What a reader answers to a thing that nobody changed."""
        return self._done(reader, self._copied(thing))

    def _copied(self, thing: str) -> Place:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("given", "out", "tmp", "home", "cwd"):
            (self.folder / name).mkdir(parents=True)
        source, given = self.honest / thing, self.folder / "given" / thing
        shutil.copytree(source, given) if source.is_dir() else shutil.copyfile(source, given)
        return Place(
            honest=self.honest,
            given=given,
            out=self.folder / "out" / "result",
            key=bases.maker(self.honest).public,
        )

    def _harmed(self, rng: Random, thing: str, given: Path) -> tuple[str, bool]:
        harms = _HARMS.get(thing, TREES)
        other = self.honest / (bases.SMALL if thing == bases.DOUBLE else bases.NEXT)
        said = [harmed(rng.choice(harms), rng, given, other) for _ in range(rng.choice((1, 1, 1, 2)))]
        if thing == bases.LAYOUT:
            return "; ".join(said), True  # an index has no digest, so who writes it says what is there
        sealed = thing != bases.DELTA and rng.random() < _SEALED and _seal(rng, given)
        return "; ".join(said), sealed

    def _opened(
        self, reader: Reader, place: Place, honest: Sequence[object], altered: bool, sealed: bool
    ) -> Ran:
        done = self._done(reader, place)
        outcome, why = judge(
            done, honest=honest, altered=altered, sealed=sealed, vouches=reader.vouches, keyed=reader.keyed
        )
        return Ran(reader=reader.name, outcome=outcome, why=why)

    def _done(self, reader: Reader, place: Place) -> Done:
        """Runs a command in this process; what it may write is below `out` and the temporary folder."""
        shutil.rmtree(place.out, ignore_errors=True)
        place.out.unlink(missing_ok=True)
        before = stamps(self.folder / "given")
        words = [str(each) for each in reader.words(place)]
        with _inside(self.folder), self.watch.over(place.out.parent, self.folder / "tmp"):
            ran = CliRunner().invoke(pocketrec, words)
        wrote = list(self.watch.outside)
        if stamps(self.folder / "given") != before:
            wrote.append("what was given is another")
        wrote += [f"left {each}" for each in sorted((self.folder / "tmp").iterdir())]
        passed = ran.exit_code == 0
        return Done(
            code=ran.exit_code,
            printed=ran.stdout,
            told=ran.stderr,
            wrote=tuple(wrote),
            left=bool(content(place.out).keys() - set(reader.leaves)),
            answer=reader.answer(place, ran.stdout) if passed else None,
            trusted=reader.trust(ran.stdout) if passed else "",
        )


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """While it lasts, home, temporary files and the current folder are in `folder`."""
    here = Path.cwd()
    os.environ.update(
        HOME=str(folder / "home"), TMPDIR=str(folder / "tmp"), XDG_CACHE_HOME=str(folder / "tmp")
    )
    tempfile.tempdir = str(folder / "tmp")
    os.chdir(folder / "cwd")
    try:
        yield
    finally:
        os.chdir(here)


def _seal(rng: Random, bundle: Path) -> bool:
    """Makes digests fit again, in one of three ways; whether anything came of it.

    The sums of manifests as they are; all digests; all digests, and evidence that states the new tree.
    """
    before, way = content(bundle), rng.randrange(3)
    if any(each == "special" or each.startswith("link") for each in before.values()):
        return False  # nobody seals what is no file, and these tests would wait for it
    with suppress(Exception):  # what cannot be sealed stays as it is, and is opened all the same
        for name in (MANIFEST, EVIDENCE_MANIFEST):
            seal_again(bundle, name)
        if way:
            reseal(bundle)
        if way == 2:
            own_evidence(bundle)
            reseal(bundle)
    return content(bundle) != before


def _altered(given: Path, honest: Path) -> bool:
    return content(given, without=SIGNATURES) != content(honest, without=SIGNATURES)


def _chosen(rng: Random, thing: str, answers: Honest) -> list[Reader]:
    """Who opens a thing: those who open every one, and some of the others in turns."""
    able = [each for each in READERS if f"{each.name} {thing}" in answers]
    costly = rng.random() < _COSTLY
    turns = [each for each in able if not each.always and each.costly == costly]
    turns = turns or [each for each in able if not each.always]
    return [*(each for each in able if each.always), *rng.sample(turns, min(1, len(turns)))]
