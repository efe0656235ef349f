"""What travels: a module with its contract, and the ways to try it, wherever they come from.

a recipe ──▶ loaded ┐
an example ─────────┴▶ Trials ──▶ the one road (pipeline/road.py)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.about import About
from pocketrec.contract import Contract, VocabularyFiles
from pocketrec.evaluation import Arrays, Asked, FarProbes, Probe
from pocketrec.recipe import Stress

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.source.checkpoint import Span
    from pocketrec.source.streamed import Stubbed


def as_it_is(module: nn.Module) -> nn.Module:
    """The module itself."""
    return module


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A module with its contract.

    Attributes:
        contract: with the vocabularies' sizes.
        core: what is captured and lowered, stubs in place of tables that are not held.
        module: what is evaluated; large tables in it are mapped from `spans`.
        vocabularies: the files of each, by name.
        spans: where the values of each stub lie, float32, by the table's name.
        behind: makes of a module under the user's names one that the contract can be put around; most are.
    """

    contract: Contract
    core: Stubbed
    module: nn.Module
    vocabularies: Mapping[str, VocabularyFiles] = field(default_factory=dict)
    spans: Mapping[str, Span] = field(default_factory=dict)
    behind: Callable[[nn.Module], nn.Module] = as_it_is

    @property
    def lowered(self) -> nn.Module:
        """The module that is captured."""
        return self.core.lowered


def model_of(
    core: Stubbed,
    contract: Contract,
    spans: Mapping[str, Span],
    vocabularies: Mapping[str, VocabularyFiles] | None = None,
) -> Model:
    """The model whose large tables are mapped from `spans`."""
    from pocketrec.source.mapped import mapped_module

    return Model(
        contract=contract,
        core=core,
        module=mapped_module(core.lowered, spans) if core.tables else core.lowered,
        vocabularies=vocabularies or {},
        spans=spans,
    )


def table_spans(core: Stubbed, values: Path | None) -> dict[str, Span]:
    """Where the values of its tables lie, by name; what has to be written goes to `values`.

    Raises:
        TableError: a number is not finite.
        StorageError: there is no room in `values`.
    """
    from pocketrec.source.mapped import value_spans

    return {name: each.span for name, each in value_spans(core.tables, values).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One way to try a model.

    Attributes:
        model: as it is shipped.
        captured: the contract that it is captured with: the model's own, or that with a fixed batch.
        probes: by function; empty where they are made from contract and evaluation data.
        expected: what the model gives for each probe, by function.
        far: probes that leave the example, by function, on which artifacts are compared only.
        fresh: gives copies of the module that have never run, to tell whether it keeps state between calls.
        note: what is to be said where this is the trial that was needed.
    """

    model: Model
    captured: Contract
    probes: Mapping[str, tuple[Probe, ...]] = field(default_factory=dict)
    expected: Mapping[str, tuple[Arrays, ...]] = field(default_factory=dict)
    far: Mapping[str, FarProbes] = field(default_factory=dict)
    fresh: Callable[[], nn.Module] | None = None
    note: str = ""


def never_run(model: Model) -> Callable[[], nn.Module]:
    """Gives copies of the model's module as it is now; they share its tensors."""
    from pocketrec.source.streamed import with_tensors

    kept = with_tensors(model.module, {})
    return lambda: with_tensors(kept, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """A source: the user's module, and the ways to try it in order; the later ones only where they must.

    Attributes:
        core: the module under the user's names, which is what is compressed.
        spans: where the values of its tables lie.
        make: the trials of a core and its spans.
        asked: what is measured, on which evaluation data; nothing where there is only an example.
        seed: of the probes that are made.
        about: what artifacts say of the model to people.
        stress: what artifacts are asked beside probes and evaluation data; None asks nothing.
    """

    core: Stubbed
    spans: Mapping[str, Span]
    make: Callable[[Stubbed, Mapping[str, Span]], Iterator[Trial]]
    asked: tuple[Asked, ...] = ()
    seed: int = 0
    about: About = field(default_factory=About)
    stress: Stress | None = None

    def __iter__(self) -> Iterator[Trial]:
        return self.make(self.core, self.spans)

    def noting(self, notes: Sequence[str]) -> Trials:
        """The same, with more to be said of how the model was loaded."""
        return replace(self, make=partial(_noted, self.make, tuple(notes))) if notes else self

    def of(self, core: Stubbed, spans: Mapping[str, Span]) -> Trials:
        """The same ways for other values of the module."""
        return replace(self, core=core, spans=spans)


def _noted(
    make: Callable[[Stubbed, Mapping[str, Span]], Iterator[Trial]],
    notes: tuple[str, ...],
    core: Stubbed,
    spans: Mapping[str, Span],
) -> Iterator[Trial]:
    for each in make(core, spans):
        noted = replace(each.model.core, notes=(*each.model.core.notes, *notes))
        yield replace(each, model=replace(each.model, core=noted))
