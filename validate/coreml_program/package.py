"""An .mlpackage or .mlmodel opened: its description and its program, read as if from a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketrec.errors import ArtifactError, UnsupportedOp, UsageError
from pocketrec.validate.coreml_program.program import ProgramReader
from pocketrec.validate.runtimes.coreml_spec import feature_spec, load_model
from pocketrec.validate.runtimes.runtime import TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionDescription:
    """What the application sees of one function."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    states: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package's program and descriptions.

    Attributes:
        default: the function that runs unless another is named.
        about: what it says of itself to people: description, author, license, version.
        kind: the type of the model; only an `mlProgram` has functions to read.
    """

    path: Path
    reader: ProgramReader
    functions: dict[str, FunctionDescription]
    default: str
    metadata: dict[str, str]
    specification_version: int
    about: Mapping[str, str] = field(default_factory=dict)
    kind: str = "mlProgram"

    def resolve(self, function: str | None) -> str:
        """The program's name of a function; the default one where `function` is None.

        A package of one function calls it `main`, and may say in its metadata which function of a
        contract that is.

        Raises:
            UsageError: there is no such function; names those that there are.
        """
        if function is None or (
            len(self.functions) == 1 and self.metadata.get("pocketrec.function") == function
        ):
            return self.default
        if function not in self.functions:
            known = ", ".join(self.functions)
            raise UsageError(f"{self.path.name}: no function {function!r}; expected one of {known}")
        return function


def open_package(path: Path, *, strict: bool = True) -> Package:
    """The package at `path`; only one that can be run where it is `strict`, else any that can be looked at.

    Raises:
        UsageError: there is no such package.
        ArtifactError: a file of it is damaged or missing; names the file.
        UnsupportedOp: the model is no ML program, or takes or gives something else than arrays.
    """
    model = load_model(path)
    spec, file = model.spec, model.file
    kind = spec.WhichOneof("Type") or "none"
    if strict and kind != "mlProgram":
        raise UnsupportedOp(not_a_program(path, kind))
    reader = ProgramReader(spec.mlProgram, model.blob_path, file, strict=strict)
    functions = _functions(spec, strict)
    default = spec.description.defaultFunctionName or "main"
    if kind == "mlProgram" and not {default} <= functions.keys() & {*reader.functions}:
        raise ArtifactError(f"{file}: its default function {default!r} is not in the program")
    return Package(
        path=path,
        reader=reader,
        functions=functions,
        default=default,
        metadata=dict(spec.description.metadata.userDefined),
        specification_version=int(spec.specificationVersion),
        about=_about(spec.description.metadata),
        kind=str(kind),
    )


def not_a_program(path: Path, kind: str) -> str:
    """What is said of a model that has no ops to read."""
    return f"{path}: a model of type {kind}; expected an ML program (iOS15 and later)"


def _about(metadata: Any) -> dict[str, str]:
    said = {
        "description": metadata.shortDescription,
        "author": metadata.author,
        "license": metadata.license,
        "version": metadata.versionString,
    }
    return {key: str(text) for key, text in said.items() if text}


def _functions(spec: Any, strict: bool) -> dict[str, FunctionDescription]:
    description = spec.description
    if not description.functions:
        return {"main": _function(description, strict)}
    return {each.name: _function(each, strict) for each in description.functions}


def _function(description: Any, strict: bool) -> FunctionDescription:
    read = _array if strict else feature_spec
    return FunctionDescription(
        inputs=tuple(read(each) for each in description.input),
        outputs=tuple(read(each) for each in description.output),
        states=tuple(read(each) for each in description.state),
    )


def _array(feature: Any) -> TensorSpec:
    """The feature, which is an array; UnsupportedOp names what else it is."""
    kind = feature.type.WhichOneof("Type")
    if kind not in ("multiArrayType", "stateType"):
        raise UnsupportedOp(f"feature {feature.name}: {kind} is not supported; only arrays are")
    return feature_spec(feature)
