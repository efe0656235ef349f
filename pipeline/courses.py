"""Files that remember how far a distillation came, so that one that was cut short goes on.

    key of the work ─▶ <key>.course: digest, a line of JSON, safetensors ─▶ the same bits

A key is the digest of all that decides the codes, the module's own outputs among it, so another model's file
is never taken; nor is one that was cut or edited. What was a distillation's end is its answer the next time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from inspect import getfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketrec.contract import Contract
from pocketrec.errors import PocketrecError, StorageError
from pocketrec.files import remove_left
from pocketrec.kept import PARTIAL, arrays_sha256, key_of, path_sha256, read_checked, write_checked
from pocketrec.outside import exists
from pocketrec.pipeline.identity import module_sha256
from pocketrec.schema import from_table

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pocketrec.quantize import QuantizedTensor
    from pocketrec.quantize.course import Course
    from pocketrec.quantize.distillation import Lesson

_SUFFIX = ".course"
_KEPT = 4  # files in a folder, the latest; one holds up to three times what is trained


def course_key(
    module: nn.Module,
    codes: Mapping[str, QuantizedTensor],
    names: Sequence[str],
    lessons: Sequence[Lesson],
    *,
    contract: Contract,
    steps: int,
) -> str | None:
    """The digest of all that decides the tuned codes; None where the module's is not known, or it fails.

    Args:
        module: as it was.
        codes: that it begins with.
        names: of the tensors to tune.
        lessons: what they are tuned on.
        contract: of the module, behind which the lessons' functions lie.
        steps: the most that are taken.
    """
    from pocketrec.quantize import course, distillation, trainable
    from pocketrec.validate.measure.machine import this_machine, tool_versions

    known, machine = module_sha256(module), this_machine()
    if known is None:
        return None
    try:
        taught = [_lesson_key(each) for each in lessons]
    except Exception:  # a module of anyone's: distillation says what it is
        return None
    return key_of(
        module=known,
        contract=contract.sha256(),
        codes={name: _said(each) for name, each in codes.items()},
        names=list(names),
        lessons=taught,
        steps=steps,
        files=[path_sha256(Path(getfile(each))) for each in (course, distillation, trainable)],
        tools=tool_versions(),
        machine=[machine.system, machine.processor, machine.python],
    )


def _lesson_key(lesson: Lesson) -> str:
    """The digest of a lesson: its inputs, and what the teacher answers to the first that are held out."""
    import torch

    with torch.no_grad():
        answers = lesson.function(*lesson.held_out[0])
    return key_of(
        batches=[_batch_key(each) for each in lesson.batches],
        held_out=[_batch_key(each) for each in lesson.held_out],
        answers=_batch_key(answers),
        lists=list(lesson.lists),
    )


def _batch_key(batch: Sequence[Tensor]) -> str:
    return arrays_sha256({str(place): each.detach().cpu().numpy() for place, each in enumerate(batch)})


def _said(value: Any) -> Any:
    """A form, or what it is made of, as texts and lists of them, all of what it is."""
    if is_dataclass(value):
        return [type(value).__name__, *(_said(getattr(value, each.name)) for each in fields(value))]
    if isinstance(value, np.ndarray):
        return arrays_sha256({"": value})
    return [_said(each) for each in value] if isinstance(value, tuple) else repr(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseFile:
    """The file of one distillation in a folder, which need not be there.

    Attributes:
        folder: of all files.
        key: of the distillation, as `course_key` gives it.
    """

    folder: Path
    key: str

    def read(self) -> Course | None:
        """What `write` was given last; None where nothing is there, or not what was written."""
        body = read_checked(self._place)
        if body is None:
            return None
        head, _, data = bytes(body).partition(b"\n")
        try:
            return _joined(head, data)
        except (ValueError, RecursionError, KeyError, PocketrecError, _damages()):
            return None

    def write(self, course: Course) -> None:
        """Keeps how far it came, on disk before it returns; StorageError where that cannot be."""
        from safetensors.torch import save

        head = _Head(
            before=course.before,
            best=course.best,
            step=course.step,
            gained=course.gained,
            rate=course.rate,
            lengths=course.lengths,
        )
        tensors = {f"state {name}": each for name, each in course.state.items()}
        for name, moments in course.moments.items():
            tensors |= {f"{kind} {name}": each for kind, each in moments.items()}
        body = (
            json.dumps(asdict(head)).encode()
            + b"\n"
            + save({name: each.contiguous() for name, each in tensors.items()})
        )
        try:
            write_checked(self._place, body)
        except OSError as error:
            place = error.filename2 or error.filename or self._place
            raise StorageError(
                f"{place}: {error.strerror}; a distillation keeps how far it came in "
                f"{self.folder}: move what is in the way, or free space"
            ) from error
        self._tidy()

    @contextmanager
    def told(self) -> Iterator[None]:
        """While it lasts, an interrupt says where the distillation so far is, and what goes on with it."""
        try:
            yield
        except KeyboardInterrupt as signal:
            if exists(self._place):
                signal.add_note(
                    f"the distillation so far is kept in {self.folder}; the same command goes on from there"
                )
            raise

    @property
    def _place(self) -> Path:
        return self.folder / f"{self.key[:32]}{_SUFFIX}"

    def _tidy(self) -> None:
        """Removes the oldest files beyond those that are kept, and what a kill left half written."""
        with suppress(OSError):  # of another process, which was faster
            found = sorted(self.folder.glob(f"*{_SUFFIX}"), key=lambda each: each.stat().st_mtime)
            for each in found[:-_KEPT]:
                each.unlink(missing_ok=True)
        remove_left(self.folder, f"{PARTIAL}*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The first line of a file."""

    before: float
    best: float
    step: int
    gained: int
    rate: float
    lengths: Mapping[str, float]


def _joined(head: bytes, data: bytes) -> Course:
    """The course of a file's two parts; whether it fits is seen where it is gone on with."""
    from safetensors.torch import load

    from pocketrec.quantize.course import Course

    line = from_table(_Head, json.loads(head), source=_SUFFIX)
    state: dict[str, Tensor] = {}
    moments: dict[str, dict[str, Tensor]] = {}
    for said, tensor in load(data).items():
        kind, _, name = said.partition(" ")
        if kind == "state":
            state[name] = tensor
        else:
            moments.setdefault(name, {})[kind] = tensor
    return Course(
        before=line.before,
        best=line.best,
        step=line.step,
        gained=line.gained,
        rate=line.rate,
        lengths=line.lengths,
        state=state,
        moments=moments,
    )


def _damages() -> type[Exception]:
    """What is raised for bytes that are no safetensors."""
    from safetensors import SafetensorError

    return SafetensorError
