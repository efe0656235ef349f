"""What is done to a bundle, a layout or a delta, as a number decides: to bytes, values, names and kinds."""

from __future__ import annotations

import json
import os
import shutil
import socket
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutate import mutated

Harm = Callable[[Random, Path, Path], str]

# What a name in a folder, or a word in a file, may be made to look like.
NAMES = (
    *(
        "../escaped",
        "a/../../escaped",
        "..%2fescaped",
        "con",
        "a.",
        " a",
        "-rf",
        ".hidden",
        "~",
        "a:b",
        "a\\b",
    ),
    *("new\nline", "esc\x1b[31mape", "bell\x07", "\u202etxt.elif", "e\u0301", "\u00e9", "\u212a", "x" * 255),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1 << 31, 1 << 63, 10**400, 0.1, float("nan"), float("inf"), -0.0),
    *("", "../escaped", "/etc/passwd", "\x00", "esc\x1b[31mape", "\ud800", "x" * 100_000, "9" * 5000),
    *([], {}, [[]], {"": ""}, ["a"] * 1000),
)
_DEEP = 5000  # levels: beyond what a recursive reader survives
_EDITABLE = 1 << 20  # bytes of a JSON file that is edited as a value
_MOST = 400  # values of a file among which one is chosen


def files_of(folder: Path) -> list[Path]:
    """Regular files below a folder, sorted; a file's own path for a file."""
    if folder.is_file():
        return [folder]
    return sorted(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())


def harmed(harm: Harm, rng: Random, folder: Path, other: Path) -> str:
    """What was done, in words; a second harm may find that the first has left it nothing to do."""
    try:
        return harm(rng, folder, other)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return f"{harm.__name__} found nothing to change ({type(error).__name__})"


def bytes_changed(rng: Random, folder: Path, other: Path) -> str:
    """One to four changes as the fuzzer's replay makes them."""
    path = rng.choice(files_of(folder))
    path.write_bytes(mutated(path.read_bytes(), rng.randrange(1 << 30)))
    return f"bytes of {path.name} changed"


def bit_flipped(rng: Random, folder: Path, other: Path) -> str:
    path = rng.choice(files_of(folder))
    data = bytearray(path.read_bytes())
    if data:
        place = rng.randrange(len(data))
        data[place] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return f"a bit of {path.name} flipped"


def cut(rng: Random, folder: Path, other: Path) -> str:
    path = rng.choice(files_of(folder))
    data = path.read_bytes()
    path.write_bytes(data[: rng.choice((0, 1, len(data) // 2, max(0, len(data) - 1)))])
    return f"{path.name} cut short"


def grown(rng: Random, folder: Path, other: Path) -> str:
    path = rng.choice(files_of(folder))
    data = path.read_bytes()
    path.write_bytes(data + rng.choice((b"\n", b"\0" * 4096, data)))
    return f"{path.name} grown"


def value_replaced(rng: Random, folder: Path, other: Path) -> str:
    """A value of a JSON file becomes one of another kind, size or depth, or its key another's twin."""
    tables = [each for each in files_of(folder) if _is_json(each)]
    if not tables:
        return bytes_changed(rng, folder, other)
    path = rng.choice(tables)
    try:
        table = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return bytes_changed(rng, folder, other)
    said = changed_value(rng, table)
    text = json.dumps(table)
    path.write_text(_spelled(rng, text), encoding="utf-8")
    return f"{path.name}: {said}"


def changed_value(rng: Random, table: Any) -> str:
    """Changes one value, or one key, somewhere in a JSON value; says where."""
    places = list(_places(table))[:_MOST]
    if not places:
        return "nothing to change"
    holder, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
        return f"{key!r:.40} removed"
    if kind == 1 and isinstance(holder, dict):
        holder[rng.choice((f"{key}x", f"{key}\u0301", str(key).upper(), rng.choice(NAMES)))] = holder.pop(key)
        return f"{key!r:.40} renamed"
    if kind == 2 and isinstance(holder, list):
        holder.append(holder[key])
        return f"entry {key} doubled"
    if kind == 3:
        holder[key] = {"deep": _DEEP}
        return f"{key!r:.40} is deep"
    if kind == 4 and isinstance(holder[key], str):
        text = holder[key]
        holder[key] = rng.choice(
            (text[:-1], f"{text}/", f"./{text}", text.upper(), f"../{text}", f"{text}\u0301")
        )
        return f"{key!r:.40} spelled otherwise"
    holder[key] = rng.choice(VALUES)
    return f"{key!r:.40} is {str(holder[key])[:20]!r}"


def _places(value: Any, depth: int = 0) -> Any:
    """Every holder and key of a JSON value, those near its root first."""
    waiting = [value]
    while waiting:
        here = waiting.pop(0)
        keys: Any = (
            list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        )
        for key in keys:
            yield here, key
            waiting.append(here[key])


def _spelled(rng: Random, text: str) -> str:
    """The text of a JSON file; sometimes as strict readers refuse it and lax ones do not."""
    text = text.replace(f'{{"deep": {_DEEP}}}', "[" * _DEEP + "]" * _DEEP)
    kind = rng.randrange(12)
    if kind == 0 and text.startswith('{"'):
        key = text[1 : text.index('"', 2) + 1]
        return f"{{{key}: null, {text[1:]}"  # the last of two counts, or the first
    if kind == 1:
        return f"\ufeff{text}"
    if kind == 2:
        return f"{text} {text}"
    return text


def renamed(rng: Random, folder: Path, other: Path) -> str:
    path = rng.choice(files_of(folder))
    place = _beside(rng, path)
    with suppress(OSError):
        path.rename(place)
    return f"{path.name} renamed to {place.name!r:.40}"


def doubled(rng: Random, folder: Path, other: Path) -> str:
    path = rng.choice(files_of(folder))
    place = _beside(rng, path)
    with suppress(OSError):
        place.write_bytes(path.read_bytes())
    return f"{path.name} doubled as {place.name!r:.40}"


def removed(rng: Random, folder: Path, other: Path) -> str:
    path = rng.choice(sorted(folder.rglob("*")) or [folder])
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return f"{path.name} removed"


def swapped(rng: Random, folder: Path, other: Path) -> str:
    """Two files change places, or one is another bundle's file of the same name."""
    found = files_of(folder)
    one, two = rng.choice(found), rng.choice(found)
    twin = other / one.relative_to(folder)
    if rng.random() < 0.6 and twin.is_file():
        one.write_bytes(twin.read_bytes())
        return f"{one.name} is another release's"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    return f"{one.name} and {two.name} swapped"


def linked(rng: Random, folder: Path, other: Path) -> str:
    """A file or folder becomes a link: to a copy of itself outside, to a device, to itself, or to nothing."""
    path = rng.choice(sorted(folder.rglob("*")))
    outside = folder.parent / "outside" / f"copy-{rng.randrange(1 << 30)}"
    outside.parent.mkdir(exist_ok=True)
    path.rename(outside)
    path.symlink_to(
        rng.choice((outside, os.path.relpath(outside, path.parent), "/dev/zero", path.name, "gone"))
    )
    return f"{path.name} is a link to {path.readlink()}"


def special(rng: Random, folder: Path, other: Path) -> str:
    """A file becomes a FIFO, a socket or a folder, or a folder a file; or it stands beside the others."""
    path = rng.choice(sorted(folder.rglob("*")))
    if rng.random() < 0.3:
        path = path.with_name("special")
    elif path.is_dir():
        shutil.rmtree(path)
        path.write_bytes(b"a file")
        return f"{path.name} is a file"
    else:
        path.unlink()
    kind = rng.randrange(3)
    if kind == 0:
        os.mkfifo(path)
        return f"{path.name} is a FIFO"
    if kind == 1:
        path.mkdir()
        return f"{path.name} is a folder"
    _bind(path)
    return f"{path.name} is a socket"


def _bind(path: Path) -> None:
    """A socket at a path of any length."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name[:90])
    finally:
        os.fchdir(here)
        os.close(here)


def _beside(rng: Random, path: Path) -> Path:
    """Another name in the same folder: a twin of this one for some file systems, or an odd one."""
    name = path.name
    twins = (
        name.upper(),
        name.title(),
        f"{name} ",
        f"{name}.",
        unicodedata.normalize("NFD", f"\u00e9{name}"),
    )
    chosen = rng.choice((*twins, *(each for each in NAMES if "/" not in each), "b\udcff"))
    return path.parent / (chosen if chosen not in ("", name) else f"{name}2")


def _is_json(path: Path) -> bool:
    if path.stat().st_size > _EDITABLE:
        return False
    with path.open("rb") as file:
        return file.read(1) in b"{["


ANYWHERE: tuple[Harm, ...] = (bytes_changed, bit_flipped, cut, grown)
TREES: tuple[Harm, ...] = (
    *ANYWHERE,
    *(value_replaced, value_replaced, value_replaced),
    *(renamed, doubled, removed, swapped, linked, special),
)
