"""How many models of public recommender libraries convert, equal, and what is refused and why.

    python benchmarks/coverage.py [LIBRARY ...] [--only NAME] [--json FILE] [--markdown FILE]
                                  [--read FILE ...] [--timeout S] [--memory-gib N] [--jobs N] [--baseline]

Every model is built in a forked child with a limit on time and memory, converted with
`pocketrec.convert_module` to both targets, and checked on inputs that the conversion has not seen.
A result is `equal`, `refused` (with its reason), `wrong` (an artifact that answers differently) or
`crashed` (any other exception, a signal, a time-out). Exits with 1 where anything is wrong or crashed.
`make coverage` makes the environment with the libraries.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from coverage_baseline import COLUMNS  # noqa: E402 - thread counts are read when torch is imported
from coverage_child import limit, run_model, warm_up  # noqa: E402
from coverage_models import LIBRARIES, Model, models_of  # noqa: E402
from coverage_report import Row, closing_line, markdown, table  # noqa: E402

TARGETS = ("coreml", "onnx")
_FORK = multiprocessing.get_context("fork")


_PATIENCE = 15  # wall-clock seconds per second of processor time, before a sleeping child is given up


def child(
    pipe: Connection, model: Model, columns: tuple[str, ...], baseline: bool, gib: float, seconds: float
) -> None:
    os.setsid()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    limit(gib, seconds)
    pipe.send(run_model(model, columns, baseline))
    pipe.close()


def run_child(model: Model, columns: tuple[str, ...], baseline: bool, options: argparse.Namespace) -> Any:
    """What the child sent, or the reason why it sent nothing."""
    receiver, sender = _FORK.Pipe(duplex=False)
    arguments = (sender, model, columns, baseline, options.memory_gib, options.timeout)
    process = _FORK.Process(target=child, args=arguments, daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(options.timeout * _PATIENCE):
            return f"time-out after {options.timeout * _PATIENCE:g} s without an answer"
        return receiver.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return f"time-out after {options.timeout:g} s of processor time"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code} without a result"
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        receiver.close()


def examine(model: Model, columns: tuple[str, ...], baseline: bool, options: argparse.Namespace) -> Any:
    """The answer of one child for all columns; of one each where that one died, to know which."""
    answer = run_child(model, columns, baseline, options)
    if not isinstance(answer, str):
        return answer
    if len(columns) == 1:
        return {"results": {columns[0]: {"status": "crashed", "detail": answer}}}
    merged: dict[str, Any] = {"results": {}}
    for column in columns:
        one = examine(model, (column,), baseline, options)
        results = one.pop("results", {})
        merged = {**merged, **one, "results": {**merged["results"], **results}}
    return merged


def examine_all(model: Model, library: str, options: argparse.Namespace) -> Row:
    start = time.perf_counter()
    answer = examine(model, tuple(options.targets), False, options)
    if options.baseline and "unbuilt" not in answer:
        plain = examine(model, COLUMNS, True, options)
        answer["results"] = {**answer.get("results", {}), **plain.get("results", {})}
    row = Row(
        library=library,
        model=model.name,
        unbuilt=answer.pop("unbuilt", ""),
        results=answer.pop("results", {}),
        facts=answer,
    )
    took = time.perf_counter() - start
    verdicts = " ".join(f"{key}={value['status']}" for key, value in row.results.items())
    lines = [f"{library:14} {model.name:26} {took:6.1f} s  {verdicts or row.unbuilt}"]
    lines += [
        f"    {key}: {each['detail']}" for key, each in row.results.items() if each["status"] != "equal"
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)
    return row


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=", ".join(LIBRARIES))
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="models by name")
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=TARGETS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="all results, details included")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the page for the documentation")
    parser.add_argument(
        "--read", type=Path, nargs="+", metavar="FILE", help="show earlier runs' JSON instead of running"
    )
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="processor time a model")
    parser.add_argument("--memory-gib", type=float, default=12.0, metavar="N")
    parser.add_argument("--jobs", type=int, default=1, metavar="N")
    parser.add_argument("--baseline", action="store_true", help="also what the converters give by themselves")
    options = parser.parse_args()
    unknown = sorted(set(options.libraries) - set(LIBRARIES))
    if unknown:
        parser.error(f"{unknown[0]!r} is no library here; expected {', '.join(LIBRARIES)}")
    return options


def collect(options: argparse.Namespace) -> list[Row]:
    """The rows of all models; the JSON file is written anew after each, so that a run may be cut short."""
    rows: list[Row] = []
    for library in options.libraries or LIBRARIES:
        models = [each for each in models_of(library) if not options.only or each.name in options.only]
        with ThreadPoolExecutor(options.jobs) as pool:
            for row in pool.map(lambda each, name=library: examine_all(each, name, options), models):  # type: ignore[misc]
                rows.append(row)
                write_json(rows, options.json)
    return rows


def write_json(rows: list[Row], path: Path | None) -> None:
    if path is not None:
        path.write_text(json.dumps([each.as_json() for each in rows], indent=1) + "\n")


_PARTIAL = """**Not every model was run.** These rows are put together from runs of parts of the list, in part
by earlier versions of the converter; a later result replaced an earlier one of the same model."""


def read(paths: list[Path]) -> list[Row]:
    """The rows of earlier runs in the libraries' order; a later file's row replaces an earlier one's."""
    found: dict[tuple[str, str], Row] = {}
    for path in paths:
        for each in json.loads(path.read_text()):
            row = Row.from_json(each)
            found[row.library, row.model] = row
    order = list(LIBRARIES)
    return sorted(found.values(), key=lambda each: order.index(each.library))


def main() -> int:
    options = parse()
    if options.read:
        rows = read(options.read)
    else:
        warm_up()
        rows = collect(options)
    columns = [*options.targets, *(COLUMNS if options.baseline else ())]
    write_json(rows, options.json)
    if options.markdown:
        options.markdown.write_text(markdown(rows, columns, _PARTIAL if options.read or options.only else ""))
    print(table(rows, columns))
    print(closing_line(rows, options.targets))
    failed = any(
        each.results.get(target, {}).get("status") in ("wrong", "crashed")
        for each in rows
        for target in options.targets
    )
    return int(failed or not rows)


if __name__ == "__main__":
    sys.exit(main())
