"""`pocketrec build` of a model whose table is streamed: the plain build's bytes, or one line and nothing."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from pocketrec.errors import PlanError
from pocketrec.pipeline.build import BuildResult, build
from pocketrec.pipeline.diverge import diverge_bundle
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.references import reference_of
from pocketrec.quantize import candidates
from pocketrec.source.factory import load_factory
from pocketrec.source.loaded import prepare
from pocketrec.validate.evidence import examine_target
from pocketrec.validate.measure import quality
from pocketrec.workers import Workers

Run = Callable[..., subprocess.CompletedProcess[str]]

ROWS, WIDTH = 3000, 8
SEARCHED = "[compress]\nmax_ratio = 0.2\n"
TABLE = "item.weight"
MODEL = """
import numpy as np
import torch
from torch import nn

from pocketrec.evaluation import RankingData

class Retrieval(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.item = nn.Embedding(rows, 8, padding_idx=0)
        self.user = nn.Linear(8, 8)

    def forward(self, history):
        user = torch.tanh(self.user(self.item(history).mean(1)))
        return torch.topk(user @ self.item.weight.T, 10)

def make(rows):
    return Retrieval(rows)

def greedy(rows):
    model = Retrieval(rows)
    model.item.weight = nn.Parameter(torch.from_numpy(np.ones((rows, 8), np.float32)))
    return model

def data(rows):
    rng = np.random.default_rng(0)
    return RankingData(
        inputs={"history": rng.integers(1, rows, (20, 4)).astype(np.int32)},
        positives=rng.integers(1, rows, 20),
        seen_ids=np.zeros(0, np.int64),
        seen_offsets=np.zeros(21, np.int64),
        catalogue={},
    )
"""
RECIPE = """
schema = 1
name = "retrieval"
version = "1.0"

[model]
factory = "model.py:make"
weights = "model.safetensors.index.json"
arguments = { rows = 3000 }
stream_mb = 0.05

[contract.dims.batch]
max = 4
[contract.vocabularies.item]
tokens = "items.txt"
padding_id = 0

[[contract.functions.main.inputs]]
name = "history"
kind = "id_sequence"
shape = ["batch", 4]
vocabulary = "item"
padding_side = "left"
out_of_vocabulary = "padding"

[[contract.functions.main.outputs]]
name = "scores"
meaning = "top_k_scores"
shape = ["batch", 10]
[[contract.functions.main.outputs]]
name = "ids"
meaning = "top_k_ids"
dtype = "int32"
shape = ["batch", 10]
vocabulary = "item"

[evaluate]
data = "model.py:data"
kind = "ranking"
output = "ids"
arguments = { rows = 3000 }

[latency]
warmup = 1
runs = 10

[targets.onnx]
[targets.coreml]
precision = "float32"
minimum_deployment_target = "iOS18"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe with a checkpoint of two shards, whose table is streamed."""
    return write_recipe(tmp_path)


def write_recipe(folder: Path) -> Path:
    (folder / "model.py").write_text(MODEL)
    (folder / "items.txt").write_text("".join(f"item {number}\n" for number in range(ROWS)))
    generator = torch.Generator().manual_seed(0)
    shards = {
        "a.safetensors": {TABLE: torch.randn(ROWS, WIDTH, generator=generator)},
        "b.safetensors": {
            "user.weight": torch.randn(WIDTH, WIDTH, generator=generator),
            "user.bias": torch.zeros(WIDTH),
        },
    }
    for name, state in shards.items():
        save_file(state, folder / name)
    index = {"weight_map": {name: shard for shard, state in shards.items() for name in state}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "recipe.toml").write_text(RECIPE)
    return folder / "recipe.toml"


Pairs = Callable[[str, tuple[str, ...]], dict[str, BuildResult]]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    """The streamed build and the plain one of a recipe, built once for the tests that only read them.

    A search of the plain one tries no forms by popularity, as of a streamed table there are none.
    """

    @cache
    def pair(compress: str, targets: tuple[str, ...]) -> dict[str, BuildResult]:
        folder = tmp_path_factory.mktemp("pair")
        built: dict[str, BuildResult] = {}
        recipe = write_recipe(folder)
        for name, size in (("streamed", "0.05"), ("plain", "0")):
            recipe.write_text(RECIPE.replace("stream_mb = 0.05", f"stream_mb = {size}") + compress)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(candidates, "_in_parts", lambda _: ())
                built[name] = build(recipe, out=folder / name, targets=targets)
        return built

    return pair


def artifacts(bundle: Path) -> dict[str, bytes]:
    folder = bundle / "artifacts"
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


@pytest.mark.long
@pytest.mark.parametrize(
    ("compress", "targets"),
    [
        ("", ("onnx",)),
        ('[compress]\npreset = "int8"\n', ("onnx", "coreml")),
        ('[compress.tensors]\n"item.*" = {scheme = "palette", rounding = "feedback"}\n', ("onnx",)),
        ('[compress.tensors]\n"item.*" = {scheme = "hot_rows"}\n', ("onnx", "coreml")),
        (SEARCHED, ("onnx",)),
    ],
)
def test_a_streamed_build_has_the_artifacts_and_the_evidence_of_the_plain_one(
    compress: str, targets: tuple[str, ...], pairs: Pairs
) -> None:
    built = pairs(compress, targets)
    streamed, plain = built["streamed"].evidence, built["plain"].evidence
    assert artifacts(built["streamed"].path) == artifacts(built["plain"].path)
    assert len(artifacts(built["plain"].path)) >= len(targets)
    assert streamed.sizes == plain.sizes
    assert streamed.compression == plain.compression
    assert [(each.gate, each.target, each.status) for each in streamed.gates] == [
        (each.gate, each.target, each.status) for each in plain.gates
    ]
    for ours, theirs in zip(streamed.results, plain.results, strict=True):
        assert ours.ranking == theirs.ranking
        # The reference's last bits depend on where in memory a table lies, mapped or held.
        for one, other in zip(ours.parity, theirs.parity, strict=True):
            assert one.max_abs_error == pytest.approx(other.max_abs_error, abs=1e-5)
    said = f"Streamed from the checkpoint, never held: {TABLE} ({ROWS} × {WIDTH})."
    assert said not in plain.notes
    assert sorted(streamed.notes) == sorted((said, *plain.notes))


def test_a_search_measures_what_the_plain_one_does_and_leaves_no_values(pairs: Pairs) -> None:
    """Plans of a streamed table have the losses of the same plans of a held one; their files are gone."""
    lines: dict[str, list[object]] = {}
    for name, result in pairs(SEARCHED, ("onnx",)).items():
        folder = result.path.with_name(f"{name}.search")
        entries = map(json.loads, (folder / "measurements.jsonl").read_text().splitlines())
        lines[name] = [(each["losses"], each["distortion"]) for each in entries]
        files = ["candidates.jsonl", "measurements.jsonl", "pareto.json", "plan.toml"]
        assert sorted(each.name for each in folder.iterdir()) == files
        lines[name].append((folder / "plan.toml").read_text())
    assert lines["streamed"] == lines["plain"]
    assert len(lines["plain"]) > 5


@pytest.mark.parametrize(
    ("stream_mb", "compress"),
    [("0.05", ""), ("0", 'activations = "static"\n'), ("0", 'activations = "dynamic"\n')],
    ids=["streamed", "static", "dynamic"],
)
def test_diverge_compares_with_the_reference_that_was_compressed_so(
    stream_mb: str, compress: str, recipe: Path, tmp_path: Path
) -> None:
    """Streamed tables and rounded inputs are part of what an artifact must equal op by op."""
    tables = '[compress.tensors]\n"*.weight" = {scheme = "linear"}\n'
    text = RECIPE.replace("stream_mb = 0.05", f"stream_mb = {stream_mb}").replace("[targets.coreml]", "")
    text = text.replace('precision = "float32"\nminimum_deployment_target = "iOS18"\n', "")
    recipe.write_text(f"{text}[compress]\n{compress}{tables}")
    build(recipe, out=tmp_path / "out")
    (found,) = diverge_bundle(tmp_path / "out", recipe)
    assert found.comparison.divergence is None
    recipe.write_text(recipe.read_text().replace("[compress]", '[compress]\nfloat_layers = ["user"]'))
    if compress:  # the bundle's own plan is what counts, whatever the recipe says by now
        assert diverge_bundle(tmp_path / "out", recipe)[0].comparison.divergence is None


def test_a_factory_that_allocates_its_table_works_and_the_report_says_so(
    recipe: Path, tmp_path: Path
) -> None:
    recipe.write_text(RECIPE.replace("model.py:make", "model.py:greedy"))
    result = build(recipe, out=tmp_path / "out", targets=["onnx"])
    assert result.passed
    said = f"model.factory allocates {TABLE} itself ({4 * ROWS * WIDTH} bytes)"
    assert said in result.report.read_text()


@pytest.mark.parametrize(
    ("compress", "message"),
    [
        (
            '[compress.tensors]\n"item.*" = {scheme = "sparse"}\n',
            f"{TABLE}: sparse needs the",
        ),
        (
            '[compress.tensors]\n"item.*" = {scheme = "palette", axis = "rows", groups = 2}\n',
            f"{TABLE}: groups of rows need the whole table",
        ),
        (
            '[compress]\nmax_ratio = 0.3\nrounding = "distilled"\n',
            f"'distilled' holds the model, and {TABLE} is streamed",
        ),
    ],
)
def test_what_needs_the_whole_table_is_refused_by_name(
    compress: str, message: str, recipe: Path, tmp_path: Path
) -> None:
    recipe.write_text(RECIPE + compress)
    with pytest.raises(PlanError, match=message):
        build(recipe, out=tmp_path / "out", targets=["onnx"])
    assert nothing_left(tmp_path)


def nothing_left(folder: Path) -> bool:
    return not [each for each in folder.iterdir() if each.name.lstrip(".").startswith("out")]


def test_a_shard_that_is_missing_or_short_is_one_line_and_nothing_is_left(
    pocketrec: Run, recipe: Path, tmp_path: Path
) -> None:
    shard = tmp_path / "a.safetensors"
    whole = shard.read_bytes()
    for damage, message in (
        (
            lambda: shard.write_bytes(whole[:-1000]),
            f"a.safetensors: {len(whole) - 1000} bytes, but {TABLE} ends at byte",
        ),
        (shard.unlink, "a.safetensors: no such file"),
    ):
        damage()
        done = pocketrec("build", recipe, "--out", tmp_path / "out", "--target", "onnx")
        assert done.returncode == 2
        (line,) = [each for each in done.stderr.splitlines() if each.startswith("error: ")]
        assert message in line
        assert nothing_left(tmp_path)


def test_a_number_that_is_not_finite_is_named_before_any_work_is_done(
    pocketrec: Run, recipe: Path, tmp_path: Path
) -> None:
    shard = tmp_path / "a.safetensors"
    state = load_file(shard)
    state[TABLE][2345, 3] = float("nan")
    save_file(state, shard)
    done = pocketrec("build", recipe, "--out", tmp_path / "out", "--target", "onnx")
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: {TABLE}: row 2345, column 3 is nan; expected finite numbers")
    assert "reference" not in done.stderr
    assert nothing_left(tmp_path)


def limited() -> None:
    """No file of more than 40,000 bytes, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


@pytest.mark.long
def test_a_disk_without_room_is_one_line_and_nothing_is_left(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE + '[compress]\npreset = "int8"\n')
    command = [sys.executable, "-m", "pocketrec", "build", str(recipe), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert done.returncode == 3, done.stderr
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("error: ")]
    assert f"the file needs {4 * ROWS * WIDTH} bytes; raise the limit" in line
    assert nothing_left(tmp_path)


KILLED = """
import os, signal, sys
import pocketrec.convert.onnx.external as seam
from pocketrec.cli.main import main
seam.write_tables = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


@pytest.mark.long
def test_a_kill_in_the_middle_leaves_no_bundle_and_a_rerun_works(recipe: Path, tmp_path: Path) -> None:
    arguments = ["build", str(recipe), "--out", str(tmp_path / "out"), "--target", "onnx"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out.staging-*"))
    assert build(recipe, out=tmp_path / "out", targets=["onnx"]).passed
    assert not list(tmp_path.glob(".out*"))


def write_users(recipe: Path) -> None:
    """Puts the evaluation data into Parquet files in place of the factory's arrays."""
    data = load_factory("model.py:data", base=recipe.parent, key="evaluate.data")(ROWS)
    table = pa.table({"history": data.inputs["history"].tolist(), "positive": data.positives})
    for name, start in (("a", 0), ("b", 7)):
        pq.write_table(table.slice(start, 7 if name == "a" else None), recipe.with_name(f"{name}.parquet"))
    factory = 'data = "model.py:data"\nkind = "ranking"\noutput = "ids"\narguments = { rows = 3000 }'
    assert factory in RECIPE
    files = 'data = "*.parquet"\nkind = "ranking"\noutput = "ids"'
    recipe.write_text(RECIPE.replace(factory, files))


def found(recipe: Path, artifact: Path, workers: Workers) -> str:
    """What the evidence says of reference and artifact, every digit of it."""
    loaded = prepare(load_recipe(recipe), recipe.parent)
    reference = reference_of(next(iter(loaded.trials)), loaded.trials, workers=workers)
    result = examine_target(
        "onnx",
        "onnxruntime",
        {"main": artifact},
        reference=reference,
        gates=loaded.recipe.gates,
        workers=workers,
    )
    (known,) = reference.evaluations
    assert known.quality.top_k is not None
    return repr([reference.result(), known.quality.top_k.tolist(), result])


@pytest.mark.long
def test_workers_their_engine_and_where_the_data_lie_change_nothing(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(quality, "_MOST_ROWS", 4)
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        build("recipe.toml", out=Path("out"), targets=["onnx"])
    artifact = tmp_path / "out/artifacts/onnx/main.onnx"
    alone = found(recipe, artifact, Workers())
    assert found(recipe, artifact, Workers(count=2)) == alone
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        there = Workers(engine="dask", address=cluster.scheduler_address)
        monkeypatch.chdir(tmp_path)  # where the cluster's workers are not
        recipe, artifact = Path(recipe.name), artifact.relative_to(tmp_path)
        assert found(recipe, artifact, there) == alone
        write_users(recipe)
        assert found(recipe, artifact, Workers()) == alone
        assert found(recipe, artifact, there) == alone
