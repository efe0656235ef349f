"""Runs a plan step by step: rounds every result, forgets what is no longer used."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pocketrec.validate.coreml_program.constants import Folded
from pocketrec.validate.coreml_program.plan import FAULTS, Schedule, Step
from pocketrec.validate.coreml_program.values import ValueType

Observer = Callable[[Step, tuple[Any, ...], int], None]


@dataclass(slots=True)
class OpContext:
    """What a kernel may ask for beyond its inputs."""

    step: Step
    run: Execution

    @property
    def op_type(self) -> str:
        """The op's type."""
        return self.step.operation.type

    @property
    def name(self) -> str:
        """The op's name."""
        return self.step.operation.name

    @property
    def output_types(self) -> tuple[ValueType, ...]:
        """The declared types of the op's outputs."""
        return tuple(each for _, each in self.step.operation.outputs)

    @property
    def accumulation(self) -> str:
        """`float32`, or `float16` in the stress mode."""
        return self.run.accumulation

    @property
    def rng(self) -> np.random.Generator:
        """The run's generator."""
        return self.run.rng

    @property
    def blocks(self) -> int:
        """How many nested blocks the op has."""
        return len(self.step.blocks)

    def run_block(self, index: int, args: Sequence[Any]) -> tuple[Any, ...]:
        """What nested block `index` gives for these arguments."""
        plan = self.step.blocks[index]
        self.run.values.update(zip(plan.inputs, args, strict=True))
        return self.run.block(plan)


@dataclass(kw_only=True)
class Execution:
    """One execution: values by name, and who watches."""

    values: dict[str, Any]
    constants: Mapping[str, Folded]
    accumulation: str
    observer: Observer | None = None
    keep: bool = False

    @cached_property
    def rng(self) -> np.random.Generator:
        """The run's generator, the same numbers in every run."""
        return np.random.default_rng(0)

    def block(self, plan: Schedule) -> tuple[Any, ...]:
        """The block's outputs."""
        values = self.values
        for step in plan.steps:
            begin = time.perf_counter_ns() if self.observer else 0
            results = self.step(step)
            if self.observer:
                self.observer(step, results, time.perf_counter_ns() - begin)
            for (name, _), value in zip(step.operation.outputs, results, strict=True):
                values[name] = value
            if not self.keep:
                for name in step.forget:
                    values.pop(name, None)
        return tuple(values[each] if each in values else self.constants[each].wide() for each in plan.outputs)

    def step(self, step: Step) -> tuple[Any, ...]:
        """The op's results, each of its declared type."""
        try:
            arguments = step.arguments(self.values)
            if step.wants_context:
                arguments["op"] = OpContext(step, self)
            return step.settled(step.kernel(**arguments))
        except FAULTS as error:
            raise step.fault(error) from error
