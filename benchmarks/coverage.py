"""How many models of public recommender libraries convert, equal, and what is refused and why.

    python benchmarks/coverage.py [LIBRARY ...] [--only NAME] [--json FILE] [--again] [--markdown FILE]
                                  [--read FILE ...] [--timeout S] [--memory-gib N] [--jobs N] [--baseline]

With --json a run goes on where it was stopped: what the file holds is kept, unless --again.

Every model is built in a forked child with a limit on time and memory, converted with
`pocketrec.convert_module` to both targets, and checked on inputs that the conversion has not seen.
A result is `equal`, `refused` (with its reason), `wrong` (an artifact that answers differently) or
`crashed` (any other exception, a signal, a time-out). Exits with 1 where anything is wrong or crashed.
`make coverage` makes the environment with the libraries.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
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
    answer["code"] = code_sha256()
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
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="all results, details included; what it holds is kept"
    )
    parser.add_argument("--again", action="store_true", help="run models anew that --json holds")
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


Rows = dict[tuple[str, str], Row]


def collect(options: argparse.Namespace) -> list[Row]:
    """The rows of the models asked for; the file is written after each, so that a run may be cut short."""
    stored = stored_rows([options.json] if options.json and options.json.exists() else [])
    asked: list[Row] = []
    for library in options.libraries or LIBRARIES:
        models = [each for each in models_of(library) if not options.only or each.name in options.only]
        kept = {} if options.again else {each.name: stored.get((library, each.name)) for each in models}
        with ThreadPoolExecutor(options.jobs) as pool:
            work = functools.partial(row_of, library=library, kept=kept, options=options)
            for row in pool.map(work, models):
                asked.append(row)
                stored[row.library, row.model] = row
                write_json(ordered(stored), options.json)
    return asked


def row_of(model: Model, library: str, kept: dict[str, Row | None], options: argparse.Namespace) -> Row:
    return kept.get(model.name) or examine_all(model, library, options)


def write_json(rows: list[Row], path: Path | None) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([each.as_json() for each in rows], indent=1) + "\n")


_PARTIAL = """**Not every model was run with this version.** These rows are put together from runs of parts of
the list, in part by earlier versions; a later result replaced an earlier one of the same model."""


def stored_rows(paths: list[Path]) -> Rows:
    """The rows of earlier runs; a later file's row replaces an earlier one's."""
    rows = [Row.from_json(each) for path in paths for each in json.loads(path.read_text())]
    return {(each.library, each.model): each for each in rows}


def ordered(rows: Rows) -> list[Row]:
    """The rows in the libraries' order."""
    order = list(LIBRARIES)
    return sorted(rows.values(), key=lambda each: order.index(each.library))


@functools.cache
def code_sha256() -> str:
    """The digest of the converter's code, by which rows of other versions are told."""
    import pocketrec

    digest = hashlib.sha256()
    for folder, folders, names in os.walk(Path(pocketrec.__file__).parent, followlinks=True):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                digest.update(name.encode() + Path(folder, name).read_bytes())
    return digest.hexdigest()


def main() -> int:
    options = parse()
    if options.read:
        rows = ordered(stored_rows(options.read))
        write_json(rows, options.json)
    else:
        warm_up()
        rows = collect(options)
    columns = [*options.targets, *(COLUMNS if options.baseline else ())]
    partial = options.only or len({each.facts.get("code") for each in rows}) != 1
    if options.markdown:
        options.markdown.write_text(markdown(rows, columns, _PARTIAL if partial else ""))
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
