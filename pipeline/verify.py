"""Verification of a bundle: digests first, then the golden vectors on the runtimes that are there.

Knows `package` and `validate`, as the pipeline does; never PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pocketrec.contract import Contract
from pocketrec.convert.targets import TARGETS, row_of_suffix
from pocketrec.errors import ArtifactError, PocketrecError
from pocketrec.foreign import generators_kept
from pocketrec.package.api import API, ApiVectors, read_api
from pocketrec.package.bundle import Bundle, read_bundle, verify_files
from pocketrec.package.golden import (
    GoldenIndex,
    Vector,
    check_golden_text,
    read_golden,
    read_golden_index,
)
from pocketrec.package.host.items import Items
from pocketrec.package.manifest import read_json
from pocketrec.package.vocabularies import vocabularies_of
from pocketrec.pipeline.agreement import check_carried, contract_sha256, disagreements, row_of_artifact
from pocketrec.pipeline.api import check_api, replay_api
from pocketrec.pipeline.shapes import shape_problem, surplus_shapes
from pocketrec.pipeline.trust import Trust, examine_trust
from pocketrec.progress import Progress, silent

if TYPE_CHECKING:
    from pocketrec.validate.runtimes.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One artifact on one runtime.

    Attributes:
        target: as in the manifest.
        function: as in the contract.
        runtime: the engine's name.
        status: `passed`, `failed`, or `not_run` where the engine is not there.
        vectors: how many golden vectors were compared.
        calls: how many API vectors, in an app's words.
        message: which output and how far, or why it did not run; empty where it passed.
    """

    target: str
    function: str
    runtime: str
    status: Literal["passed", "failed", "not_run"]
    vectors: int = 0
    calls: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """What verification found.

    Attributes:
        path: the bundle.
        name: the recipe's name; empty where the manifest could not be read.
        version: the recipe's version.
        tree_sha256: the manifest's tree digest.
        problems: one sentence for each damaged file, and for each artifact that nothing compared.
        replays: one entry per artifact and runtime; empty where a file is damaged, or nobody may be trusted.
        signature: whether somebody vouches for the bundle.
    """

    path: Path
    name: str = ""
    version: str = ""
    tree_sha256: str = ""
    problems: tuple[str, ...] = ()
    replays: tuple[Replayed, ...] = ()
    signature: Trust = field(default_factory=Trust)

    @property
    def passed(self) -> bool:
        """True where no file is damaged, something was compared, nothing differed, and trust was as asked."""
        statuses = [each.status for each in self.replays]
        compared = "passed" in statuses and "failed" not in statuses
        return not self.problems and compared and not self.signature.exit_code

    @property
    def exit_code(self) -> int:
        """What the command returns: 0, or why it cannot be trusted, or 1."""
        return self.signature.exit_code or (0 if self.passed else 1)


@generators_kept()
def verify(
    path: str | Path,
    *,
    key: Path | None = None,
    require_signature: bool = False,
    progress: Progress | None = None,
) -> VerifyResult:
    """What became of the bundle at `path`; damage is in the result, not raised.

    Args:
        path: the bundle.
        key: a PEM file with the public key that must have signed it; nothing of it runs where it did not.
        require_signature: whether a bundle that no key was checked for is refused.
        progress: is told of each artifact.

    Raises:
        UsageError: there is no folder at `path`, or the key cannot be used.
    """
    path = Path(path)
    trust = examine_trust(path, key, required=require_signature)
    if trust.exit_code:
        return VerifyResult(path=path, signature=trust, problems=(trust.message,))
    try:
        bundle = read_bundle(path)
    except ArtifactError as error:
        return VerifyResult(path=path, problems=(str(error),), signature=trust.broken())
    problems = verify_files(bundle)
    if problems:
        trust = trust.broken()
    replays: tuple[Replayed, ...] = ()
    if not problems:
        problems, replays = _replay_bundle(bundle, progress or silent)
    manifest = bundle.manifest
    return VerifyResult(
        path=path,
        name=manifest.name,
        version=manifest.version,
        tree_sha256=manifest.tree_sha256,
        problems=problems,
        replays=replays,
        signature=trust,
    )


def _replay_bundle(bundle: Bundle, progress: Progress) -> tuple[tuple[str, ...], tuple[Replayed, ...]]:
    """Problems and replays; an artifact that no runtime compared is a problem."""
    try:
        contract = read_json(bundle.path, "contract.json", Contract)
        index = read_golden_index(bundle)
        vectors = {name: _checked_vectors(bundle, contract, name) for name in _functions(bundle)}
        spoken = _spoken(bundle, contract)
        said = (*disagreements(bundle, contract), *surplus_shapes(contract, bundle.manifest.artifacts))
        digest = contract_sha256(bundle)
    except ArtifactError as error:
        return (str(error),), ()
    artifacts = [(t, f) for t, each in sorted(bundle.manifest.artifacts.items()) for f in sorted(each)]
    foreign = [
        bundle.artifact(*each).name
        for each in artifacts
        if row_of_suffix(bundle.artifact(*each).suffix) is None
    ]
    if foreign:
        known = " or ".join(dict.fromkeys(each.suffix for each in TARGETS.values()))
        return tuple(f"{name}: expected {known}" for name in foreign), ()
    replays: list[Replayed] = []
    problems = [*said, *([] if artifacts else ["manifest.json: no artifacts, so nothing was compared"])]
    for count, (target, function) in enumerate(artifacts):
        progress(f"replay {target}/{function}", count, len(artifacts))
        ran = _replay_artifact(bundle, contract, index, (target, function), vectors[function], digest, spoken)
        replays += ran
        if all(each.status == "not_run" for each in ran):
            problems.append(f"{target}/{function}: no runtime for it on this machine, nothing was compared")
    return tuple(problems), tuple(replays)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spoken:
    """The API vectors of a bundle, and the items that their words are looked up among."""

    vectors: ApiVectors
    vocabularies: Mapping[str, Items]


def _spoken(bundle: Bundle, contract: Contract) -> _Spoken | None:
    """None where the bundle has no API vectors; ArtifactError where they are of another contract or rule."""
    vectors = read_api(bundle)
    if vectors is None:
        return None
    if vectors.contract_sha256 != contract_sha256(bundle):
        raise ArtifactError(f"{API}: is of another contract than contract.json; build the bundle again")
    spoken = _Spoken(vectors=vectors, vocabularies=vocabularies_of(bundle, contract.vocabularies))
    if difference := check_api(contract, spoken.vocabularies, vectors):
        raise ArtifactError(f"{API}: {difference}")
    return spoken


def _functions(bundle: Bundle) -> list[str]:
    return sorted({function for each in bundle.manifest.artifacts.values() for function in each})


def _checked_vectors(bundle: Bundle, contract: Contract, function: str) -> tuple[Vector, ...]:
    """The function's vectors; ArtifactError where there are none or one lacks an output."""
    signature = contract.functions.get(function)
    if signature is None:
        raise ArtifactError(f"contract.json: no function {function!r}, which manifest.json has artifacts for")
    name = f"golden/{function}.safetensors"
    vectors = read_golden(bundle, function)
    if not vectors:
        raise ArtifactError(f"{name}: holds no golden vector, so nothing can be compared")
    expected = {each.name for each in signature.outputs}
    for vector in vectors:
        if set(vector.outputs) != expected:
            raise ArtifactError(
                f"{name}: vector {vector.name!r} has outputs {sorted(vector.outputs)}; the contract has "
                f"{sorted(expected)}"
            )
    check_golden_text(bundle, function, vectors)
    return vectors


def _replay_artifact(
    bundle: Bundle,
    contract: Contract,
    index: GoldenIndex,
    place: tuple[str, str],
    vectors: tuple[Vector, ...],
    digest: str,
    spoken: _Spoken | None,
) -> list[Replayed]:
    """One entry per runtime that the artifact's format has."""
    from pocketrec.validate.open import available_runtimes
    from pocketrec.validate.runtimes.runtime import RuntimeUnavailable

    target, function = place
    artifact = bundle.artifact(target, function)
    missing = {each.name: each.reason for each in available_runtimes() if not each.available}
    ran: list[Replayed] = []
    row = row_of_artifact(bundle, target, artifact.suffix)
    for runtime in () if row is None else row.runtimes:
        found = Replayed(
            target=target,
            function=function,
            runtime=runtime,
            status="not_run",
            message=missing.get(runtime, ""),
        )
        if runtime not in missing:
            try:
                calls, message = _compare(bundle, runtime, contract, index, place, vectors, digest, spoken)
            except RuntimeUnavailable as error:  # known only where it is started, as of WebGPU
                ran.append(replace(found, message=str(error)))
                continue
            status: Literal["passed", "failed"] = "failed" if message else "passed"
            found = replace(found, status=status, vectors=len(vectors), calls=calls, message=message)
        ran.append(found)
    return ran


class _Opened:
    """The artifacts of a target on one runtime, each opened when it is first asked for."""

    def __init__(self, given: Mapping[str, Runtime], paths: Mapping[str, Path], runtime: str) -> None:
        self._opened, self._paths, self._runtime = dict(given), paths, runtime
        self._own = ExitStack()

    def __call__(self, function: str) -> Runtime:
        from pocketrec.pipeline.opening import open_artifact

        if function not in self._opened:
            made = open_artifact(self._paths[function], self._runtime, function=function)
            self._opened[function] = self._own.enter_context(made)
        return self._opened[function]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._own.close()


def _compare(
    bundle: Bundle,
    runtime: str,
    contract: Contract,
    index: GoldenIndex,
    place: tuple[str, str],
    vectors: tuple[Vector, ...],
    digest: str,
    spoken: _Spoken | None,
) -> tuple[int, str]:
    """How many API calls held, and which vector or call differs and how far; empty where none does."""
    from pocketrec.pipeline.opening import open_artifact
    from pocketrec.validate.replay import GoldenVector, replay

    target, function = place
    artifact = bundle.artifact(target, function)
    golden = [
        GoldenVector(function=function, name=each.name, inputs=each.inputs, outputs=each.outputs)
        for each in vectors
    ]
    try:
        with open_artifact(artifact, runtime, function=function) as loaded:
            check_carried(loaded, artifact, digest)
            described = loaded.describe()
            said = shape_problem(contract, target, function, described.inputs, described.outputs)
            if said:
                return 0, f"{artifact.name}: {said}"
            results = replay(
                golden,
                loaded,
                contract,
                function=function,
                tolerances=index.tolerances.get(target, {}).get(function, {}),
                tie_tolerance=index.tie_tolerance,
            )
            failed = [each for each in results if not each.passed]
            if failed or spoken is None:
                more = f" (and {len(failed) - 1} more of {len(results)})" if len(failed) > 1 else ""
                return 0, f"{failed[0].message}{more}" if failed else ""
            others = {each: bundle.artifact(target, each) for each in bundle.manifest.artifacts[target]}
            with _Opened({function: loaded}, others, runtime) as opened:
                return replay_api(opened, contract, spoken.vocabularies, spoken.vectors, index, place)
    except PocketrecError as error:
        return 0, str(error)
