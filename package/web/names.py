"""The names of a bundle and of its contract, as npm and TypeScript spell them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_WORDS = re.compile(r"[A-Za-z0-9]+")
_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]*[A-Za-z-][0-9A-Za-z.-]*)?\Z")
_NUMBERS = re.compile(r"\d{1,9}(\.\d{1,9}){0,2}\Z")
_LONGEST = 100  # characters of a package's name; npm allows 214 with a scope

# What a class must not be called: what the generated module imports, and what every page has.
_TAKEN = frozenset(
    {
        *("Answer", "Array", "BigInt", "Boolean", "CallError", "Calls", "Contract", "Date", "Decision"),
        *(
            "Embedding",
            "Error",
            "Float32Array",
            "Function",
            "Infinity",
            "Intl",
            "JSON",
            "LoadError",
            "Loader",
        ),
        *(
            "LoadOptions",
            "Loaded",
            "Map",
            "Math",
            "Model",
            "NaN",
            "Number",
            "Object",
            "Prediction",
            "Promise",
        ),
        *(
            "Proxy",
            "Readonly",
            "Recommendations",
            "Record",
            "Reflect",
            "RegExp",
            "Set",
            "String",
            "Suggestion",
        ),
        *("Symbol", "AbortSignal", "URL", "WeakMap", "WeakSet"),
    }
)
_NOT_NPM = frozenset({"node_modules", "favicon.ico", "onnxruntime-web", "typescript", "eslint", "npm"})


def package_name(name: str) -> str:
    """A bundle's name as the name of an npm package: small ASCII letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST].strip("-") or "recommender"
    return f"{found}-model" if found in _NOT_NPM else found


def package_version(version: str) -> str:
    """A bundle's version as npm spells one: three numbers; what is no number follows them."""
    if _SEMVER.match(version):
        return version
    if _NUMBERS.match(version):
        parts = [str(int(each)) for each in version.split(".")]
        return ".".join([*parts, *["0"] * (3 - len(parts))])
    plain = re.sub(r"[^0-9a-z]+", "-", version.lower().encode("ascii", "ignore").decode()).strip("-")
    return f"0.0.0-v-{plain}" if plain else "0.0.0"


def type_name(name: str) -> str:
    """A bundle's name as the name of a class: `two-tower` is `TwoTower`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    found = "".join(word[0].upper() + word[1:] for word in _WORDS.findall(plain)) or "Recommender"
    if found[0].isdigit():
        found = f"Model{found}"
    return f"{found}Model" if found in _TAKEN else found


def camel(name: str) -> str:
    """A contract's name in camel case: `user_age` is `userAge`."""
    first, *rest = [each for each in name.split("_") if each] or [name]
    return first + "".join(each[0].upper() + each[1:] for each in rest)


def camels(names: Iterable[str], *, taken: Iterable[str] = ()) -> dict[str, str]:
    """Each name in camel case; one whose spelling is another's, or taken, keeps its own or gets a mark."""
    found: dict[str, str] = {}
    used = set(taken)
    for name in names:
        spelled = next(each for each in (camel(name), name, *_marked(name)) if each not in used)
        used.add(spelled)
        found[name] = spelled
    return found


def _marked(name: str) -> Iterable[str]:
    return (f"{name}{'_' * count}" for count in range(1, 1000))
