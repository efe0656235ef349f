"""The same bytes by three roundings, on the zoo's models: nearest, error feedback, distilled codes.

    python benchmarks/distillation.py [--model NAME ...] [--json]

For each model two plans, 4 bits per row everywhere, and beside that the table as product codes, or in 2 bits
where vectors do not fill its rows, each rounded in every way that its schemes have. Inputs that feedback and
distillation see are those of the validation split; the compressed reference is compared with the original on
all of the test split. Each is a whole build for ONNX, whose artifact has to equal that reference. No way
looks at labels; training on with the rounding in place, which does, is benchmarks/quantized_training.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.pipeline.build import BuildResult, build
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.recipe import Compress, Target
from pocketrec.report import COMPRESSED

TABLES = {
    "sasrec": "item_embedding.weight",
    "two-tower": "item_embedding.weight",
    "dlrm": "features.tables.item.weight",
    "sasrec-beauty": "item_embedding.weight",
}
ROUNDINGS = ("nearest", "feedback", "distilled")
FOUR = {"scheme": "linear", "bits": 4, "clipping": "search"}
CODES = ("product codes of 4", {"scheme": "product", "bits": 8, "width": 4}, ("nearest", "distilled"))
TWO = ("table in 2 bits", {"scheme": "scaled_palette", "bits": 2}, ROUNDINGS)
SMALLER = {"dlrm": TWO}  # its rows have 17 numbers, which no vectors of 4 fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A plan of a model, rounded in one way.

    Attributes:
        share: of the weights' float32 bytes that are stored.
        change: of `metric`; `low` and `high` are the ends of its 95 % interval.
        overlap: share of the ten best that stay; None for labels.
        minutes: of the whole build.
    """

    model: str
    plan: str
    rounding: str
    share: float
    metric: str
    before: float
    change: float
    low: float
    high: float
    overlap: float | None
    minutes: float


def plans(names: list[str], model: str) -> Iterator[tuple[str, str, dict[str, dict[str, Any]]]]:
    """Name, rounding and table of every plan for matrices of those names."""
    smaller, scheme, roundings = SMALLER.get(model, CODES)
    for rounding in ROUNDINGS:
        four = {name: {**FOUR, "rounding": rounding} for name in names}
        yield "4 bits per row", rounding, four
        if rounding in roundings:
            yield smaller, rounding, {**four, TABLES[model]: {**scheme, "rounding": rounding}}


def rows_of(model: str, folder: Path) -> Iterator[Row]:
    """A line for every plan and rounding."""
    path = FAMILIES[model].recipe
    recipe = load_recipe(path)
    given = replace(recipe, targets={"onnx": Target(format="onnx")})
    given = replace(given, model=replace(given.model, weights=str(FAMILIES[model].weights)))
    (evaluate,) = recipe.evaluate
    data = {
        "data": evaluate.data,
        "arguments": {**evaluate.arguments, "split": "valid"},
        "max_ndcg_drop": 0.9,
    }
    four = build(replace(given, compress=Compress(preset="int4", **data)), out=folder / f"{model}-preset")
    names = [each.name for each in four.evidence.compression if each.done.startswith("linear")]
    for number, (name, rounding, tensors) in enumerate(plans(names, model)):
        start = time.perf_counter()
        asked = replace(given, compress=Compress(tensors=tensors, **data))
        made = build(asked, out=folder / f"{model}-{number}")
        row = row_of(model, name, rounding, made, (time.perf_counter() - start) / 60)
        print(f"{asdict(row)}", file=sys.stderr)
        yield row


def row_of(model: str, plan: str, rounding: str, made: BuildResult, minutes: float) -> Row:
    """The line of a build."""
    cost = next(each.ranking for each in made.evidence.results if each.target == COMPRESSED)
    assert cost is not None
    metric = next(iter(name for name in cost.reference if name.startswith(("ndcg@", "auc"))))
    change = next(each for each in cost.changes if each.metric == metric)
    interval, tensors = change.interval(), made.evidence.compression
    assert interval is not None
    return Row(
        model=model,
        plan=plan,
        rounding=rounding,
        share=sum(each.bytes_after for each in tensors) / sum(each.bytes_before for each in tensors),
        metric=metric,
        before=cost.reference[metric],
        change=change.change,
        low=interval.low,
        high=interval.high,
        overlap=cost.top_k_overlap,
        minutes=minutes,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", nargs="*", default=["sasrec", "two-tower", "dlrm"], choices=list(TABLES))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for model in asked.model for row in rows_of(model, Path(folder))]
    if asked.json:
        print(json.dumps([asdict(each) for each in rows], indent=1))
        return
    print("| model | plan | rounding | weights | metric | change (95 %) | overlap@10 |")
    print("|---|---|---|---|---|---|---|")
    for each in rows:
        overlap = "" if each.overlap is None else f"{each.overlap:.3f}"
        change = f"{each.change:+.4f} ({each.low:+.4f} to {each.high:+.4f})"
        metric = f"{each.metric} {each.before:.4f}"
        cells = (each.model, each.plan, each.rounding, f"{each.share:.1%}", metric, change, overlap)
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
