"""Verification of a bundle: digests first, then the golden vectors on the runtimes that are there.

Knows `package` and `validate`, as the pipeline does; never PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pocketrec.contract import Contract
from pocketrec.convert.targets import TARGETS, row_of_suffix
from pocketrec.errors import ArtifactError, NotAnswered, RecipeError
from pocketrec.foreign import generators_kept
from pocketrec.package.bundle import RECIPE, Bundle, read_bundle, table_of, verify_files
from pocketrec.package.golden import Vector, check_golden_text, read_golden, read_golden_index
from pocketrec.package.manifest import read_json, read_manifest
from pocketrec.pipeline.agreement import contract_sha256, disagreements
from pocketrec.pipeline.judged import gates_of
from pocketrec.pipeline.shapes import surplus_shapes
from pocketrec.pipeline.trust import Trust, examine_trust
from pocketrec.pipeline.verify_outcomes import Asked, Replayed, too_old
from pocketrec.pipeline.verify_replay import Held, replay_artifact, spoken_of
from pocketrec.progress import Progress, silent
from pocketrec.validate.runtimes.faults import UNANSWERED


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """What verification found.

    Attributes:
        path: the bundle.
        name: the recipe's name; empty where the manifest could not be read.
        version: the recipe's version.
        tree_sha256: the manifest's tree digest.
        problems: one sentence for each damaged file, and for each artifact that nothing compared.
        unmet: one for each artifact that a required engine did not run, or that needs a later macOS.
        replays: one entry per artifact and runtime; empty where a file is damaged, or nobody may be trusted.
        signature: whether somebody vouches for the bundle.
        left_out: files of the whole that a part of a bundle does not hold; nothing is said of them.
    """

    path: Path
    name: str = ""
    version: str = ""
    tree_sha256: str = ""
    problems: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    replays: tuple[Replayed, ...] = ()
    signature: Trust = field(default_factory=Trust)
    left_out: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True where no file is damaged, something was compared, nothing differed, and all is as asked."""
        statuses = [each.status for each in self.replays]
        compared = "passed" in statuses and "failed" not in statuses
        return not self.problems and not self.unmet and compared and not self.signature.exit_code

    @property
    def rehearsal(self) -> bool:
        """Whether something stood in for a device's framework."""
        return any(each.rehearsal for each in self.replays)

    @property
    def exit_code(self) -> int:
        """0, or why it cannot be trusted; `NotAnswered`'s where nothing is wrong but what did not answer."""
        if self.signature.exit_code:
            return self.signature.exit_code
        wrong = [each for each in self.replays if each.status == "failed" and each.outcome not in UNANSWERED]
        silent_ones = any(each.outcome in UNANSWERED for each in self.replays)
        if not self.problems and not wrong and (self.unmet or silent_ones):
            return NotAnswered.exit_code
        return 0 if self.passed else 1


@generators_kept()
def verify(
    path: str | Path,
    *,
    key: Path | None = None,
    require_signature: bool = False,
    asked: Asked | None = None,
    progress: Progress | None = None,
) -> VerifyResult:
    """What became of the bundle at `path`; damage is in the result, not raised.

    Args:
        path: the bundle.
        key: a PEM file with the public key that must have signed it; nothing of it runs where it did not.
        require_signature: whether a bundle that no key was checked for is refused.
        asked: which engines, and how; all that are there by default.
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
    asked = asked or Asked()
    replays: tuple[Replayed, ...] = ()
    if not problems:
        problems, replays = _replay_bundle(bundle, asked, progress or silent)
    manifest = bundle.manifest
    return VerifyResult(
        path=path,
        name=manifest.name,
        version=manifest.version,
        tree_sha256=manifest.tree_sha256,
        problems=problems,
        # Where there are no replays, a problem says why.
        unmet=(*asked.lacking(replays), *too_old(replays)) if replays else (),
        replays=replays,
        signature=trust,
        left_out=tuple(sorted(bundle.left_out)),
    )


def _replay_bundle(
    bundle: Bundle, asked: Asked, progress: Progress
) -> tuple[tuple[str, ...], tuple[Replayed, ...]]:
    """Problems and replays; an artifact that was to run and that nothing compared is a problem."""
    try:
        contract = read_json(bundle.path, "contract.json", Contract)
        held = Held(
            bundle=bundle,
            contract=contract,
            index=read_golden_index(bundle),
            vectors={name: _checked_vectors(bundle, contract, name) for name in _functions(bundle)},
            digest=contract_sha256(bundle),
            spoken=spoken_of(bundle, contract),
            gates=gates_of(table_of(bundle, RECIPE)),
        )
        whole = read_manifest(bundle.path).artifacts  # a part keeps the contract of the whole
        said = (*disagreements(bundle, contract), *surplus_shapes(contract, whole))
    except (ArtifactError, RecipeError) as error:
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
        ran = replay_artifact(held, asked, (target, function))
        replays += ran
        outcomes = {each.outcome for each in ran}
        if outcomes <= {"not_there", "not_asked"} and "not_there" in outcomes:
            problems.append(f"{target}/{function}: no runtime for it on this machine, nothing was compared")
    if artifacts and all(each.outcome == "not_asked" for each in replays):
        problems.append("no artifact is for the runtimes that were asked for, nothing was compared")
    return tuple(problems), tuple(replays)


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
