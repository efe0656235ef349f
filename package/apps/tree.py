"""A package's tree of files from its templates, and the folder that it is written into."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.errors import UsageError
from pocketrec.outside import parse_json, read_file

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE = ".j2"


def write_tree(
    folder: Path,
    package: str,
    context: Mapping[str, Any],
    *,
    filters: Mapping[str, Callable[..., str]],
    names: Mapping[str, str] | None = None,
    built: frozenset[str] = frozenset(),
) -> None:
    """Renders or copies every file of a package's templates into `folder`.

    Args:
        folder: where to.
        package: whose `templates/package` it is.
        context: what templates know.
        filters: by which a template quotes what a bundle says.
        names: parts of paths, without their suffixes, to what they become, such as the name of a module.
        built: names of folders and files that are left out, as tools make them.
    """
    templates = _environment(filters)
    root = resources.files(package) / "templates" / "package"
    with resources.as_file(root) as tree:
        for path in sorted(tree.rglob("*")):
            parts = path.relative_to(tree).parts
            if path.is_dir() or built & set(parts):
                continue
            place = folder.joinpath(*(_named(each, names or {}) for each in parts))
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == _TEMPLATE:
                text = templates.from_string(path.read_text(encoding="utf-8")).render(context)
                place.with_suffix("").write_text(text, encoding="utf-8")
            else:
                shutil.copyfile(path, place)


def _named(part: str, names: Mapping[str, str]) -> str:
    stem, dot, suffixes = part.partition(".")
    return f"{names.get(stem, stem)}{dot}{suffixes}"


def render_template(
    package: str, name: str, context: Mapping[str, Any], *, filters: Mapping[str, Callable[..., str]]
) -> str:
    """The file of that name, without its suffix, of a package's `templates`, filled; see `write_tree`."""
    path = resources.files(package) / "templates" / f"{name}{_TEMPLATE}"
    return _environment(filters).from_string(path.read_text(encoding="utf-8")).render(context)


def _environment(filters: Mapping[str, Callable[..., str]]) -> Environment:
    """Templates in which a name that is not there is an error, and what a bundle says is quoted."""
    from jinja2 import Environment, StrictUndefined

    made = Environment(  # noqa: S701 (this is no HTML: every value goes through one of the filters)
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= filters
    return made


def as_text(text: str) -> str:
    """A text that Markdown shows as it is."""
    plain = " ".join(text.split())
    return "".join(f"\\{each}" if each in "\\`*_{}[]<>()#+!|~&" else each for each in plain)


def out_check(mark: str, built: frozenset[str] = frozenset()) -> Callable[[Path], None]:
    """A check that a folder is empty, absent, or an earlier package with nothing of others in it.

    Args:
        mark: the file that lists what the command wrote.
        built: names of folders and files that tools make there.
    """

    def check(out: Path) -> None:
        """UsageError rather than replace anything but an earlier package."""
        if not out.exists():
            return
        if not out.is_dir():
            raise UsageError(f"{out}: a file is there; pass another --out, or remove it")
        if not any(out.iterdir()):
            return
        if not (out / mark).is_file():
            raise UsageError(
                f"{out}: not empty and no package of this command; pass another --out, or remove it"
            )
        written = _written(out / mark)
        surplus = [each for each in _files(out, built | {mark}) if each not in written]
        if surplus:
            raise UsageError(
                f"{out / surplus[0]}: no file of the package that this command wrote there; move it away, or "
                "pass another --out"
            )

    return check


def mark_generated(folder: Path, mark: str) -> None:
    """Lists what a folder holds in its mark; its files get the same modes on every machine."""
    table = {"schema": 1, "files": _files(folder, frozenset())}
    (folder / mark).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _files(folder: Path, left_out: frozenset[str]) -> list[str]:
    """Relative paths of all that lies below a folder and is no folder, sorted."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - left_out)
        links = [each for each in folders if (Path(place) / each).is_symlink()]
        inside = Path(place).relative_to(folder)
        found += [(inside / each).as_posix() for each in [*names, *links] if each not in left_out]
    return sorted(found)


def _written(mark: Path) -> frozenset[str]:
    """What a mark lists; nothing where it is no such list."""
    table = parse_json(read_file(mark), name=mark.name)
    files = table.get("files") if isinstance(table, dict) else None
    return frozenset(map(str, files)) if isinstance(files, list) else frozenset()
