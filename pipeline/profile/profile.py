"""Where the time and the bytes of an artifact go, and how it stands against another one.

artifact or bundle ─▶ graph ─▶ inputs ─▶ counted from the graph: operations, bytes, rules  (runs nothing)
                                     ├─▶ a process of its own: loads, calls, memory, ops
                                     └─▶ with another artifact, in turns: the ratio
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pocketrec.errors import UsageError
from pocketrec.package.bundle import Bundle, is_bundle, read_bundle
from pocketrec.pipeline.opening import engine_of, formats, open_graph
from pocketrec.pipeline.profile.inputs import (
    Drawn,
    draw_from_bundle,
    draw_from_file,
    draw_from_recipe,
    draw_from_shapes,
)
from pocketrec.pipeline.told import Known, bundles_of, with_origins
from pocketrec.progress import Progress, silent
from pocketrec.report import Machine
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.measure.machine import this_machine
from pocketrec.validate.open import no_artifact, runtime_for
from pocketrec.validate.profile.child import Ask, Request, ask, ask_in_turns
from pocketrec.validate.profile.cost import Cost, cost_of
from pocketrec.validate.profile.lines import Row, line_rows, op_rows
from pocketrec.validate.profile.measure import Engine, Measured
from pocketrec.validate.profile.neural_engine import Reason, reasons
from pocketrec.validate.profile.ops import OpTimes
from pocketrec.validate.profile.placed import OnUnits
from pocketrec.validate.profile.turns import Turns
from pocketrec.validate.runtimes.coreml_framework import UNITS

THIS, OTHER = "this", "other"
RUNS, WARMUP = 400, 20  # the fewest that give the 99th percentile an interval with two ends are 368
_FRAMEWORK = "coreml-framework"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked for beside the artifact; None or empty is the default.

    Attributes:
        inputs: an .npz file.
        source: a bundle whose golden vectors, or a recipe whose evaluation data are called on.
        target: of a bundle.
        function: of an artifact or bundle that holds several.
        threads: that the engine is given.
        runs: calls that are counted.
        runtime: the engine's name.
        compute_units: of Core ML's framework; all settings by default.
        timeout: seconds that each process has that measures; None waits for ever.
    """

    inputs: Path | None = None
    source: Path | None = None
    target: str | None = None
    function: str | None = None
    threads: int = 1
    runs: int = RUNS
    runtime: str | None = None
    compute_units: str | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two that are compared, or the only one.

    Attributes:
        artifact: its path.
        target: in its bundle; empty where it is in none.
        function: that was called.
        inputs: what it was called on, and where that is from, in words.
        measured: alone, in a process of its own.
        unknown: why no line of the model is known, in words; else empty.
    """

    artifact: str
    target: str
    function: str
    inputs: str
    measured: Measured
    unknown: str = ""

    @property
    def pretended(self) -> str:
        """What played the device, where times are none of a device's; else empty."""
        return "the interpreter" if self.measured.runtime == "coreml-interpreter" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Where time and bytes go.

    Attributes:
        side: what was measured.
        threads: that the engine was given.
        machine: where.
        ops: what each took, as the engine tells.
        cost: what each costs, counted from the graph.
        rows: both together, an op a row, with its line.
        lines: the same, a line a row.
        rules: that a Core ML program meets, of the Neural Engine.
        units: what Core ML says for each setting of its compute units; empty for other engines.
        against: the other side; None where there is none.
        turns: of both in turns, `this` and `other`; how many times as long this one takes as the other is
            the ratio of `this`.
    """

    side: Side
    threads: int
    machine: Machine
    ops: OpTimes
    cost: Cost
    rows: tuple[Row, ...]
    lines: tuple[Row, ...]
    rules: tuple[Reason, ...]
    units: tuple[OnUnits, ...] = ()
    against: Side | None = None
    turns: Turns | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """An artifact with its graph, what loads it, and what it is called on."""

    path: Path
    target: str
    function: str
    known: Known
    engine: Engine
    drawn: Drawn

    @property
    def graph(self) -> Graph:
        """With the origins that are known."""
        return self.known.graph


def profile(
    artifact: Path,
    options: Options,
    *,
    against: Path | None = None,
    progress: Progress = silent,
    measure: Ask = ask,
) -> Profile:
    """Where time and bytes of an artifact's calls go.

    Args:
        artifact: an artifact, alone or in a bundle, or a bundle.
        options: what else is asked for.
        against: another one, called in turns with the first.
        progress: told what is being done.
        measure: loads and calls; in a process of its own by default.

    Raises:
        UsageError: there is no such artifact, target, function or runtime, or inputs do not fit.
        CheckFailed: an artifact is damaged, or fails when it is called.
    """
    progress("read the artifact", 0, 1)
    this = _prepare(artifact, options)
    other = None if against is None else _prepare(against, options)
    progress("count operations and bytes", 0, 1)
    cost = cost_of(this.graph, this.drawn.calls[0])
    progress("measure it in a process of its own", 0, 1)
    units = _units(this.engine, options)
    answer = measure(_request({THIS: this}, options, units), {THIS: this.drawn.calls})
    assert answer.alone is not None
    assert answer.ops is not None
    rows = op_rows(this.graph, answer.ops, cost)
    against_side, turns = None, None
    if other is not None:
        progress("measure the other one", 0, 1)
        alone = measure(_request({THIS: other}, options), {THIS: other.drawn.calls}).alone
        assert alone is not None
        both = {OTHER: other, THIS: this}
        calls = {name: each.drawn.calls for name, each in both.items()}
        turns, _ = ask_in_turns(_request(both, options), calls, measure=measure, progress=progress)
        against_side = _side(other, alone)
    return Profile(
        side=_side(this, answer.alone),
        threads=options.threads,
        machine=this_machine(),
        ops=answer.ops,
        cost=cost,
        rows=rows,
        lines=line_rows(rows),
        rules=reasons(this.graph),
        units=answer.units,
        against=against_side,
        turns=turns,
    )


def _prepare(given: Path, options: Options) -> _Prepared:
    bundle, target, path, function = _found(given, options)
    runtime = runtime_for(path, options.runtime, formats=formats())
    _check_units(path, runtime, options)
    whole = open_graph(path)
    if whole.unreadable:
        raise UsageError(whole.unreadable)
    _check_function(whole, function)
    graph = whole.only(function)
    name = function or whole.metadata.get("pocketrec.function") or graph.functions[0]
    known = with_origins(graph, path, name)
    units = options.compute_units or ("all" if runtime == _FRAMEWORK else "")
    engine = engine_of(path, runtime, whole, name, threads=options.threads, compute_units=units)
    drawn = _draw(graph, name, bundle, options)
    return _Prepared(path=path, target=target, function=name, known=known, engine=engine, drawn=drawn)


def _found(given: Path, options: Options) -> tuple[Bundle | None, str, Path, str | None]:
    """The bundle, the target in it, the artifact and its function, as far as they are known."""
    if given.suffix not in formats() and is_bundle(given):
        bundle = read_bundle(given)
        target = options.target or _only(bundle.manifest.artifacts, given, "target")
        functions = bundle.manifest.artifacts.get(target, {})
        function = options.function or _only(functions or {"": ""}, given, "function")
        return bundle, target, bundle.artifact(target, function), function
    if given.suffix not in formats() or not given.exists():
        raise no_artifact(given, formats())
    if options.target is not None:
        raise UsageError(f"{given}: --target names one of a bundle; this is an artifact, so leave it out")
    for bundle, name in bundles_of(given):
        for target, function in _served_by(bundle, name):
            if options.function in (None, function):
                return bundle, target, given, function
    return None, "", given, options.function


def _served_by(bundle: Bundle, artifact: str) -> Iterator[tuple[str, str]]:
    """Every target and function that an artifact of a bundle is of; none of another file."""
    for target, functions in bundle.manifest.artifacts.items():
        yield from ((target, name) for name, path in functions.items() if path == artifact)


def _only(names: Mapping[str, object], where: Path, what: str) -> str:
    """The one name; UsageError lists them where there are several."""
    if len(names) != 1:
        raise UsageError(
            f"{where}: holds several, {', '.join(sorted(names))}; pass --{what} with one of them"
        )
    return next(iter(names))


def _check_function(graph: Graph, function: str | None) -> None:
    """Checks that an artifact of one function, which says which, is not asked for another."""
    held = graph.metadata.get("pocketrec.function")
    if graph.select is None and None not in (function, held) and function != held:
        raise UsageError(f"{graph.name}: no function {function!r}; expected {held}, the only one it holds")


def _check_units(path: Path, runtime: str, options: Options) -> None:
    if options.compute_units is not None and runtime != _FRAMEWORK:
        raise UsageError(
            f"{path.name}: runs on {runtime}, which has no compute units; leave --compute-units out, or pass "
            f"--runtime {_FRAMEWORK} on a Mac"
        )


def _draw(graph: Graph, function: str, bundle: Bundle | None, options: Options) -> Drawn:
    if options.inputs is not None and options.source is not None:
        raise UsageError("--inputs and --from are given; pass one of them")
    if options.inputs is not None:
        return draw_from_file(options.inputs, graph)
    if options.source is not None and options.source.suffix == ".toml":
        return draw_from_recipe(options.source, function, graph)
    source = bundle if options.source is None else read_bundle(options.source)
    return draw_from_shapes(graph) if source is None else draw_from_bundle(source, function, graph)


def _units(engine: Engine, options: Options) -> tuple[str, ...]:
    if engine.runtime != _FRAMEWORK:
        return ()
    return tuple(UNITS) if options.compute_units is None else (options.compute_units,)


def _request(prepared: Mapping[str, _Prepared], options: Options, units: tuple[str, ...] = ()) -> Request:
    return Request(
        engines={name: each.engine for name, each in prepared.items()},
        calls={name: len(each.drawn.calls) for name, each in prepared.items()},
        warmup=WARMUP,
        runs=options.runs,
        units=units,
        timeout=options.timeout,
    )


def _side(prepared: _Prepared, measured: Measured) -> Side:
    return Side(
        artifact=str(prepared.path),
        target=prepared.target,
        function=prepared.function,
        inputs=prepared.drawn.source,
        measured=measured,
        unknown=prepared.known.unknown,
    )
