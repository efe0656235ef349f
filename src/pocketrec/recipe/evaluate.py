"""The table `evaluate`, or the list of such tables: on what the ranking is compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from pocketrec.contract import Signature
from pocketrec.errors import PocketrecError, RecipeError
from pocketrec.recipe.measures import METRICS, PLACED, Metric, Slice, check_measures

_MOST_K = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """On what the ranking is compared; a model of several heads has one for each.

    Attributes:
        name: by which gates and reports say which of several it is; the output's where it is empty.
        data: a factory that returns evaluation data of the kind, or Parquet or Arrow files by a
            path that may have `*` in it.
        kind: `ranking` or `classification`.
        function: the function that is evaluated.
        output: its output: scores over the catalogue, an embedding, top-k ids, or a probability.
        catalogue_function: the item-side function, where `output` is a user embedding.
        catalogue_output: its output.
        catalogue: a file of the item-side function's inputs, one row per id, where `data` are files.
        k: length of the compared lists, or several.
        label: of labels in files: the column that holds them, by default `label`.
        metrics: beside `hr` and `ndcg`, of `mrr`, `recall` and `map`; of labels, beside `auc` and `log_loss`,
            of `gauc`, `ece` and `adaptive_ece`.
        user: labels only: the column or input that says whose row it is; `gauc` needs it.
        slices: examples that are looked at apart, by the name of the division.
        arguments: keyword arguments for the data factory.
    """

    name: str = ""
    data: str
    kind: Literal["ranking", "classification"]
    function: str = "main"
    output: str
    catalogue_function: str | None = None
    catalogue_output: str | None = None
    catalogue: str | None = None
    k: int | tuple[int, ...] = 10
    label: str | None = None
    metrics: tuple[Metric, ...] = ()
    user: str | None = None
    slices: Mapping[str, Slice] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_lengths()
        check_measures(self.kind, self.metrics, self.slices, self.user)
        if (self.catalogue_function is None) != (self.catalogue_output is None):
            raise RecipeError("evaluate: catalogue_function and catalogue_output go together; give both")
        if self.catalogue is not None and (self.catalogue_function is None or not self.in_files):
            raise RecipeError(
                f"evaluate.catalogue is {self.catalogue!r}; it goes with catalogue_function and with data "
                "in files; a factory brings its own"
            )
        if self.label is not None and (self.kind != "classification" or not self.in_files):
            raise RecipeError(
                f"evaluate.label is {self.label!r}; it names a column of labels in files, and goes with kind "
                "'classification'; a factory takes arguments"
            )
        if self.name and (":" in self.name or not self.name.strip() or not self.name.isprintable()):
            raise RecipeError(f"evaluate.name is {self.name!r}; expected letters without ':'")

    def _check_lengths(self) -> None:
        wrong = [each for each in self.ks if not 1 <= each <= _MOST_K]
        if wrong:
            raise RecipeError(f"evaluate.k is {wrong[0]}; expected 1 to {_MOST_K}")
        if not self.ks or len(set(self.ks)) != len(self.ks):
            raise RecipeError(f"evaluate.k is {list(self.ks)}; expected one length or several that differ")

    @property
    def called(self) -> str:
        """Its name, or its output's."""
        return self.name or self.output

    @property
    def ks(self) -> tuple[int, ...]:
        """The lengths of the compared lists."""
        return (self.k,) if isinstance(self.k, int) else self.k

    @property
    def longest(self) -> int:
        """The largest of the lengths."""
        return max(self.ks)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics, first those that gates are on."""
        return tuple(dict.fromkeys((*METRICS[self.kind][:2], *self.metrics)))

    @property
    def columns(self) -> tuple[str, ...]:
        """What is read of the data beside inputs and what is judged."""
        named = [each.by for each in self.slices.values() if each.by not in PLACED]
        return tuple(dict.fromkeys([*named, *([] if self.user is None else [self.user])]))

    @property
    def in_files(self) -> bool:
        """Whether the data are files, not a factory."""
        return self.data.endswith((".parquet", ".arrow", ".feather"))


def check_names(evaluations: Sequence[Evaluate]) -> None:
    """Checks that there is an evaluation, and that each of several has a name of its own."""
    if not evaluations:
        raise RecipeError("evaluate is empty; add [evaluate]")
    names = [each.called for each in evaluations]
    twice = [each for each in names if names.count(each) > 1]
    if twice:
        raise RecipeError(f"evaluate: two are called {twice[0]!r}; give each a name of its own")


@contextmanager
def of_evaluation(name: str) -> Iterator[None]:
    """While it lasts, errors say which of several evaluations they are of; nothing where there is but one."""
    try:
        yield
    except PocketrecError as error:
        if name:
            error.args = (f"evaluate {name!r}: {error}",)
        raise


def check_evaluate(evaluate: Evaluate, functions: Mapping[str, Signature]) -> None:
    """Checks that what is evaluated is an output of a function; RecipeError names those that there are."""
    pairs = [("function", evaluate.function, evaluate.output)]
    if evaluate.catalogue_function is not None:
        pairs.append(("catalogue_function", evaluate.catalogue_function, evaluate.catalogue_output or ""))
    for key, function, output in pairs:
        signature = functions.get(function)
        if signature is None:
            known = ", ".join(functions)
            raise RecipeError(f"evaluate.{key} is {function!r}; expected one of {known}")
        outputs = [each.name for each in signature.outputs]
        if output not in outputs:
            raise RecipeError(
                f"evaluate: output {output!r} of function {function!r}; expected one of {', '.join(outputs)}"
            )
