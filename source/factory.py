"""The user's own functions, named in a recipe as `package.module:function` or `path/to/file.py:function`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from pocketrec.contract import Tokens, Vocabulary
from pocketrec.errors import PocketrecError, RecipeError
from pocketrec.outside import open_file
from pocketrec.places import exits_told, told
from pocketrec.workers import BESIDE, USER_MODULES

_CHUNK = 1 << 20  # characters


def load_factory(spec: str, *, base: Path, key: str) -> Callable[..., Any]:
    """The function that `spec` names; a file's path is relative to `base`.

    Raises:
        RecipeError: naming `key`, for a spec that is malformed or leads to no function.
    """
    place, separator, name = spec.rpartition(":")
    relative = place.startswith(".") and not place.endswith(".py")
    if not separator or not place or not name or relative:
        raise RecipeError(f"{key} is {spec!r}; expected 'package.module:function' or 'file.py:function'")
    with exits_told(f"{key} = {spec!r}"), _siblings(base, (base / place).parent):
        module = _load_file(base / place, key) if place.endswith(".py") else _import(place, key)
    function = getattr(module, name, None)
    if not callable(function):
        raise RecipeError(f"{key} is {spec!r}; {place} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def call_factory(spec: str, *, base: Path, key: str, arguments: Mapping[str, Any]) -> Any:
    """What the factory returns; anything it raises becomes a RecipeError naming `key`, file and line."""
    function = load_factory(spec, base=base, key=key)
    _check_arguments(function, spec, key, arguments)
    place = spec.rpartition(":")[0]
    try:
        with exits_told(f"{key} = {spec!r}"), _siblings(base, (base / place).parent):
            return function(**arguments)
    except PocketrecError:
        raise
    except Exception as error:
        raise RecipeError(f"{key} = {spec!r} raised {told(error)}") from error


def _check_arguments(function: Callable[..., Any], spec: str, key: str, arguments: Mapping[str, Any]) -> None:
    """Checks that the function takes the arguments, where Python knows what it takes."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one that is written in C
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        known = ", ".join(signature.parameters) or "nothing"
        stated = f"{key.partition('.')[0]}.arguments"
        raise RecipeError(f"{key} = {spec!r}: {error}; it takes {known}, so correct {stated}") from None


@contextmanager
def _siblings(*folders: Path) -> Iterator[None]:
    """While it lasts, what lies in the folders can be imported; what is installed goes first.

    A module of the same name that was imported from beside another recipe makes room.
    """
    places = list(dict.fromkeys(str(each.resolve()) for each in folders if each.is_dir()))
    for name, folder in list(BESIDE.items()):
        if folder not in places:
            sys.modules.pop(name, None)
            del BESIDE[name]
    before, added = set(sys.modules), [each for each in places if each not in sys.path]
    sys.path.extend(added)
    try:
        yield
    finally:
        for each in added:
            sys.path.remove(each)
        new = sys.modules.keys() - before
        BESIDE.update({name: each for name in new for each in places if _lies_in(each, name)})


def _lies_in(folder: str, name: str) -> bool:
    """Whether the module was imported by its name from the folder."""
    file = getattr(sys.modules[name], "__file__", None) or ""
    stem = str(Path(folder, *name.split(".")))
    return file in (f"{stem}.py", str(Path(stem, "__init__.py")))


def load_vocabulary(tokens: str, *, base: Path, key: str) -> Tokens:
    """The vocabulary from a factory, or from a text file with one token a line."""
    if ":" in tokens and not (base / tokens).exists():
        result = call_factory(tokens, base=base, key=key, arguments={})
        if not isinstance(result, Vocabulary):
            raise RecipeError(f"{key} = {tokens!r} returned {type(result).__name__}; expected a Vocabulary")
        return result
    try:
        return _tokens_file(base / tokens)
    except (RecipeError, OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{key} is {tokens!r}; expected a UTF-8 text file or a factory ({error})") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensFile:
    """A vocabulary in a text file, of which only size and digest are held."""

    path: Path
    size: int
    digest: str

    def sha256(self) -> str:
        """Hex digest of the tokens file."""
        return self.digest

    def chunks(self) -> Iterator[bytes]:
        """The file with every line ended by one line feed."""
        return _lines(self.path)


def _tokens_file(path: Path) -> TokensFile:
    digest, size = sha256(), 0
    for chunk in _lines(path):
        digest.update(chunk)
        size += chunk.count(b"\n")
    return TokensFile(path=path, size=size, digest=digest.hexdigest())


def _lines(path: Path) -> Iterator[bytes]:
    last = "\n"
    opened = open_file(path, error=RecipeError, remedy="write one token a line")
    with TextIOWrapper(opened, encoding="utf-8-sig") as file:  # line ends become line feeds
        while text := file.read(_CHUNK):
            last = text[-1]
            yield text.encode()
    if last != "\n":
        yield b"\n"


def _import(name: str, key: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise RecipeError(f"{key}: module {name!r} cannot be imported ({error}); install it") from error
    except PocketrecError:
        raise
    except Exception as error:
        raise RecipeError(f"{key}: importing {name!r} raised {told(error)}") from error


def _load_file(path: Path, key: str) -> Any:
    if not path.is_file():
        raise RecipeError(f"{key}: {path} is no file; correct the path")
    # A name of its own, so that a user's convert.py or validate.py hides nothing.
    name = f"{USER_MODULES}{sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, Exception):
            raise RecipeError(f"{key}: running {path} raised {told(error)}") from error
        raise
    return module
