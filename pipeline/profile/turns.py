"""Two releases that take turns: how many times as long the later one takes, now and on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.convert.targets import row_of_suffix
from pocketrec.errors import InputError, UsageError
from pocketrec.package.bundle import Bundle
from pocketrec.pipeline.opening import engine_of, open_graph
from pocketrec.pipeline.profile.inputs import draw_from_bundle
from pocketrec.validate.profile.child import Ask, Request, ask, ask_in_turns
from pocketrec.validate.profile.turns import Turns

OLD, NEW = "old", "new"
RUNS, WARMUP = 200, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTurns:
    """One function of two releases, called in turns.

    Attributes:
        target: whose artifacts.
        function: of both contracts.
        runtime: the engine that ran both.
        version: the engine's.
        threads: that it was given.
        inputs: where what they were called on is from, `old` and `new`; the same where both take it.
        turns: of `old` and `new`; the ratio is `turns.ratios["new"]`.
    """

    target: str
    function: str
    runtime: str
    version: str
    threads: int
    inputs: dict[str, str]
    turns: Turns


def release_turns(
    old: Bundle,
    new: Bundle,
    *,
    target: str,
    function: str,
    threads: int = 1,
    warmup: int = WARMUP,
    runs: int = RUNS,
    measure: Ask = ask,
) -> ReleaseTurns:
    """What calls of one function take in both releases, in turns on the engine that runs everywhere.

    Both are called on rows of the later release's golden vectors, and the earlier one on its own where
    it takes others. From 100 rounds on they are of ten processes, and the interval is over these.

    Raises:
        UsageError: one of them has no such target or function, or they are of two formats.
    """
    paths = {OLD: old.artifact(target, function), NEW: new.artifact(target, function)}
    engines = {name: row_of_suffix(path.suffix) for name, path in paths.items()}
    row = engines[NEW]
    if row is None or row is not engines[OLD]:
        raise UsageError(f"{target}/{function}: {paths[OLD].name} and {paths[NEW].name} run on no one engine")
    whole = {name: open_graph(path) for name, path in paths.items()}
    graphs = {name: each.only(function) for name, each in whole.items()}
    drawn = {NEW: draw_from_bundle(new, function, graphs[NEW])}
    try:
        drawn[OLD] = draw_from_bundle(new, function, graphs[OLD])
    except InputError:
        drawn[OLD] = draw_from_bundle(old, function, graphs[OLD])
    made = {
        name: engine_of(paths[name], row.portable, whole[name], function, threads=threads)
        for name in (OLD, NEW)
    }
    request = Request(
        engines=made,
        calls={name: len(each.calls) for name, each in drawn.items()},
        warmup=warmup,
        runs=runs,
    )
    turns, version = ask_in_turns(
        request, {name: each.calls for name, each in drawn.items()}, measure=measure
    )
    return ReleaseTurns(
        target=target,
        function=function,
        runtime=row.portable,
        version=version,
        threads=threads,
        inputs={name: each.source for name, each in drawn.items()},
        turns=turns,
    )
