"""docs/zoo.md: the families by area with what `make zoo` showed of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.zoo.rows import Built, Row

from pocketrec.model_zoo.family import Family
from pocketrec.model_zoo.registry import FAMILIES

Baselines = Mapping[str, Mapping[str, Mapping[str, float]]]
MARKS = ("<!-- zoo -->\n", "<!-- /zoo -->\n")


def lines_of(rows: Sequence[Row], baselines: Baselines) -> list[str]:
    """The page's tables.

    Args:
        rows: a line a family; of those that were not asked for there is none.
        baselines: of each data set, the metrics of each baseline.
    """
    known = {each.family: each for each in rows}
    lines = ["## Quality", "", *_quality(known, baselines), "", "## Sizes, parity and latency", ""]
    return [*lines, *_artifacts(known), "", *_count(rows), ""]


def write(path: Path, lines: Sequence[str]) -> None:
    """Puts the tables between the marks of the page."""
    start, end = MARKS
    before, _, rest = path.read_text(encoding="utf-8").partition(start)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{start}" + "\n".join(lines) + f"{end}{after}", encoding="utf-8")


def _quality(
    known: Mapping[str, Row], baselines: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> list[str]:
    lines = [
        "| area | family | paper | role | data | parameters | test split | published | baselines | state |",
        "|---|---|---|---|---|--:|---|---|---|---|",
    ]
    for name, row in _in_order(known):
        family = FAMILIES[name]
        cells = [
            family.area,
            name,
            family.paper,
            ", ".join(family.roles),
            family.data,
            f"{row.parameters:,}" if row.parameters else "",
            _shown(row.metrics, [metric for metric, _ in family.floors]),
            "; ".join(f"{each.metric} {each.value:.4g} ({each.source})" for each in family.references),
            _beside(family, _untrained(family, baselines)),
            _state(family, row, _untrained(family, baselines)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _in_order(known: Mapping[str, Row]) -> list[tuple[str, Row]]:
    """The lines in the order of the zoo."""
    return [(name, known[name]) for name in FAMILIES if name in known]


def _untrained(family: Family, baselines: Baselines) -> Mapping[str, Mapping[str, float]]:
    """What needs no training, by its name: by the family's own protocol where it has one."""
    if not family.beside:
        return baselines.get(family.data, {})
    names = dict.fromkeys(each.source for each in family.beside)
    return {
        name: {each.metric: each.value for each in family.beside if each.source == name} for name in names
    }


def _state(family: Family, row: Row, baselines: Mapping[str, Mapping[str, float]]) -> str:
    if row.status == "not run":
        return f"not run: {row.why.split(';')[0]}"
    beaten_by: dict[str, list[str]] = {}
    for name, figures in baselines.items():
        for metric, _ in family.floors if name.lower() != family.name else ():  # none is compared with itself
            if row.metrics.get(metric, float("inf")) <= figures.get(metric, float("-inf")):
                beaten_by.setdefault(name, []).append(metric)
    said = ", ".join(f"{name} by {' and '.join(metrics)}" for name, metrics in beaten_by.items())
    return row.status + (f"; does not beat {said}" if said else "")


def _shown(metrics: Mapping[str, float], first: Sequence[str]) -> str:
    """The metrics, some of them first; one that a head's has, too, is shown as the head's alone."""
    names = [_head(name, metrics) for name in (*first, *metrics) if name in metrics]
    return "; ".join(f"{name} {metrics[name]:.4f}" for name in dict.fromkeys(names))


def _head(name: str, metrics: Mapping[str, float]) -> str:
    """The name of the same metric with that of its head; the name itself where no head has it."""
    same = (each for each, value in metrics.items() if value == metrics[name])
    return next((each for each in same if each.startswith(f"{name} of ")), name)


def _beside(family: Family, baselines: Mapping[str, Mapping[str, float]]) -> str:
    """The baselines of the same data and protocol, of the metrics that the family's floors are on."""
    wanted = {metric for metric, _ in family.floors}
    return "; ".join(
        f"{name} {_shown({metric: value for metric, value in each.items() if metric in wanted}, [])}"
        for name, each in baselines.items()
        if wanted & set(each)
    )


def _artifacts(known: Mapping[str, Row]) -> list[str]:
    lines = ["| family | bundle | target | kB | parity, dB | p50 ms |", "|---|---|---|--:|---|---|"]
    for name, row in _in_order(known):
        for built in row.built:
            lines += [_artifact(name, built, target, size) for target, size in sorted(built.sizes.items())]
    return lines


def _artifact(name: str, built: Built, target: str, size: int) -> str:
    parity = _by_runtime(built.parity, target, "{:.0f}").replace(" inf", " exact")
    absent = [key.partition(" ")[2] for key in built.not_run if key.partition(" ")[0] == target]
    parity += "".join(f", {each} not run" for each in absent)
    return (
        f"| {name} | {built.preset} | {target} | {size / 1000:,.0f} | {parity} | "
        f"{_by_runtime(built.p50_ms, target, '{:.3g}')} |"
    )


def _by_runtime(found: Mapping[str, float], target: str, form: str) -> str:
    pairs = [(key.partition(" "), value) for key, value in found.items()]
    return ", ".join(f"{name[2]} {form.format(value)}" for name, value in pairs if name[0] == target)


def _count(rows: Sequence[Row]) -> list[str]:
    return [total(rows)]


def total(rows: Sequence[Row]) -> str:
    """The last line."""
    counts = {state: sum(each.status == state for each in rows) for state in ("green", "red", "not run")}
    return f"{len(rows)} families: " + ", ".join(f"{number} {state}" for state, number in counts.items())
