"""Codes, scales and codebooks tuned together so that the model's outputs follow those it had: distillation.

    teacher   the module as it was, on inputs of its own data; labels are not looked at
    student   the same module with what the codes stand for, `trainable` in place of each tensor

    lists     KL(softmax of the teacher's scores ‖ softmax of the student's): the head of a list counts most
    others    squared error as a share of the output's own variance

Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network", arXiv 1503.02531; end to end
for codebooks as in Egiazarian et al. (2024), "Extreme compression of large language models via additive
quantization", arXiv 2401.06118. A share of the inputs is held out. Where they gain nothing, the best state is
gone back to and steps are shorter, until they are too short to move a code; what is kept is the best state,
and the one that it began with where none is better. After every look its `Course` is told, and one that was
told goes on to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import torch
from torch import Tensor, nn

from pocketrec.quantize.copies import copied
from pocketrec.quantize.course import EVERY, MOMENTS, SHORTER, Course
from pocketrec.quantize.reference import compressible, stand_ins, to_array
from pocketrec.quantize.tensor import QuantizedTensor
from pocketrec.quantize.trainable import Trainable, trainable

Batch = tuple[Tensor, ...]
_BETAS = (0.9, 0.99)
_NO_MEMORY = ("can't allocate memory", "out of memory")  # PyTorch's words, of the CPU a RuntimeError


class Untaught(Exception):
    """The module fails on a lesson; `__cause__` is its own exception."""


class NoGradients(Untaught):
    """The module runs, and what is to be tuned has no gradients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One function of the module, and inputs of it.

    Attributes:
        function: the function as a module, which calls the compressed module.
        batches: inputs, each in the function's order.
        held_out: inputs that nothing is trained on.
        lists: of every output, whether it scores items that are ranked.
    """

    function: nn.Module
    batches: Sequence[Batch]
    held_out: Sequence[Batch]
    lists: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """What distillation came to.

    Attributes:
        codes: by tensor name, of the tensors that were tuned.
        before: the loss on what was held out, with the codes that it began with.
        after: the same with `codes`.
        steps: how many were taken until then.
    """

    codes: Mapping[str, QuantizedTensor]
    before: float
    after: float
    steps: int


def distil(
    module: nn.Module,
    codes: Mapping[str, QuantizedTensor],
    names: Sequence[str],
    lessons: Sequence[Lesson],
    *,
    steps: int,
    progress: Callable[[int], None] = lambda _: None,
    begun: Course | None = None,
    keep: Callable[[Course], None] = lambda _: None,
) -> Distilled:
    """The codes of the named tensors, tuned on the lessons.

    Args:
        module: as it was, in eval mode; it is not changed.
        codes: of every tensor that is compressed, by name; those not named stay as they are.
        names: of the tensors to tune.
        lessons: what the outputs are compared on; their functions call `module`.
        steps: the most that are taken.
        progress: told the number of the step.
        begun: what an earlier call with the same arguments told `keep`; one that cannot be that is left out.
        keep: told after every look how far it came.

    Raises:
        NoGradients: no output's gradient reaches any of the tensors, or the module has none.
        Untaught: the module fails for another reason.
    """
    tensors = compressible(module)
    student = {name: trainable(codes[name], to_array(tensors[name])) for name in names}
    course = begun if begun is not None and begun.fits(_trained(student), steps) else None
    if course is None or not course.ended(steps):
        course = _taught(_school(module, codes, student, lessons), course, steps, progress, keep)
    _restore(student, course)
    tuned = {name: each.stored() if course.gained else codes[name] for name, each in student.items()}
    return Distilled(codes=tuned, before=course.before, after=course.best, steps=course.gained)


def _taught(
    school: _School,
    begun: Course | None,
    steps: int,
    progress: Callable[[int], None],
    keep: Callable[[Course], None],
) -> Course:
    """How far it came at its end."""
    if begun is None:
        loss = school.measure()
        begun = Course(before=loss, best=loss, state=_state(school.student))
    course = begun
    _restore(school.student, course)
    optimizer = _optimizer(school.student, course)
    for step in range(course.step + 1, steps + 1):
        school.learn(step)
        optimizer.step()
        progress(step)
        if step % EVERY and step < steps:
            continue
        course = _looked(school, course, step, optimizer)
        if course.ended(steps):
            course = replace(course, moments={}, lengths={})
        keep(course)
        if course.ended(steps):
            break
        if not course.moments:
            _restore(school.student, course)
            optimizer = _optimizer(school.student, course)
    return course


def _looked(school: _School, course: Course, step: int, optimizer: torch.optim.Optimizer) -> Course:
    """The course after a look at what was held out."""
    now = school.measure()
    if now >= course.best:
        return replace(course, step=step, rate=course.rate * SHORTER, moments={}, lengths={})
    trained = _trained(school.student)
    moments = {
        name: {kind: optimizer.state[each][kind].clone() for kind in MOMENTS}
        for name, each in trained.items()
        if each in optimizer.state
    }
    lengths = {name: each["lr"] for name, each in zip(trained, optimizer.param_groups, strict=True)}
    state = _state(school.student)
    return replace(course, best=now, step=step, gained=step, state=state, moments=moments, lengths=lengths)


def _trained(student: Mapping[str, Trainable]) -> dict[str, nn.Parameter]:
    """What is trained, by names that tell the tensor, too; in the order of the optimizer's groups."""
    return {
        f"{name}/{part}": each
        for name, one in student.items()
        for part, each in one.named_parameters()
        if each.requires_grad
    }


def _state(student: Mapping[str, Trainable]) -> dict[str, Tensor]:
    """A copy of what is trained."""
    return {name: each.detach().clone() for name, each in _trained(student).items()}


@torch.no_grad()
def _restore(student: Mapping[str, Trainable], course: Course) -> None:
    """Puts the course's state back."""
    for name, each in _trained(student).items():
        each.copy_(course.state[name])


def _optimizer(student: Mapping[str, Trainable], course: Course) -> torch.optim.Optimizer:
    """Adam as the course left it, or fresh with steps of its rate of what they move."""
    groups = [group for each in student.values() for group in each.groups(course.rate)]
    optimizer = torch.optim.Adam(groups, betas=_BETAS)
    for (name, each), group in zip(_trained(student).items(), optimizer.param_groups, strict=True):
        group["lr"] = course.lengths.get(name, group["lr"])
        if name in course.moments:
            optimizer.state[each] = {kind: known.clone() for kind, known in course.moments[name].items()}
    return optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """A lesson, and its function as the student calls it."""

    lesson: Lesson
    function: nn.Module


@dataclass(frozen=True, slots=True, kw_only=True)
class _School:
    """Teacher and student on the same inputs.

    Attributes:
        student: what is trained.
        leaves: by tensor name, what stands in the student's module for what that means.
        desks: lessons.
    """

    student: Mapping[str, Trainable]
    leaves: Mapping[str, Tensor]
    desks: Sequence[_Desk]

    def reaching(self) -> _School:
        """The same with the lessons alone whose outputs what is trained moves; NoGradients without any."""
        self._write({name: each() for name, each in self.student.items()})
        found = []
        for each in self.desks:
            batch = each.lesson.batches[0]
            try:
                reached = _loss(each, batch).requires_grad
            except Exception as error:  # a module of anyone's
                _tell(error, each, batch)
            if reached:
                found.append(each)
        if not found:
            raise NoGradients(f"none reaches {', '.join([*self.student][:3])}")
        return replace(self, desks=found)

    def learn(self, step: int) -> None:
        """Gives what is trained the gradients of how far the student's outputs are; the module gets none.

        Functions have their turns, and their batches rounds.
        """
        desk = self.desks[(step - 1) % len(self.desks)]
        batches = desk.lesson.batches
        batch = batches[(step - 1) // len(self.desks) % len(batches)]
        values = {name: each() for name, each in self.student.items()}
        self._write(values)
        try:
            loss = _loss(desk, batch)
            reached = torch.autograd.grad(loss, list(self.leaves.values()), allow_unused=True)
        except Exception as error:  # a module of anyone's
            _tell(error, desk, batch)
        moved = [(values[name], each) for name, each in zip(values, reached, strict=True) if each is not None]
        trained = _trained(self.student).values()
        found = torch.autograd.grad(
            [value for value, _ in moved],
            list(trained),
            [gradient.reshape(value.shape).to(value.dtype) for value, gradient in moved],
            allow_unused=True,
        )
        for one, gradient in zip(trained, found, strict=True):
            # A root has no finite gradient at zero: what that reaches stays where it is.
            one.grad = None if gradient is None else gradient.nan_to_num(0.0, 0.0, 0.0)

    @torch.no_grad()
    def measure(self) -> float:
        """The mean loss on what was held out; infinite where an output is no number that was one."""
        self._write({name: each() for name, each in self.student.items()})
        losses = []
        for desk in self.desks:
            for batch in desk.lesson.held_out:
                try:
                    losses.append(_loss(desk, batch))
                except Exception as error:  # a module of anyone's
                    raise Untaught(_line(error)) from error
        mean = float(torch.stack(losses).mean())
        return mean if math.isfinite(mean) else math.inf

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        for name, each in self.leaves.items():
            each.copy_(values[name].reshape(each.shape))


def _school(
    module: nn.Module,
    codes: Mapping[str, QuantizedTensor],
    student: Mapping[str, Trainable],
    lessons: Sequence[Lesson],
) -> _School:
    """The lessons, and copies of their functions, whose module is compressed as the reference is."""
    tensors = compressible(module)
    held = stand_ins(module, {name: torch.from_numpy(each.dequantize()) for name, each in codes.items()})
    functions = copied(nn.ModuleList(each.function for each in lessons), held)
    leaves = {name: held[id(tensors[name])].requires_grad_() for name in student}
    desks = [_Desk(lesson=one, function=each) for one, each in zip(lessons, functions, strict=True)]
    return _School(student=student, leaves=leaves, desks=desks).reaching()


def _loss(desk: _Desk, batch: Batch) -> Tensor:
    """How far the student's outputs are from the teacher's, `[]`."""
    with torch.no_grad():
        expected = desk.lesson.function(*batch)
    total = torch.zeros(())
    for wanted, found, is_list in zip(expected, desk.function(*batch), desk.lesson.lists, strict=True):
        if found.is_floating_point():
            total = total + (_divergence if is_list else _error)(wanted, found)
    return total


def _tell(error: Exception, desk: _Desk, batch: Batch) -> NoReturn:
    """Raises NoGradients where the same runs without gradients, and not for want of memory; else Untaught."""
    kind = Untaught
    if not isinstance(error, MemoryError) and not any(each in str(error).lower() for each in _NO_MEMORY):
        try:
            with torch.no_grad():
                _loss(desk, batch)
            kind = NoGradients
        except Exception:
            kind = Untaught  # it fails all the same
    raise kind(_line(error)) from error


def _line(error: Exception) -> str:
    """The first line of what an exception says, or its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _divergence(wanted: Tensor, found: Tensor) -> Tensor:
    """KL of the softmax over the last axis, the mean over all others; what is forbidden has no part in it."""
    real = torch.isfinite(wanted)
    low = torch.finfo(wanted.dtype).min
    teacher = wanted.masked_fill(~real, low).log_softmax(dim=-1)
    student = found.masked_fill(~real, low).log_softmax(dim=-1)
    return (teacher.exp() * (teacher - student)).masked_fill(~real, 0.0).sum(dim=-1).mean()


def _error(wanted: Tensor, found: Tensor) -> Tensor:
    """The mean squared error as a share of the variance of what is wanted."""
    real = torch.isfinite(wanted)
    wanted, found = wanted[real], found[real]
    if wanted.numel() < 2:
        return torch.zeros(())
    return (found - wanted).square().mean() / wanted.var().clamp(min=torch.finfo(wanted.dtype).tiny)
