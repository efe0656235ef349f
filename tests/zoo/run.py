"""Every family of the zoo through the same door: `make zoo`.

For each family: trained where its weights do not come along, built for ONNX, Core ML and the web in float32,
float16 and int8, all gates judged. What neither source nor family changed is kept, so a run goes on where it
was stopped. Prints a line a family, writes the tables of docs/zoo.md where all were asked for, and counts.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tests.kept import ROOT
from tests.zoo.page import Baselines, lines_of, total, write
from tests.zoo.rows import Row, row_of

from pocketrec.model_zoo.registry import FAMILIES


def one(name: str, place: Path) -> Row:
    """The family's line, computed in a process of its own."""
    logging.getLogger("coremltools").setLevel(logging.CRITICAL)  # it tells of the framework that is not there
    return row_of(FAMILIES[name], place)


def beside(data: set[str]) -> Baselines:
    """Popularity and transition counts on each of the data sets that has sequences; item means of labels."""
    from pocketrec.model_zoo.training.baselines import SEQUENCES, baselines
    from pocketrec.model_zoo.training.rated import LIKED, LOVED, item_mean_auc

    found = {}
    for name in sorted(data & set(SEQUENCES)):
        both = baselines(name)
        named = {"Pop": both.pop, "Markov": both.markov}
        found[name] = {each: {"hr@10": hr, "ndcg@10": ndcg} for each, (hr, ndcg) in named.items()}
    if "ml-100k" in data:
        means = {"auc": item_mean_auc(LIKED), "auc of loved": item_mean_auc(LOVED)}
        found["ml-100k"]["Item mean"] = means
    return found


def main() -> int:
    """Runs all that was asked for; 1 where a family is not green though its data are here."""
    parser = argparse.ArgumentParser(prog="make zoo", description=__doc__)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--folder", type=Path, default=Path("build/zoo"))
    parser.add_argument("--jobs", type=int, default=1, help="families at a time")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs" / "zoo.md")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows, start = dict[str, Row](), perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    spawned = ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1)
    with spawned as workers, Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("zoo", total=len(asked.families))
        running = {workers.submit(one, name, asked.folder.resolve()): name for name in asked.families}
        for each in as_completed(running):
            row = rows[running[each]] = each.result()
            print(f"{row.family:<22} {row.status}{': ' + row.why if row.why else ''}", flush=True)
            progress.advance(task)
    found = [rows[name] for name in asked.families]
    (asked.folder / "rows.json").write_text(json.dumps([asdict(each) for each in found], indent=1))
    lines = lines_of(found, beside({FAMILIES[each.family].data for each in found if each.built}))
    print("\n".join(lines[:-2]))
    if set(asked.families) == set(FAMILIES):
        write(asked.docs, lines)
    print(f"{total(found)}, {(perf_counter() - start) / 60:.0f} min")
    return int(any(each.status == "red" for each in found))


if __name__ == "__main__":
    sys.exit(main())
