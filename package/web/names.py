"""The names of a bundle as npm and TypeScript spell them."""

from __future__ import annotations

import re
import unicodedata

_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]*[A-Za-z-][0-9A-Za-z.-]*)?\Z")
_NUMBERS = re.compile(r"\d{1,9}(\.\d{1,9}){0,2}\Z")
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
    if _SEMVER.match(version):
        return version
    if _NUMBERS.match(version):
        parts = [str(int(each)) for each in version.split(".")]
        return ".".join([*parts, *["0"] * (3 - len(parts))])
    plain = re.sub(r"[^0-9a-z]+", "-", version.lower().encode("ascii", "ignore").decode()).strip("-")
    return f"0.0.0-v-{plain}" if plain else "0.0.0"
