"""The names of a bundle as npm and TypeScript spell them."""

from __future__ import annotations

import re
import unicodedata

_PART = r"(?:0|[1-9]\d{0,14})"  # of a version: npm takes no number of more digits, nor a zero before one
_WORD = rf"(?:{_PART}|\d*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(rf"{_PART}(?:\.{_PART}){{2}}(?:-{_WORD}(?:\.{_WORD})*)?\Z", re.ASCII)
_NUMBERS = re.compile(r"\d{1,9}(\.\d{1,9}){0,2}\Z", re.ASCII)
_LONGEST = 100  # characters of a package's name; npm allows 214 with a scope

# What a class must not be called: what the generated module imports, and what every page has.
TAKEN = frozenset(
    {
        *("Answer", "Array", "BigInt", "Boolean", "CallError", "Calls", "Contract", "Date", "Decision"),
        *("Embedding", "Error", "Float32Array", "Function", "Infinity", "Intl", "JSON", "LoadError"),
        *("LoadOptions", "Loaded", "Loader", "Map", "Math", "Model", "NaN", "Number", "Object"),
        *("Prediction", "Promise", "Proxy", "Readonly", "Recommendations", "Record", "Reflect", "RegExp"),
        *("Set", "String", "Suggestion", "Symbol", "AbortSignal", "URL", "WeakMap", "WeakSet"),
        *("CallOptions", "Item", "Iterable", "LoadCode", "LoadState", "ModelSpec", "NAMES", "OnState"),
        *("Predicted", "Progress", "Provider", "Recommendation", "Unknown", "Value"),
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
    if len(version) <= _LONGEST and _SEMVER.match(version):
        return version
    if _NUMBERS.match(version):
        parts = [str(int(each)) for each in version.split(".")]
        return ".".join([*parts, *["0"] * (3 - len(parts))])
    plain = re.sub(r"[^0-9a-z]+", "-", version.lower().encode("ascii", "ignore").decode())
    plain = plain.strip("-")[:_LONGEST].strip("-")
    return f"0.0.0-v-{plain}" if plain else "0.0.0"
