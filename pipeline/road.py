"""One job to all targets: each attempt's contract captured, lowered in each target's ways, and proved."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.convert.example.attempts import Attempt, Job
from pocketrec.errors import ConversionError, Derived, Refused, UsageError
from pocketrec.example_compression import capture_attempt
from pocketrec.pipeline.remedies import without_circles
from pocketrec.proof import Proof, prove
from pocketrec.report import TensorParity

if TYPE_CHECKING:
    from pocketrec.convert.capture.capture import Capture
    from pocketrec.convert.rewrite import Rewrite
    from pocketrec.quantize import QuantizedTensor

Progress = Callable[[str, int, int], None]
FILES = {"onnx": "model.onnx", "coreml": "model.mlpackage"}


@dataclass(slots=True, kw_only=True)
class Draft:
    """What is gathered while targets are tried."""

    artifacts: dict[str, Path] = field(default_factory=dict)
    parity: dict[str, tuple[TensorParity, ...]] = field(default_factory=dict)
    far: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, ConversionError] = field(default_factory=dict)
    rewrites: dict[tuple[str, str], Rewrite] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    attempt: Attempt | None = None
    captured: Capture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to lower."""

    precision: str
    minimum_deployment_target: str
    codes: Mapping[str, QuantizedTensor]


def convert_targets(
    job: Job, targets: Sequence[str], folder: Path, options: Options, report: Progress
) -> Draft:
    """All targets that some attempt gave; raises the refusal of the first where there is none."""
    draft = Draft()
    for attempt in job.attempts():
        waiting = [each for each in targets if each not in draft.artifacts]
        _attempt(attempt, waiting, folder, draft, options, report)
        if len(draft.artifacts) == len(targets):
            break
    draft.refused = without_circles(draft.refused, draft.artifacts, FILES)
    if not draft.artifacts and not any(isinstance(each, Derived) for each in draft.refused.values()):
        raise _first(draft.refused, targets)
    return draft


def _attempt(
    attempt: Attempt,
    targets: Sequence[str],
    folder: Path,
    draft: Draft,
    options: Options,
    report: Progress,
) -> None:
    """Every target that this contract can be lowered to and proved on, added to the draft."""
    try:
        captured = capture_attempt(attempt)
    except ConversionError as error:
        draft.refused.update({name: draft.refused.get(name, error) for name in targets})
        return
    except UsageError:
        raise
    except Exception as error:
        defect = _defect(error)
        draft.refused.update({name: draft.refused.get(name, defect) for name in targets})
        return
    for count, target in enumerate(targets):
        report(f"convert to {target}", count + 1, len(targets) + 1)
        try:
            path, note, proof = _lower(captured, target, folder, attempt, options)
        except ConversionError as error:
            if isinstance(error, Derived):
                draft.refused[target] = error  # this attempt would do with fewer tensors compressed
            else:
                draft.refused.setdefault(target, error)
            continue
        draft.artifacts[target], draft.parity[target] = path, proof.parity
        draft.far[target] = proof.far_summary()
        before = draft.refused.pop(target, None)
        draft.attempt = draft.attempt or attempt
        draft.captured = draft.captured or captured
        draft.rewrites.update({(each.name, each.where): each for each in captured.rewrites})
        said = f"{attempt.note}: {before}" if attempt.note and before else attempt.note
        extra = [f"{target}: {text}" for text in (note, said, proof.note) if text]
        draft.notes += [*extra, *(f"assumed: {each}" for each in captured.assumptions)]


def _lower(
    captured: Capture, target: str, folder: Path, attempt: Attempt, options: Options
) -> tuple[Path, str, Proof]:
    """The path of a proved artifact, how it was made, and the proof; raises what went wrong first.

    The artifact stands in a folder of its own with every file that it refers to.
    """
    errors: list[ConversionError] = []
    for note, write in _ways(captured, target, options).items():
        path = folder / f"{target}-{len(errors)}" / FILES[target]
        remove(path.parent)
        path.parent.mkdir()
        try:
            write(path)
            return path, note, prove(path, attempt, target, options.precision, captured.assumptions)
        except ConversionError as error:
            errors.append(error)
        except Exception as error:
            errors.append(_defect(error))
    raise errors[0]


def _defect(error: Exception) -> Refused:
    """A refusal for what should not have happened; its cause is kept for `--debug`."""
    line = (str(error).strip().splitlines() or [""])[0]
    refused = Refused(
        op="pocketrec",
        where="",
        reason=f"{type(error).__name__}: {line}",
        remedy="a defect in pocketrec: report it with this module",
    )
    refused.__cause__ = error
    return refused


def _ways(captured: Capture, target: str, options: Options) -> dict[str, Callable[[Path], object]]:
    """The ways to lower to a target, best first, by what to say of them."""
    from pocketrec.convert.capture.export import asks_numbers
    from pocketrec.convert.coreml.lower import to_coreml
    from pocketrec.convert.onnx.lower import to_onnx

    if target == "onnx":
        return {"": lambda path: to_onnx(captured, path, tensors=options.codes)}
    flexible = tuple(name for name, dim in captured.contract.dims.items() if dim.min < dim.max)

    def by(frontend: str) -> Callable[[Path], object]:
        return lambda path: to_coreml(
            captured,
            path,
            precision=options.precision,
            minimum_deployment_target=options.minimum_deployment_target,
            flexible=flexible,
            tensors=options.codes,
            frontend=frontend,
        )

    ways = {"": by("export"), "lowered from a trace": by("trace")}
    if asks_numbers(captured.program):
        ways.pop("lowered from a trace")  # it would hold the example's numbers for every input
    return ways


def _first(refused: Mapping[str, ConversionError], targets: Sequence[str]) -> ConversionError:
    error = refused[targets[0]]
    return (
        error if isinstance(error, Refused) else Refused(op="convert", where="", reason=str(error), remedy="")
    )


def remove(path: Path) -> None:
    """Nothing; no file and no folder is at `path`."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
