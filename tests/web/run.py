"""Every zoo bundle in Chromium, on WebAssembly and WebGPU: `make web`.

For each family in float32 and int8, and for three of them in int4 and as small as stays neutral: the bundle
of `make zoo`, in whose evidence the browser has to have run, packaged, compiled, golden and API vectors
replayed through the package's public API on both providers. The three are evaluated on both, too, and timed
beside bare onnxruntime-web in the same run.
What passed is kept while nothing of it changes, so that a run goes on where it was stopped. The last line
counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from tests.kept import keep, kept, source_sha256
from tests.web.workshop import (
    Built,
    Harness,
    PackageRuntime,
    build_package,
    chromium,
    install_tools,
    served,
)
from tests.zoo.bundles import (
    JUDGED,
    ON_WEBGPU,
    PRESETS,
    evidence_in,
    here,
    in_no_browser,
    key_of,
    passed_bundle,
    trained,
)

from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.package import bundle as bundles
from pocketrec.package.bundle import read_bundle
from pocketrec.package.golden import read_golden, read_golden_index
from pocketrec.pipeline.judged import gates_of
from pocketrec.validate.replay import GoldenVector, replay
from pocketrec.validate.runtimes.web_places import ONNXRUNTIME_WEB

PROVIDERS = ("wasm", "webgpu")
_LOADS, _RUNS, _BEST = 15, 200, 10
_LIMIT = 1.1  # times bare onnxruntime-web
_MARKS = "<!-- measured by make web -->", "<!-- end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The package beside bare onnxruntime-web, medians in milliseconds."""

    what: str
    package_ms: float
    bare_ms: float

    @property
    def ratio(self) -> float:
        """The package's time as a share of the bare one."""
        return self.package_ms / self.bare_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One bundle on one provider."""

    bundle: str
    provider: str
    ran: str
    golden: int
    calls: int
    failures: tuple[str, ...]
    ratios: tuple[Ratio, ...]


def rows_of(built: Built, browser: Any, providers: tuple[str, ...], timed: bool) -> Iterator[Row]:
    """What each provider gives for a package."""
    name = built.bundle.path.name
    index = read_golden_index(built.bundle)
    tolerances = index.tolerances[built.package.target]
    with served(built.package.path) as address:
        for provider in providers:
            harness = Harness(browser, address)
            try:
                where = harness.call("load", built.package.type_name, provider)
                failures = (
                    []
                    if where["provider"] == provider
                    else [f"ran on {where['provider']}: {where['fallback']}"]
                )
                golden, differing = _golden(harness, built, provider)
                said = harness.call("replay", tolerances, index.tie_tolerance)
                failures += [*differing, *said["differences"]]
            finally:
                harness.close()
            ratios = tuple(_ratios(built, browser, address, provider)) if timed and provider == "wasm" else ()
            threads = where["threads"]
            yield Row(
                bundle=name,
                provider=provider,
                ran=f"{where['provider']}, {threads} thread{'s' if threads > 1 else ''}",
                golden=golden,
                calls=said["compared"],
                failures=tuple(failures),
                ratios=ratios,
            )


def _golden(harness: Harness, built: Built, provider: str) -> tuple[int, list[str]]:
    """How many golden vectors were replayed through the package, and what differs."""
    index = read_golden_index(built.bundle)
    compared, failures = 0, []
    for function in index.functions:
        vectors = [
            GoldenVector(function=function, name=each.name, inputs=each.inputs, outputs=each.outputs)
            for each in read_golden(built.bundle, function)
        ]
        results = replay(
            vectors,
            PackageRuntime(harness, built.contract, function, provider),
            built.contract,
            function=function,
            tolerances=index.tolerances[built.package.target][function],
            gates=gates_of(bundles.table_of(built.bundle, bundles.RECIPE)),
        )
        compared += len(vectors)
        failures += [each.message for each in results if not each.passed]
    return compared, failures


def _ratios(built: Built, browser: Any, address: str, provider: str) -> Iterator[Ratio]:
    """Time to the first answer, cold and warm, and of a call, beside the same run made bare."""
    name = built.package.type_name
    output = next(iter(_listing(built)), None)
    if output is None:
        return
    harness = Harness(browser, address)
    asked = harness.call("encoded", name, provider)
    manifest = json.loads((built.package.path / "model" / "manifest.json").read_text())
    files = manifest["functions"][asked["name"]]
    bare = (provider, files["graph"], files["data"], asked["inputs"], output, _BEST)
    calls: dict[str, tuple[Any, ...]] = {
        "package": ("firstAnswer", name, provider, False),
        "modules": ("firstAnswer", name, provider, True),
        "bare": ("firstBare", *bare),
    }
    times: dict[str, dict[str, list[float]]] = {"cold": {}, "warm": {}}
    for _ in range(_LOADS):
        for side, call in calls.items():
            fresh = Harness(browser, address)
            for heat in ("cold", "warm"):
                times[heat].setdefault(side, []).append(fresh.call(*call))
                fresh.open()
            fresh.close()
    for heat, found in times.items():
        medians = {side: statistics.median(each) for side, each in found.items()}
        for side, what in (("package", ""), ("modules", ", modules fetched one by one")):
            yield Ratio(what=f"first answer, {heat}{what}", package_ms=medians[side], bare_ms=medians["bare"])
    p50 = harness.call("medians", name, *bare, _RUNS)
    harness.close()
    yield Ratio(what="a call and its list, p50", package_ms=p50["package"], bare_ms=p50["bare"])
    yield Ratio(what="a call beside a run alone, p50", package_ms=p50["package"], bare_ms=p50["alone"])


def _listing(built: Built) -> Iterator[str]:
    """The outputs that score items."""
    for signature in built.contract.functions.values():
        for out in signature.outputs:
            if out.meaning == "score" and out.vocabulary is not None:
                yield out.name


def results_of(bundle: Path) -> list[Mapping[str, Any]]:
    """The web target's results in a bundle's evidence."""
    return [each for each in evidence_in(bundle)["results"] if each["target"] == "web"]


def table_of(rows: list[Row], folder: Path) -> list[str]:
    """The table of docs/web.md."""
    names = [
        "bundle",
        "provider",
        "bytes_(gzip)",
        "largest_difference",
        "ranking",
        "p50_ms",
        "golden",
        "calls",
        "failed",
    ]
    lines = [
        f"| {' | '.join(each.replace('_', ' ') for each in names)} |",
        "|---|---|--:|--:|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        results = {each["runtime"]: each for each in results_of(folder / row.bundle)}
        found = results.get(f"web-{row.provider}")
        if found is None:  # golden vectors and calls alone
            counted = f"{row.golden} | {row.calls} | {len(row.failures)}"
            lines.append(f"| {row.bundle} | {row.provider} | | | | | {counted} |")
            continue
        facts = list(found["web"].values())
        sizes = [each for fact in facts for each in fact["files"]]
        raw, gzip = (sum(each[key] for each in sizes) for key in ("raw", "gzip"))
        worst = max(each["max_abs_error"] for each in (*found["parity"], *found["rows"]))
        ranking = found["ranking"] or {}
        equal = _equal(ranking)
        p50 = max(each["p50_ms"] for each in found["latency"].values())
        time = f"{p50:.2f}" if not facts[0]["software"] else f"({p50:.0f}, software)"
        lines.append(
            f"| {row.bundle} | {row.provider} | {raw:,} ({gzip:,}) | {worst:.1e} | {equal} | {time} | "
            f"{row.golden} | {row.calls} | {len(row.failures)} |"
        )
    return lines


def _equal(ranking: Mapping[str, Any]) -> str:
    """Whether all metrics are the reference's, on how many users or rows."""
    if not ranking:
        return "not run"
    off = max(abs(ranking["artifact"][name] - each) for name, each in ranking["reference"].items())
    overlap = ranking["top_k_overlap"]
    share = "" if overlap is None else f", overlap {overlap:.4f}"
    return f"Δ {off:.1g}{share}, {ranking['examples']:,} rows"


def ratio_lines(rows: list[Row]) -> list[str]:
    """The ratios to bare onnxruntime-web."""
    lines = ["| bundle | measure | package ms | bare ms | ratio |", "|---|---|--:|--:|--:|"]
    lines += [
        f"| {row.bundle} | {each.what} | {each.package_ms:.2f} | {each.bare_ms:.2f} | {each.ratio:.2f} |"
        for row in rows
        for each in row.ratios
    ]
    return lines


def write_docs(path: Path, lines: list[str]) -> None:
    """Puts the tables between the marks of the page."""
    text = path.read_text()
    start, end = _MARKS
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    path.write_text("\n".join([f"{before}{start}", *lines, f"{end}{after}"]))


def work(families: Sequence[str], presets: Sequence[str]) -> list[tuple[str, str]]:
    """Families and compressions: the judged ones of all, further ones of those that are timed."""
    return [
        (family, preset)
        for preset in presets
        for family in families
        if preset in JUDGED or family in ON_WEBGPU
    ]


def shown(family: str, preset: str, asked: argparse.Namespace, browser: Any, tools: Path) -> list[Row]:
    """The rows of a bundle on each provider, kept where all of them passed."""
    trained(FAMILIES[family])
    rooms = ("tests/web", "package/web", "package/host")
    key = f"{key_of(FAMILIES[family], preset)} {source_sha256(rooms=rooms)}"
    path = asked.folder / "rows" / f"{family}-{preset}.json"
    if (found := kept(path, key)) is not None:
        return [row_from(each) for each in found]
    place = passed_bundle(FAMILIES[family], preset, asked.zoo)
    if missing := in_no_browser(evidence_in(place)):
        raise SystemExit(f"{place.name}: not run: {missing}")
    package = build_package(read_bundle(place), asked.folder / "packages" / place.name, tools)
    rows = list(rows_of(package, browser, PROVIDERS, timed=family in ON_WEBGPU and preset in JUDGED))
    if not any(each.failures for each in rows):
        keep(path, key, [asdict(each) for each in rows])
    return rows


def row_from(table: Mapping[str, Any]) -> Row:
    """A row that was kept."""
    ratios = tuple(Ratio(**each) for each in table["ratios"])
    return Row(**{**table, "failures": tuple(table["failures"]), "ratios": ratios})


def main() -> int:
    """Runs all that was asked for; 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="*", default=sorted(FAMILIES), choices=sorted(FAMILIES))
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--folder", type=Path, default=Path("build/web"))
    parser.add_argument("--zoo", type=Path, default=Path("build/zoo"), help="The bundles of `make zoo`.")
    parser.add_argument(
        "--docs", type=Path, help="The page whose tables are written where all were asked for."
    )
    asked = parser.parse_args()
    for each in (asked.folder, asked.zoo):
        each.mkdir(parents=True, exist_ok=True)
    tools = install_tools(asked.folder)
    os.environ.setdefault(ONNXRUNTIME_WEB, str((tools / "onnxruntime-web").resolve()))
    rows: list[Row] = []
    pairs = work(here(asked.families), asked.presets)
    with Progress(console=Console(stderr=True)) as progress, chromium() as browser:
        task = progress.add_task("bundles", total=len(pairs))
        for family, preset in pairs:
            progress.update(task, description=f"{family} {preset}")
            for row in shown(family, preset, asked, browser, tools):
                rows.append(row)
                print(json.dumps(asdict(row)), flush=True)
            progress.advance(task)
    lines = [*table_of(rows, asked.zoo), "", *ratio_lines(rows)]
    print("\n".join(lines))
    if asked.docs is not None and (len(asked.families), len(asked.presets)) == (len(FAMILIES), len(PRESETS)):
        write_docs(asked.docs, lines)
    slow = [each for row in rows for each in row.ratios if each.ratio > _LIMIT]
    failed = [row for row in rows if row.failures]
    for row in failed:
        print(f"failed: {row.bundle} on {row.provider}: {row.failures[0]}")
    print(
        f"{len(pairs)} bundles, {len(PROVIDERS)} providers: {len(rows) - len(failed)} of {len(rows)} passed; "
        f"{len(slow)} ratios above {_LIMIT}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
