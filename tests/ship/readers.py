"""The commands that open what others made, and how the answer of each is known to be an honest one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.ship import bases
from tests.ship.watching import content

from pocketrec.errors import PocketrecError
from pocketrec.package.bundle import read_bundle, verify_files
from pocketrec.package.manifest import EVIDENCE, SUMS

SIGNATURES = "signatures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a case is opened.

    Attributes:
        honest: the folder of the bases, which nobody changes.
        given: what was changed: a bundle, a layout or a delta.
        out: what the command may write.
        key: the public key of who made the bases.
    """

    honest: Path
    given: Path
    out: Path
    key: Path


Words = Callable[[Place], list[object]]
Answer = Callable[[Place, str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A command that opens a changed thing.

    Attributes:
        name: as counts show it.
        opens: the bases that it opens.
        words: of the command.
        answer: what it gave, from where it wrote and what it printed, so that two can be compared.
        vouches: whether it answers for all that it was given, so that it must notice any change.
        keyed: whether it was handed the key of who made it.
        trust: what the printed JSON says of a signature; empty where nobody was trusted.
        always: whether every case is opened by it, and not in turns with others.
        costly: whether it writes a package, and so opens fewer.
        leaves: files that it may leave though it refused.
        likewise: another reader, whose honest answers are honest ones of this, too.
    """

    name: str
    opens: tuple[str, ...]
    words: Words
    answer: Answer
    vouches: bool = False
    keyed: bool = False
    trust: Callable[[str], str] = lambda printed: ""
    always: bool = False
    costly: bool = False
    leaves: tuple[str, ...] = ()
    likewise: str = ""


def printed(place: Place, text: str) -> object:
    """What was printed, wherever it was done."""
    return text.replace(str(place.given.parent), "").replace(str(place.honest), "")


def written(place: Place, text: str) -> object:
    """What was written, but for signatures, which others may add."""
    return content(place.out, without=SIGNATURES)


def shown(place: Place, text: str) -> object:
    """Nothing to compare: sizes and signatures are shown as they are found."""
    return "shown"


def listed(place: Place, text: str) -> object:
    """What `inspect` says of a bundle, but for sizes, which it shows as they are found."""
    table = json.loads(text)
    return [table[key] for key in ("name", "version", "tree_sha256", "files")]


def verdict(place: Place, text: str) -> object:
    """Whether all passed, and of which release."""
    table = json.loads(text)
    return [table[key] for key in ("passed", "name", "version", "tree_sha256")]


def released(place: Place, text: str) -> object:
    """The files of a release that was pulled; None where they are not what its manifests say."""
    if not holds(place.out):
        return None
    found = content(place.out, without=SIGNATURES)
    return {
        name: each for name, each in found.items() if name != SUMS and not name.startswith(f"{EVIDENCE}/")
    }


def holds(bundle: Path) -> bool:
    """Whether every file is what the manifests say."""
    try:
        return not verify_files(read_bundle(bundle))
    except PocketrecError:
        return False


def _by_pull(text: str) -> str:
    return str(json.loads(text)["vouched"]["by"])


def _digest(place: Place) -> str:
    """The digest of the first release in the layout that nobody changed."""
    index = json.loads((place.honest / bases.LAYOUT / "index.json").read_bytes())
    named = "org.opencontainers.image.ref.name"
    return next(
        str(each["digest"])
        for each in index["manifests"]
        if each.get("annotations", {}).get(named) == "1.0.0"
    )


def _pull(
    name: str, wanted: Callable[[Place], str], *more: str, keyed: bool = False, likewise: str = ""
) -> Reader:
    def words(place: Place) -> list[object]:
        key = ["--key", place.key] if "--key" in more else []
        base = ["--from", place.honest / bases.SMALL] if "--from" in more else []
        return ["pull", f"{place.given}{wanted(place)}", "--out", place.out, "--json", *key, *base]

    return Reader(
        name=name,
        opens=(bases.LAYOUT,),
        words=words,
        answer=released,
        vouches=True,
        keyed=keyed,
        trust=_by_pull,
        always=True,
        likewise=likewise,
    )


def _by_verify(text: str) -> str:
    status = str(json.loads(text)["signature"]["status"])
    return "" if status in ("unsigned", "not_checked") else status


def _verify(place: Place) -> list[object]:
    return ["verify", place.given, "--json"]


BUNDLES = (bases.DOUBLE, bases.SMALL)


def _bundle(
    name: str, words: Words, answer: Answer, *, vouches: bool = False, costly: bool = False
) -> Reader:
    return Reader(name=name, opens=BUNDLES, words=words, answer=answer, vouches=vouches, costly=costly)


READERS: tuple[Reader, ...] = (
    Reader(
        name="verify",
        opens=BUNDLES,
        words=_verify,
        answer=verdict,
        vouches=True,
        trust=_by_verify,
        always=True,
    ),
    Reader(
        name="verify --key",
        opens=BUNDLES,
        words=lambda place: [*_verify(place), "--key", place.key],
        answer=verdict,
        vouches=True,
        keyed=True,
        always=True,
    ),
    _bundle("inspect", lambda place: ["inspect", place.given, "--json"], listed),
    _bundle("report", lambda place: ["report", place.given], printed),
    _bundle("report --html", lambda place: ["report", place.given, "--html", place.out], written),
    _bundle(
        "diff to",
        lambda place: ["diff", place.honest / bases.SMALL, place.given, "--no-latency", "--json"],
        printed,
        vouches=True,
    ),
    _bundle(
        "diff from",
        lambda place: ["diff", place.given, place.honest / bases.NEXT, "--no-latency", "--json"],
        printed,
        vouches=True,
    ),
    _bundle(
        "package web", lambda place: ["package", "web", place.given, "--out", place.out], written, costly=True
    ),
    _bundle(
        "package swift",
        lambda place: ["package", "swift", place.given, "--out", place.out],
        written,
        costly=True,
    ),
    _bundle("push", lambda place: ["push", place.given, place.out, "--json"], written, vouches=True),
    _bundle(
        "delta to",
        lambda place: ["delta", place.honest / bases.NEXT, place.given, "--out", place.out],
        written,
        vouches=True,
    ),
    Reader(
        name="apply to",
        opens=(bases.SMALL,),
        words=lambda place: ["apply", place.given, place.honest / bases.DELTA, "--out", place.out],
        answer=written,
    ),
    Reader(
        name="apply",
        opens=(bases.DELTA,),
        words=lambda place: ["apply", place.honest / bases.SMALL, place.given, "--out", place.out],
        answer=written,
        vouches=True,
    ),
    _pull("pull", lambda place: ":1.0.0"),
    _pull("pull @digest", lambda place: f"@{_digest(place)}", keyed=True),
    # A tag may be moved, and a key asks who made what it names: the next release is its maker's, too.
    _pull("pull --key", lambda place: ":1.0.0", "--key", keyed=True, likewise="pull --from"),
    _pull("pull --from", lambda place: ":1.1.0", "--from"),
    Reader(
        name="list",
        opens=(bases.LAYOUT,),
        words=lambda place: ["list", place.given, "--json"],
        answer=printed,
    ),
    Reader(
        name="list as a table", opens=(bases.LAYOUT,), words=lambda place: ["list", place.given], answer=shown
    ),
    Reader(
        name="inspect as a table",
        opens=BUNDLES,
        words=lambda place: ["inspect", place.given],
        answer=shown,
    ),
    Reader(
        name="swift registry",
        opens=(bases.SMALL,),
        words=lambda place: ["package", "swift", place.given, "--registry", place.out, "--id", "shop.small"],
        answer=written,
        costly=True,
        leaves=("nginx.conf",),  # marks a registry, which may have no release yet
    ),
)
