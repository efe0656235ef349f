"""Codes, scales and codebooks tuned together so that the model's outputs follow those it had: distillation.

    teacher   the module as it was, on inputs of its own data; labels are not looked at
    student   the same module with what the codes stand for, `trainable` in place of each tensor

    lists     KL(softmax of the teacher's scores ‖ softmax of the student's): the head of a list counts most
    others    squared error as a share of the output's own variance

Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network", arXiv 1503.02531; end to end
for codebooks as in Egiazarian et al. (2024), "Extreme compression of large language models via additive
quantization", arXiv 2401.06118. A share of the inputs is held out. Where they gain nothing, the best state is
gone back to and steps are shorter, until they are too short to move a code; what is kept is the best state,
and the one that it began with where none is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pocketrec.quantize.reference import compressible, to_array
from pocketrec.quantize.tensor import QuantizedTensor
from pocketrec.quantize.trainable import Trainable, trainable

Batch = tuple[Tensor, ...]
_EVERY = 50  # steps between two looks at what was held out
# Steps as shares of the size of what they move: the first, the factor after each look without gain, the last.
_RATE, _SHORTER, _LEAST_RATE = 0.008, 0.3, 0.0002
_BETAS = (0.9, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One function of the module, and inputs of it.

    Attributes:
        function: the function as a module, whose parameters and buffers are the compressed module's.
        prefix: what stands before the module's own names in it.
        batches: inputs, each in the function's order.
        held_out: inputs that nothing is trained on.
        lists: of every output, whether it scores items that are ranked.
    """

    function: nn.Module
    prefix: str
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
) -> Distilled:
    """The codes of the named tensors, tuned on the lessons.

    Args:
        module: as it was, in eval mode; it is not changed.
        codes: of every tensor that is compressed, by name; those not named stay as they are.
        names: of the tensors to tune.
        lessons: what the outputs are compared on; their functions call `module`.
        steps: the most that are taken.
        progress: told the number of the step.

    Raises:
        RuntimeError: no output's gradient reaches any of the tensors.
    """
    tensors = compressible(module)
    student = {name: trainable(codes[name], to_array(tensors[name])) for name in names}
    fixed = {name: torch.from_numpy(each.dequantize()) for name, each in codes.items() if name not in names}
    school = _School(module=module, student=student, fixed=fixed, lessons=lessons).reaching()
    if not school.lessons:
        raise RuntimeError(f"none reaches {', '.join(names[:3])}")
    before = best = school.measure()
    state, kept = school.state(), {name: codes[name] for name in names}
    rate, gained, turns = _RATE, 0, school.turns(steps)
    optimizer = school.optimizer(rate)
    for step, (lesson, batch) in enumerate(turns, start=1):
        school.learn(lesson, batch)
        optimizer.step()
        progress(step)
        if step % _EVERY and step < steps:
            continue
        now = school.measure()
        if now < best:
            best, gained = now, step
            state, kept = school.state(), {name: each.stored() for name, each in student.items()}
            continue
        rate *= _SHORTER
        if rate < _LEAST_RATE:
            break
        school.restore(state)
        optimizer = school.optimizer(rate)
    return Distilled(codes=kept, before=before, after=best, steps=gained)


@dataclass(frozen=True, slots=True, kw_only=True)
class _School:
    """Teacher and student on the same inputs."""

    module: nn.Module
    student: Mapping[str, Trainable]
    fixed: Mapping[str, Tensor]
    lessons: Sequence[Lesson]

    def reaching(self) -> _School:
        """The same with the lessons alone whose outputs what is trained moves."""
        found = [each for each in self.lessons if self.loss(each, each.batches[0]).requires_grad]
        return replace(self, lessons=found)

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        """Adam with steps of `rate` of what they move."""
        groups = [group for each in self.student.values() for group in each.groups(rate)]
        return torch.optim.Adam(groups, betas=_BETAS)

    def state(self) -> list[Mapping[str, Tensor]]:
        """A copy of what is trained."""
        return [
            {name: each.clone() for name, each in one.state_dict().items()} for one in self.student.values()
        ]

    def restore(self, state: Sequence[Mapping[str, Tensor]]) -> None:
        """Puts a copy back."""
        for one, known in zip(self.student.values(), state, strict=True):
            one.load_state_dict(known)

    def turns(self, steps: int) -> Iterator[tuple[Lesson, Batch]]:
        """A lesson and a batch for every step, the functions in turns, their batches in rounds."""
        for step in range(steps):
            lesson = self.lessons[step % len(self.lessons)]
            yield lesson, lesson.batches[step // len(self.lessons) % len(lesson.batches)]

    def learn(self, lesson: Lesson, batch: Batch) -> None:
        """Gives what is trained the gradients of how far the student's outputs are; the module gets none."""
        trained = [one for each in self.student.values() for one in each.parameters() if one.requires_grad]
        found = torch.autograd.grad(self.loss(lesson, batch), trained, allow_unused=True)
        for one, gradient in zip(trained, found, strict=True):
            # A root has no finite gradient at zero: what that reaches stays where it is.
            one.grad = None if gradient is None else gradient.nan_to_num(0.0, 0.0, 0.0)

    @torch.no_grad()
    def measure(self) -> float:
        """The mean loss on what was held out; infinite where an output is no number that was one."""
        losses = [self.loss(lesson, batch) for lesson in self.lessons for batch in lesson.held_out]
        mean = float(torch.stack(losses).mean())
        return mean if math.isfinite(mean) else math.inf

    def loss(self, lesson: Lesson, batch: Batch) -> Tensor:
        """How far the student's outputs are from the teacher's, `[]`."""
        with torch.no_grad():
            expected = lesson.function(*batch)
        values = {**self.fixed, **{name: each() for name, each in self.student.items()}}
        given = {f"{lesson.prefix}{name}": each for name, each in self._everywhere(values).items()}
        outputs = functional_call(lesson.function, given, batch, tie_weights=False)
        total = torch.zeros(())
        for wanted, found, is_list in zip(expected, outputs, lesson.lists, strict=True):
            if found.is_floating_point():
                total = total + (_divergence if is_list else _error)(wanted, found)
        return total

    def _everywhere(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The values under every name that the module has for their tensor, in its shape and dtype."""
        tensors = compressible(self.module)
        places = {(tensors[name].data_ptr(), tensors[name].shape): name for name in values}
        named = (
            *self.module.named_parameters(remove_duplicate=False),
            *self.module.named_buffers(remove_duplicate=False),
        )
        found = {}
        for name, tensor in named:
            known = places.get((tensor.data_ptr(), tensor.shape))
            if known is not None:
                found[name] = values[known].reshape(tensor.shape).to(tensor.dtype)
        return found


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
