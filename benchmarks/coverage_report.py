"""The rows of a coverage run as a table, a page and a closing line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

STATUSES = ("equal", "refused", "wrong", "crashed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model: facts about the original and a result per column."""

    library: str
    model: str
    unbuilt: str = ""
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "library": self.library,
            "model": self.model,
            **({"unbuilt": self.unbuilt} if self.unbuilt else {}),
            **self.facts,
            "results": self.results,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Row:
        facts = dict(value)
        return cls(
            library=facts.pop("library"),
            model=facts.pop("model"),
            unbuilt=facts.pop("unbuilt", ""),
            results=facts.pop("results"),
            facts=facts,
        )


def counts(rows: Sequence[Row], column: str) -> Counter[str]:
    return Counter(each.results[column]["status"] for each in rows if column in each.results)


def closing_line(rows: Sequence[Row], columns: Sequence[str]) -> str:
    total: Counter[str] = Counter()
    for column in columns:
        total += counts(rows, column)
    return "coverage: " + ", ".join(f"{total[status]} {status}" for status in STATUSES)


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for each in rows:
        found[each.library].append(each)
    return found


def count_rows(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[list[str]]:
    for library, members in [*groups(rows).items(), ("all", list(rows))]:
        for column in columns:
            found = counts(members, column)
            yield [
                library,
                column,
                str(sum(found.values())),
                *(str(found[status]) for status in STATUSES),
                str(sum(each.results.get(column, {}).get("fixed", False) for each in members)),
            ]


HEADER = ["library", "target", "models", *STATUSES, "of these at the example's batch only"]


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Counts per library and target, then each model that is not equal, with why."""
    lines = [HEADER, *count_rows(rows, columns)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(HEADER))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    for status in STATUSES[1:]:
        for each in rows:
            for column in columns:
                result = each.results.get(column, {})
                if result.get("status") == status:
                    text.append(f"{status}: {each.library} {each.model} [{column}] {result['detail']}")
    text += [f"not built: {each.library} {each.model}: {each.unbuilt}" for each in rows if each.unbuilt]
    return "\n".join(line.rstrip() for line in text)


def markdown(rows: Sequence[Row], columns: Sequence[str], note: str = "") -> str:
    """The page for the documentation: counts, every model, and why what is refused is refused."""
    parts = [_INTRODUCTION, *([note] if note else []), _grid(HEADER, count_rows(rows, columns))]
    reasons = list(_refusals(rows, columns))
    if reasons:
        parts += ["## What is refused, and why", _grid(["library", "model", "target", "reason"], reasons)]
    fixed = list(_fixed(rows, columns))
    if fixed:
        parts += [
            "## What takes the example's batch only",
            _grid(["library", "model", "target", "note"], fixed),
        ]
    failures = list(_failures(rows, columns))
    if failures:
        parts += ["## What is wrong or crashes", _grid(["library", "model", "target", "what"], failures)]
    parts += ["## Every model", _grid(["library", "model", *columns], _verdicts(rows, columns))]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """# Coverage

Written by `make coverage`. Models of public recommender libraries, built small with random weights,
converted by `pocketrec.convert_module` and checked on inputs that the conversion has not seen: ONNX
by ONNX Runtime, Core ML by the program interpreter. `equal` means within 1e-3 of the original,
relative, and 1e-4 absolute; in float16 within 2e-2 and 1e-2 of the output's largest magnitude. Probes
far from the example are compared too: real numbers at 0, of the other sign, at a millionth and a hundred
times, integers at their ends; there the absolute bound is of the output's largest magnitude."""


def _grid(header: Sequence[str], lines: Iterator[list[str]] | Sequence[list[str]]) -> str:
    cells = [list(header), ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(each.replace("|", "\\|") for each in line) + " |" for line in cells)


def _refusals(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[list[str]]:
    """One line per model and reason, its targets joined."""
    for each in rows:
        by_reason: dict[str, list[str]] = defaultdict(list)
        for column in columns:
            result = each.results.get(column, {})
            if result.get("status") == "refused":
                by_reason[result["detail"]].append(column)
        for reason, found in by_reason.items():
            yield [each.library, each.model, ", ".join(found), reason]


def _fixed(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[list[str]]:
    """One line per model that converts for one batch, with what the conversion says of that."""
    for each in rows:
        found = [column for column in columns if each.results.get(column, {}).get("fixed")]
        if found:
            notes = {note: None for one in found for note in each.results[one].get("notes", ())}
            yield [each.library, each.model, ", ".join(found), "; ".join(notes)]


def _failures(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[list[str]]:
    for each in rows:
        for column in columns:
            result = each.results.get(column, {})
            if result.get("status") in ("wrong", "crashed"):
                yield [each.library, each.model, column, f"{result['status']}: {result['detail']}"]


def _verdicts(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[list[str]]:
    for each in rows:
        yield [each.library, each.model, *(each.results.get(one, {}).get("status", "-") for one in columns)]
