"""What `verify`, `profile` and `doctor` wrote into a folder on one machine, read back and put together.

doctor.json                                   the machine
verify.json, verify.txt                       what `verify --json` printed, and its stderr
pull.txt                                      stderr of `pull`, where it failed before there was a bundle
measured.TARGET.FUNCTION.UNITS.json, .txt     what `profile --json` printed, and its stderr
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any, TypeVar, cast

from pocketrec.errors import ArtifactError, PocketrecError, UsageError
from pocketrec.outside import exists, read_json, read_text, require_folder
from pocketrec.pipeline.verify_outcomes import OUTCOMES, Outcome
from pocketrec.schema import from_table, shown
from pocketrec.validate.report.mac_run import Answered, MacRun, Timed

T = TypeVar("T")

MEASURED = "measured."
_TIMES = ("p50_ms", "p95_ms", "load_cold_ms", "load_warm_ms")
_SILENT = "it said nothing; see the job's log"


def read_mac_run(folder: Path) -> MacRun:
    """What was found, as far as the job came.

    Raises:
        UsageError: there is no folder.
        ArtifactError: a file in it is none that the commands write.
    """
    require_folder(folder, error=UsageError)
    machine = _printed(folder / "doctor.json", "doctor").get("machine")
    system = str(_table(machine).get("system", ""))
    timed = tuple(_timed(path) for path in _measured(folder))
    table = _printed(folder / "verify.json", "verify")
    if not table:
        why = _last_line(folder / "verify.txt", folder / "pull.txt")
        return MacRun(system=system, problems=(f"nothing was compared: {why}",), timed=timed)
    if "error" in table:
        message = str(_table(table["error"]).get("message", _SILENT))
        return MacRun(system=system, problems=(message,), timed=timed)
    return MacRun(
        bundle=f"{table.get('name', '')} {table.get('version', '')}".strip(),
        tree_sha256=str(table.get("tree_sha256", "")),
        system=system,
        signature=str(_table(table.get("signature")).get("message", "")),
        passed=table.get("passed") is True,
        answered=tuple(_answered(each) for each in _listed(table, "replays")),
        problems=tuple(str(each) for name in ("problems", "unmet") for each in _listed(table, name)),
        timed=timed,
    )


def _measured(folder: Path) -> list[Path]:
    """What was to be measured: a file of numbers each, which is empty where there are none."""
    return sorted(each for each in folder.glob(f"{MEASURED}*.json"))


def _answered(row: object) -> Answered:
    table = _table(row)
    outcome = table.get("outcome")
    if not isinstance(outcome, str) or outcome not in OUTCOMES:
        raise ArtifactError(f"verify.json: outcome {shown(outcome)}; expected {', '.join(OUTCOMES)}")
    words, status = OUTCOMES[cast(Outcome, outcome)]
    known = {name: table[name] for name in Answered.__dataclass_fields__ if name in table}
    return _made(Answered, {**known, "outcome": words, "status": status}, "verify.json")


def _timed(path: Path) -> Timed:
    _, target, function, units, _ = [*path.name.split("."), "", "", "", ""][:5]
    of = {"target": target, "function": function, "compute_units": units}
    found = _json(path)
    table = _table(found)
    if found is None or "error" in table:
        message = _table(table.get("error")).get("message") or _last_line(path.with_suffix(".txt"))
        return _made(Timed, {**of, "reason": str(message)}, path.name)
    try:
        side, measured = table["side"], table["side"]["measured"]
        percentiles = {each["share"]: each["ms"] for each in measured["latency"]["percentiles"]}
        figures = {
            "runtime": measured["runtime"],
            "version": measured["version"],
            "system": table["machine"]["system"],
            "p50_ms": percentiles[0.5],
            "p95_ms": percentiles[0.95],
            "load_cold_ms": measured["load_cold_ms"],
            "load_warm_ms": float(median(measured["load_warm_ms"])),
            "devices": _devices(table["units"], units),
        }
        where = {**of, "target": side["target"], "function": side["function"]}
        endless = [name for name in _TIMES if not isfinite(figures[name])]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ArtifactError(f"{path.name}: lacks {error}; expected what `profile --json` prints") from None
    if endless:
        raise ArtifactError(f"{path.name}: {endless[0]} is {figures[endless[0]]}; expected milliseconds")
    return _made(Timed, {**where, **figures}, path.name)


def _devices(rows: Sequence[Mapping[str, Any]], units: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in rows:
        for op in each["plan"] if each["compute_units"] == units else ():
            device = op["device"] or "unknown"
            counts[device] = counts.get(device, 0) + 1
    return counts


def _made(cls: type[T], table: Mapping[str, Any], source: str) -> T:
    try:
        return from_table(cls, table, source=source)
    except PocketrecError as error:
        raise ArtifactError(str(error)) from None


def _json(path: Path) -> Any:
    """The document in a file; None where there is no file, or a command that was ended left it empty."""
    if not exists(path) or not read_text(path).strip():
        return None
    return read_json(path)


def _last_line(*paths: Path) -> str:
    """The last line of the first of these that says something."""
    return next(_last_lines(paths), _SILENT)


def _last_lines(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        lines = read_text(path).strip().splitlines() if exists(path) else []
        yield from lines[-1:]


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _printed(path: Path, command: str) -> Mapping[str, Any]:
    """What a command printed as JSON; empty where it printed nothing."""
    found = _json(path)
    if found is not None and not isinstance(found, Mapping):
        raise ArtifactError(f"{path.name}: is no table; expected what `{command} --json` prints")
    return found or {}


def _listed(table: Mapping[str, Any], key: str) -> list[Any]:
    found = table.get(key, [])
    if not isinstance(found, list):
        raise ArtifactError(f"verify.json: {key} is {shown(found)}; expected a list")
    return found
