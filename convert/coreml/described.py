"""What a package says of itself in Xcode: description, author, license, version, and every feature in words.

The sizes are those of the package, which may be narrower than the contract's. There are no class labels:
Core ML has them on classifiers only, whose output is a dictionary in place of the contract's tensors.
"""

from __future__ import annotations

from typing import Any

from pocketrec.about import (
    About,
    Bounds,
    describe_input,
    describe_model,
    describe_output,
    describe_state,
)
from pocketrec.contract import Contract, Signature


def describe(description: Any, about: About, contract: Contract, function: str) -> None:
    """Fills in the texts of a ModelDescription of one function, in place.

    Args:
        description: of a package whose features have the contract's names already.
        about: in the maker's words.
        contract: as it is shipped.
        function: which of its functions the package computes.
    """
    signature = contract.functions[function]
    metadata = description.metadata
    metadata.shortDescription = describe_model(about, contract, function)
    metadata.author, metadata.license = about.author, about.license
    metadata.versionString = about.version
    _describe_features(description, signature, contract)


def _describe_features(description: Any, signature: Signature, contract: Contract) -> None:
    fixed: dict[str, tuple[int, int]] = {}
    for each in description.input:
        feature, array = signature.input(each.name), each.type.multiArrayType
        sizes = _sizes(array) if feature.shape else ()  # Core ML has no array without an axis
        fixed.update((str(size), both) for size, both in zip(feature.shape, sizes, strict=True))
        each.shortDescription = describe_input(feature, signature, contract, sizes)
    for each in description.output:
        output = signature.output(each.name)
        found = [fixed.get(str(size), contract.bounds(size)) for size in output.shape]
        each.shortDescription = describe_output(output, contract, found)
    for each in description.state:
        each.shortDescription = describe_state(
            signature.input(each.name), contract, _sizes(each.type.stateType.arrayType)
        )


def _sizes(array: Any) -> Bounds:
    """The smallest and the largest size of every axis."""
    if array.WhichOneof("ShapeFlexibility") == "shapeRange":
        return [(int(each.lowerBound), int(each.upperBound)) for each in array.shapeRange.sizeRanges]
    return [(int(size), int(size)) for size in array.shape]


def merge_metadata(kept: Any, given: Any) -> None:
    """Adds what another function's package says of the model: every paragraph stands once."""
    paragraphs = (*kept.shortDescription.split("\n\n"), *given.shortDescription.split("\n\n"))
    kept.shortDescription = "\n\n".join(each for each in dict.fromkeys(paragraphs) if each)
    for key in ("author", "license", "versionString"):
        setattr(kept, key, getattr(kept, key) or getattr(given, key))
