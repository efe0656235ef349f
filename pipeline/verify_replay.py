"""The golden and API vectors of one artifact, replayed on every runtime of its format that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from pocketrec.contract import Contract
from pocketrec.errors import ArtifactError, PocketrecError
from pocketrec.package.api import API, ApiVectors, read_api
from pocketrec.package.bundle import Bundle
from pocketrec.package.golden import GoldenIndex, Vector
from pocketrec.package.host.items import Items
from pocketrec.package.vocabularies import vocabularies_of
from pocketrec.pipeline.agreement import check_carried, contract_sha256, row_of_artifact, units_of
from pocketrec.pipeline.api import check_api, replay_api
from pocketrec.pipeline.shapes import shape_problem
from pocketrec.pipeline.verify_outcomes import Asked, Outcome, Replayed
from pocketrec.recipe import Gates

if TYPE_CHECKING:
    from pocketrec.validate.runtimes.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The API vectors of a bundle, and the items that their words are looked up among."""

    vectors: ApiVectors
    vocabularies: Mapping[str, Items]


def spoken_of(bundle: Bundle, contract: Contract) -> Spoken | None:
    """None where the bundle has no API vectors; ArtifactError where they are of another contract or rule."""
    vectors = read_api(bundle)
    if vectors is None:
        return None
    if vectors.contract_sha256 != contract_sha256(bundle):
        raise ArtifactError(f"{API}: is of another contract than contract.json; build the bundle again")
    spoken = Spoken(vectors=vectors, vocabularies=vocabularies_of(bundle, contract.vocabularies))
    if difference := check_api(contract, spoken.vocabularies, vectors):
        raise ArtifactError(f"{API}: {difference}")
    return spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a bundle holds to replay, read and checked.

    Attributes:
        bundle: whose digests fit.
        contract: its contract.
        index: of its golden vectors.
        vectors: function to its golden vectors.
        digest: of the contract, which artifacts carry.
        spoken: its API vectors; None where it has none.
        gates: of the build.
    """

    bundle: Bundle
    contract: Contract
    index: GoldenIndex
    vectors: Mapping[str, tuple[Vector, ...]]
    digest: str
    spoken: Spoken | None
    gates: Gates


def replay_artifact(held: Held, asked: Asked, place: tuple[str, str]) -> list[Replayed]:
    """One entry per runtime that the artifact's format has; `place` is target and function."""
    from pocketrec.validate.open import available_runtimes

    target, function = place
    missing = {each.name: each.reason for each in available_runtimes() if not each.available}
    row = row_of_artifact(held.bundle, target, held.bundle.artifact(target, function).suffix)
    ran: list[Replayed] = []
    for runtime in () if row is None else row.runtimes:
        found = Replayed(target=target, function=function, runtime=runtime, outcome="not_there")
        if not asked.wants(runtime):
            ran.append(replace(found, outcome="not_asked", message="it was not asked for"))
        elif runtime in missing:
            ran.append(replace(found, message=missing[runtime]))
        else:
            ran.append(_replayed(held, asked, found))
    return ran


def _replayed(held: Held, asked: Asked, found: Replayed) -> Replayed:
    """The entry with what became of the artifact; what an engine died of is its outcome."""
    from pocketrec.validate.runtimes.faults import FrameworkFault, TooOldMacOS
    from pocketrec.validate.runtimes.runtime import RuntimeUnavailable

    try:
        return _compared(held, asked, found)
    except TooOldMacOS as error:
        return replace(found, outcome="macos_too_old", message=str(error))
    except RuntimeUnavailable as error:  # known only where it is started, as of WebGPU
        return replace(found, message=str(error))
    except FrameworkFault as error:
        rehearsal = _is_rehearsal(found.runtime)
        printed, message = error.printed, str(error)
        return replace(found, outcome=error.fault, message=message, printed=printed, rehearsal=rehearsal)
    except ArtifactError as error:
        return replace(found, outcome="contradicts", message=str(error))
    except PocketrecError as error:
        return replace(found, outcome="failed", message=str(error))


def _is_rehearsal(runtime: str) -> bool:
    from pocketrec.validate.runtimes.coreml_framework import rehearsal

    return runtime == "coreml-framework" and bool(rehearsal())


class _Opened:
    """The artifacts of a target on one runtime, each opened when it is first asked for."""

    def __init__(self, held: Held, asked: Asked, target: str, runtime: str) -> None:
        self._opened: dict[str, Runtime] = {}
        self._held, self._target, self._runtime = held, target, runtime
        self._units = asked.compute_units or units_of(held.bundle, target)
        self._timeout = asked.timeout
        self._own = ExitStack()

    def __call__(self, function: str) -> Runtime:
        from pocketrec.pipeline.opening import open_artifact

        if function not in self._opened:
            made = open_artifact(
                self._held.bundle.artifact(self._target, function),
                self._runtime,
                compute_units=self._units,
                function=function,
                timeout=self._timeout,
            )
            self._opened[function] = self._own.enter_context(made)
        return self._opened[function]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._own.close()


def _compared(held: Held, asked: Asked, found: Replayed) -> Replayed:
    """The entry with which vector or call differs and how far; a runtime that does not answer is raised."""
    target, function = found.target, found.function
    artifact = held.bundle.artifact(target, function)
    with _Opened(held, asked, target, found.runtime) as opened:
        loaded = opened(function)
        check_carried(loaded, artifact, held.digest)
        said = loaded.describe()
        found = replace(found, version=said.version, compute_units=said.compute_units)
        found = replace(found, rehearsal=_is_rehearsal(found.runtime))
        if problem := shape_problem(held.contract, target, function, said.inputs, said.outputs):
            return replace(found, outcome="contradicts", message=f"{artifact.name}: {problem}")
        outcome, message = _golden(held, loaded, target, function)
        vectors, calls = len(held.vectors[function]), 0
        if not message and held.spoken is not None:
            spoken, place = held.spoken, (target, function)
            calls, message = replay_api(
                opened, held.contract, spoken.vocabularies, spoken.vectors, held.index, place
            )
            outcome = "wrong_answer" if message else "passed"
        printed = str(getattr(loaded, "printed", ""))
    return replace(found, outcome=outcome, vectors=vectors, calls=calls, message=message, printed=printed)


def _golden(held: Held, loaded: Runtime, target: str, function: str) -> tuple[Outcome, str]:
    """What became of the golden vectors, and which differs how far; empty where none does."""
    from pocketrec.validate.replay import GoldenVector, replay

    golden = [
        GoldenVector(function=function, name=each.name, inputs=each.inputs, outputs=each.outputs)
        for each in held.vectors[function]
    ]
    results = replay(
        golden,
        loaded,
        held.contract,
        function=function,
        tolerances=held.index.tolerances.get(target, {}).get(function, {}),
        gates=held.gates,
    )
    failed = [each for each in results if not each.passed]
    if not failed:
        return "passed", ""
    more = f" (and {len(failed) - 1} more of {len(results)})" if len(failed) > 1 else ""
    outcome: Outcome = "all_zeros" if failed[0].zeros else "wrong_answer"
    return outcome, f"{failed[0].message}{more}"
