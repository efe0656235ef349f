"""The API vectors of a build, answered by its reference, and their replay on an artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pocketrec.contract import Contract, VocabularyFiles
from pocketrec.package.api import ApiVectors, check_calls, replay_calls
from pocketrec.package.api_calls import api_vectors
from pocketrec.package.api_rules import replay_rules
from pocketrec.package.golden import GoldenIndex
from pocketrec.package.host.items import Items
from pocketrec.package.vocabularies import vocabularies_held
from pocketrec.pipeline.app import host_of, run_function

if TYPE_CHECKING:
    from pocketrec.package.host.features import Array
    from pocketrec.validate.evidence import Reference
    from pocketrec.validate.runtimes.runtime import Runtime

MOST_TOKENS = 1_000_000  # of all vocabularies together, up to which their words are held at once


def vectors_of(
    reference: Reference, vocabularies: Mapping[str, VocabularyFiles]
) -> tuple[ApiVectors | None, tuple[str, ...]]:
    """The API vectors that the reference answers, and what is to be said of them; None where words lack."""
    contract = reference.contract
    tokens = sum(each.size for each in contract.vocabularies.values())
    if contract.vocabularies.keys() - vocabularies.keys():
        return None, ()
    if tokens > MOST_TOKENS:
        return None, (f"No API vectors: the vocabularies have {tokens} tokens, more than {MOST_TOKENS}.",)

    def run(function: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return run_function(reference.runtimes[function], contract, function, inputs)

    return api_vectors(host_of(contract, vocabularies_held(contract, vocabularies), run)), ()


def check_api(contract: Contract, vocabularies: Mapping[str, Items], vectors: ApiVectors) -> str:
    """What a rule of the vectors answers otherwise; empty where all that needs no model holds.

    Raises:
        ArtifactError: a call is of no method, or a method has no call.
    """
    host = host_of(contract, vocabularies, _nothing_runs)
    check_calls(vectors, host.calls)
    return replay_rules(host, vectors)


def _nothing_runs(function: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    raise NotImplementedError(f"rules need no model, and asked for {function}")


def replay_api(
    opened: Callable[[str], Runtime],
    contract: Contract,
    vocabularies: Mapping[str, Items],
    vectors: ApiVectors,
    index: GoldenIndex,
    place: tuple[str, str],
) -> tuple[int, str]:
    """How many API calls of a function hold, and what the first other has; `place` is target and function.

    `opened` gives the artifact of any function: generation runs several.
    """
    target, function = place

    def run(name: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return run_function(opened(name), contract, name, inputs)

    tolerances = index.tolerances.get(target, {}).get(function, {})
    return replay_calls(
        host_of(contract, vocabularies, run), vectors, function, tolerances, index.tie_tolerance
    )
