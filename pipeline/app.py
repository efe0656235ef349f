"""A bundle called in an app's words, on any of its targets: the reference of what generated packages do."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pocketrec.contract import Contract, Feature
from pocketrec.convert.targets import row_of_suffix
from pocketrec.errors import ArtifactError, CallError, ExecutionError, UsageError, meant
from pocketrec.package.bundle import Bundle, read_bundle, read_contract
from pocketrec.package.host.answers import Answer
from pocketrec.package.host.calls import Host, Run, States
from pocketrec.package.host.items import Items
from pocketrec.package.host.roles import Call, is_text
from pocketrec.package.vocabularies import vocabularies_of
from pocketrec.pipeline.agreement import check_carried, contract_sha256, units_of

if TYPE_CHECKING:
    from pocketrec.package.host.features import Array
    from pocketrec.validate.runtimes.runtime import Description, Runtime


def load(path: str | Path, *, target: str | None = None, runtime: str | None = None) -> Recommender:
    """The bundle at `path` as an app calls it: `load("build/sasrec").recommend(history=[...], k=10)`.

    Args:
        path: a bundle.
        target: whose artifacts run; by default the first that runs everywhere, of those that `runtime` loads.
        runtime: the engine; by default the first that the target has here.

    Raises:
        UsageError: there is no bundle, or no such target.
        ArtifactError: a file is damaged, or there is no artifact.
    """
    bundle = read_bundle(Path(path))
    contract = read_contract(bundle)
    return Recommender(bundle, contract, target_of(bundle, target, runtime), runtime)


def target_of(bundle: Bundle, target: str | None, runtime: str | None = None) -> str:
    """The target that is asked for, else the first that runs everywhere; UsageError names those there are.

    Where only a runtime is asked for, the target is one that it loads, if there is one.
    """
    known = sorted(name for name, functions in bundle.manifest.artifacts.items() if functions)
    if not known:
        raise ArtifactError(f"{bundle.path}: manifest.json has no artifacts; build the bundle again")
    if target is None:
        loaded = [each for each in known if runtime is not None and _loads(bundle, each, runtime)]
        return first_portable(bundle, loaded or known)
    if target not in known:
        raise UsageError(
            f"{target!r} is no target of {bundle.path}; expected one of {', '.join(known)}"
            f"{meant(target, known)}"
        )
    return str(target)


def _loads(bundle: Bundle, target: str, runtime: str) -> bool:
    """Whether the runtime is one of those that load the target's artifacts, here or elsewhere."""
    rows = (row_of_suffix(Path(path).suffix) for path in bundle.manifest.artifacts[target].values())
    return all(row is not None and runtime in row.runtimes for row in rows)


def first_portable(bundle: Bundle, names: Sequence[str]) -> str:
    """The first of some targets that runs everywhere, else the first of all."""
    artifacts = bundle.manifest.artifacts
    portable = (name for name in names if all(path.endswith(".onnx") for path in artifacts[name].values()))
    return next(portable, names[0])


class Recommender:
    """A bundle's functions as methods in an app's words.

    Each is called as its role, such as `recommend`; where several functions have one role, as the role and
    the function, such as `embed_user_tower`. `methods` lists them with their arguments.
    """

    def __init__(self, bundle: Bundle, contract: Contract, target: str, runtime: str | None = None) -> None:
        self._bundle, self._target, self._runtime = bundle, target, runtime
        self._open: dict[str, Runtime] = {}
        self._states: States | None = None
        self._host = host_of(contract, vocabularies_of(bundle, contract.vocabularies), self._run)

    @property
    def methods(self) -> dict[str, tuple[str, ...]]:
        """What can be called, with the names of its arguments."""
        return {name: call.names for name, call in self._host.calls.items()}

    @property
    def contract(self) -> Contract:
        """The bundle's contract."""
        return self._host.contract

    @property
    def vocabularies(self) -> Mapping[str, Items]:
        """The items of every vocabulary of the contract."""
        return self._host.vocabularies

    @property
    def target(self) -> str:
        """Whose artifacts run."""
        return self._target

    def engine(self, function: str) -> Description:
        """What executes a function."""
        return self._opened(function).describe()

    def call(self, method: str, arguments: Mapping[str, Any]) -> Answer:
        """The answer of a method; UsageError where there is none of that name."""
        self.check_method(method)
        return self._host.call(method, arguments, self._states)

    def call_many(self, method: str, calls: Sequence[Mapping[str, Any]]) -> list[Answer | CallError]:
        """What `call` gives or raises for each of many calls, run in batches; sessions have no part in it."""
        self.check_method(method)
        return self._host.call_many(method, calls)

    def check_method(self, method: str) -> Call:
        """The method of that name, as the contract shows it; UsageError where there is none."""
        if method not in self._host.calls:
            known = ", ".join(self._host.calls)
            raise UsageError(f"{method!r} is no method of {self._bundle.manifest.name}; expected {known}")
        return self._host.calls[method]

    def session(self) -> Recommender:
        """The same model, which hands the states of each call to the next; `reset` begins again."""
        made = Recommender.__new__(Recommender)
        made.__dict__.update(self.__dict__)
        made._states = {}
        return made

    def reset(self) -> None:
        """Puts a session's states back to zeros."""
        if self._states is not None:
            self._states.clear()

    def items(self, vocabulary: str) -> Items:
        """The items of a vocabulary, to look words up in; UsageError where there is none of that name."""
        if vocabulary not in self._host.vocabularies:
            known = ", ".join(self._host.vocabularies)
            raise UsageError(f"{vocabulary!r} is no vocabulary of the contract; expected {known}")
        return self._host.vocabularies[vocabulary]

    def takes_words(self, method: str, argument: str) -> bool:
        """Whether an argument of a method is words to look up, or text, and no number."""
        feature = self.feature(method, argument)
        return feature is not None and feature.is_id

    def feature(self, method: str, argument: str) -> Feature | None:
        """What an argument of a method holds, as the contract says it; None for options such as `k`."""
        call = self.check_method(method)
        named = call.arguments.get(argument)
        functions = (self.contract.functions[call.function], *self.contract.functions.values())
        return next((each for one in functions for each in one.inputs if each.name == named), None)

    def takes_text(self, method: str, argument: str) -> bool:
        """Whether an argument of a method is text, which is cut into tokens."""
        feature = self.feature(method, argument)
        return feature is not None and is_text(self.contract, feature)

    def text_argument(self, method: str) -> str:
        """The argument of a method that is text; UsageError where there is none."""
        for name in self.check_method(method).arguments:
            if self.takes_text(method, name):
                return name
        raise UsageError(f"{method} takes no text; expected a method that does")

    def knows(self, method: str, text: str) -> bool:
        """Whether any word of a text is known to the model, in pieces or whole."""
        call = self.check_method(method)
        feature = self.contract.functions[call.function].input(call.arguments[self.text_argument(method)])
        vocabulary = str(feature.vocabulary)
        tokenizer = self.contract.vocabularies[vocabulary].tokenizer
        assert tokenizer is not None  # what makes it text
        items = self._host.vocabularies[vocabulary]
        words = self._host.tokenize(text, tokenizer, items, len(text) + 2)[1:-1]
        return any(each != items.places[tokenizer.unknown] for each in words)

    def close(self) -> None:
        """Releases the artifacts; a second call does nothing."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> _Method:
        calls = self.__dict__["_host"].calls if "_host" in self.__dict__ else {}
        if name not in calls:
            raise AttributeError(f"{name!r} is no method of the bundle; it has {', '.join(calls)}")
        return _Method(self, calls[name])

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._host.calls]

    def _run(self, function: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return run_function(self._opened(function), self._host.contract, function, inputs)

    def _opened(self, function: str) -> Runtime:
        if function not in self._open:
            self._open[function] = open_checked(self._bundle, self._target, function, self._runtime)
        return self._open[function]


def open_checked(bundle: Bundle, target: str, function: str, runtime: str | None = None) -> Runtime:
    """A bundle's artifact, opened once its files and the contract that it carries are the bundle's.

    Raises:
        ArtifactError: a file is altered, or the artifact is of another contract.
        UsageError: there is no such target or function.
    """
    from pocketrec.pipeline.opening import open_artifact

    path = bundle.artifact(target, function)
    if row_of_suffix(path.suffix) is None:
        raise ArtifactError(f"{path.name}: no target's artifacts end so; pull the bundle again")
    _check_files(bundle, path)
    opened = open_artifact(path, runtime, compute_units=units_of(bundle, target), function=function)
    try:
        check_carried(opened, path, contract_sha256(bundle))
    except ArtifactError:
        opened.close()
        raise
    return opened


class _Method:
    """One method of a recommender."""

    def __init__(self, model: Recommender, call: Call) -> None:
        self._model, self._call = model, call
        self.__doc__ = (
            f"{call.method}({', '.join(call.names)}), the function {call.function} of the contract."
        )

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([inspect.Parameter(name, kind) for name in self._call.names])

    def __call__(self, **arguments: Any) -> Any:
        return self._model.call(self._call.method, arguments)


def run_function(
    runtime: Runtime, contract: Contract, function: str, inputs: Mapping[str, Array]
) -> Mapping[str, Array]:
    """The outputs of a function, whatever batch and lengths its artifact was built for."""
    from pocketrec.validate.runtimes.fit import run_fitted

    signature = contract.functions[function]
    outputs = run_fitted(runtime, contract, signature, inputs)
    for each in signature.outputs:
        if each.name not in outputs:
            given = ", ".join(outputs) or "nothing"
            raise ExecutionError(
                f"function {function}: output {each.name!r} is missing, the artifact gives {given}; "
                "build the bundle again"
            )
    return outputs


def host_of(contract: Contract, vocabularies: Mapping[str, Items], run: Run) -> Host:
    """The host logic of a contract around what runs its functions."""
    from pocketrec.package.host.wordpiece import tokenize

    return Host(contract=contract, vocabularies=vocabularies, run=run, tokenize=tokenize)


def _check_files(bundle: Bundle, artifact: Path) -> None:
    """Checks an artifact's files against the manifest; ArtifactError names the one that is altered."""
    place = artifact.relative_to(bundle.path).as_posix()
    for name in bundle.manifest.files:
        if name == place or name.startswith((f"{place}/", f"{place}.")):
            bundle.checked(name)
