"""The JSON Schema of evidence.json, made from the dataclasses; `make schemas` writes it into docs/schemas."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union

from pocketrec.report.evidence import Evidence
from pocketrec.report.reading import FORMAT, SPECIAL
from pocketrec.schema import described, fields_of

NAME = f"evidence-{FORMAT}.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS = {str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}}


def evidence_schema(*, closed: bool = False) -> dict[str, Any]:
    """Returns the schema of evidence.json, in the dialect 2020-12.

    Args:
        closed: whether keys that it does not name are refused. The published one allows them: what is new in
            a format is added, and whoever reads evidence leaves out what they do not know.
    """
    numbers = {"anyOf": [{"type": "number"}, {"enum": list(SPECIAL)}]}
    numbers["description"] = "A number; what strict JSON lacks is a text."  # type: ignore[assignment]
    found: dict[str, Any] = {}
    _define(Evidence, found, closed)
    root = found.pop(Evidence.__name__)
    root["properties"]["schema"] = {"const": FORMAT, "description": "The format's version."}
    return {
        "$schema": _DIALECT,
        "$id": f"urn:pocketrec:evidence:{FORMAT}",
        "title": "Evidence of a pocketrec build",
        **root,
        "$defs": {"number": numbers, **dict(sorted(found.items()))},
    }


def as_text(schema: dict[str, Any]) -> str:
    """Returns a schema as it is committed."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _define(cls: Any, found: dict[str, Any], closed: bool) -> None:
    """Adds a dataclass's schema, and those of all that it holds, by their names."""
    if cls.__name__ in found:
        return
    found[cls.__name__] = {}
    said, about = described(cls)
    fields = fields_of(cls)
    properties = {
        name: {**_schema(hint, found, closed), **({"description": about[name]} if name in about else {})}
        for name, (hint, _) in fields.items()
    }
    found[cls.__name__] = {
        "description": said,
        "type": "object",
        "properties": properties,
        "required": [name for name, (_, required) in fields.items() if required],
        **({"additionalProperties": False} if closed else {}),
    }


def _schema(hint: Any, found: dict[str, Any], closed: bool) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if hint is float:
        return {"$ref": "#/$defs/number"}
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    if origin in (Union, types.UnionType):
        (kind,) = (each for each in arguments if each is not type(None))
        return {"anyOf": [_schema(kind, found, closed), {"type": "null"}]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple and arguments[-1] is Ellipsis:
        return {"type": "array", "items": _schema(arguments[0], found, closed)}
    if origin is tuple:
        parts = [_schema(each, found, closed) for each in arguments]
        return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
    if dataclasses.is_dataclass(hint):
        _define(hint, found, closed)
        return {"$ref": f"#/$defs/{getattr(hint, '__name__', '')}"}
    return {"type": "object", "additionalProperties": _schema(arguments[1], found, closed)}


if __name__ == "__main__":
    (Path(sys.argv[1]) / NAME).write_text(as_text(evidence_schema()), encoding="utf-8")
