"""What is fuzzed: one target a reader of files from outside, each with its seeds and how it is called.

A target's input is a byte that chooses the file that is replaced, then that file's content; where there is
one file only, the content alone. Whatever it is, a reader gives a result or a PocketrecError.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tests.fuzz import seeds

from pocketrec.errors import ArtifactError, PocketrecError


@dataclass(slots=True, kw_only=True)
class Target:
    """A reader with its files.

    Attributes:
        make: fills an empty folder with whole files.
        files: those that are replaced, relative to the folder.
        read: calls the reader on the folder.
        folder: where `prepare` has put the files.
        whole: the files' contents as they were made.
    """

    make: Callable[[Path], object]
    files: Sequence[str]
    read: Callable[[Path], object]
    folder: Path = Path()
    whole: dict[str, bytes] = field(default_factory=dict)
    _kept: dict[Path, bytes] = field(default_factory=dict)

    def prepare(self, folder: Path) -> None:
        """Makes the files in an empty folder."""
        self.make(folder)
        self.folder = folder
        self.whole = {name: (folder / name).read_bytes() for name in self.files}
        self._kept = {path: path.read_bytes() for path in sorted(folder.glob("b/**/*")) if path.is_file()}

    def inputs(self) -> list[bytes]:
        """The seeds: every file as it is."""
        prefix = len(self.files) > 1
        return [bytes([n] if prefix else []) + self.whole[name] for n, name in enumerate(self.files)]

    def run(self, data: bytes) -> PocketrecError | None:
        """What the reader says to the data; raises whatever is no PocketrecError, and where it wrote."""
        choice, content = (data[:1], data[1:]) if len(self.files) > 1 else (b"\0", data)
        name = self.files[(choice or b"\0")[0] % len(self.files)]
        (self.folder / name).write_bytes(content)
        if name.startswith("b/"):
            seal_again(self.folder / "b", name.removeprefix("b/"))
        before, said = listing(self.folder), None
        try:
            self.read(self.folder)
        except PocketrecError as error:
            said = error
        finally:
            after = listing(self.folder)
            (self.folder / name).write_bytes(self.whole[name])
            for path, kept in self._kept.items():  # digests that were made to fit
                path.write_bytes(kept)
        assert said is None or "\n" not in str(said), f"more than a line: {said}"
        assert before == after, f"wrote into its folder: {set(before) ^ set(after)}"
        return said


def listing(folder: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of all files."""
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")))
    return [(str(path), about.st_size, about.st_mtime_ns) for path, about in found]


def seal_again(bundle: Path, name: str) -> None:
    """Makes a bundle's digests fit again, so that a reader comes to look at what was replaced."""
    if name in ("manifest.json", "evidence/manifest.json"):
        digests = {each: hashlib.sha256((bundle / each).read_bytes()).hexdigest() for each in _MANIFESTS}
        lines = "".join(f"{digests[each]}  {each}\n" for each in _MANIFESTS)
        (bundle / "manifest.sha256").write_text(f"{lines}# {hashlib.sha256(lines.encode()).hexdigest()}\n")
    elif name != "manifest.sha256":
        from pocketrec.package.bundle import seal

        artifacts = {"onnx": {"main": "artifacts/onnx/main.onnx"}}
        seal(bundle, name="double", version="1", artifacts=artifacts)


_MANIFESTS = ("evidence/manifest.json", "manifest.json")
_GOLDEN = ("golden/golden.json", "golden/main.safetensors", "golden/main.vectors.json")
_SIGNATURES = ("model.sig", "test-result.intoto.jsonl", "provenance.intoto.jsonl", "bom.cdx.json")
_SIGNED = (
    *(f"s/signatures/{name}" for name in _SIGNATURES),
    "s/manifest.json",
    "release.pub.pem",
    "release.pem",
)
_BUNDLE = ("contract.json", *_GOLDEN, "recipe.json")


def _verify(folder: Path) -> None:
    from pocketrec.pipeline.verify import verify

    verify(folder / "b")


def _signature(folder: Path) -> None:
    from datetime import UTC, datetime

    from pocketrec.package.sign.check import check_signature
    from pocketrec.package.sign.keys import read_private_key, read_public_key

    read_private_key(folder / "release.pem", lambda: None)
    key = read_public_key(folder / "release.pub.pem")
    check_signature(folder / "s", key, now=datetime(2027, 1, 1, tzinfo=UTC))


def _inspect(folder: Path) -> None:
    from pocketrec.validate.artifact.sizes import describe_artifact

    describe_artifact(_artifact(folder))


def _lint(folder: Path) -> None:
    from pocketrec.validate.lint import lint_artifact

    lint_artifact(_artifact(folder))


def _inspect_and_lint(folder: Path) -> None:
    _both(_inspect, _lint, folder)


def _package(folder: Path) -> None:
    from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter

    def opened(place: Path) -> None:
        with CoreMLInterpreter(_artifact(place)):
            pass

    _both(_inspect_and_lint, opened, folder)


def _both(one: Callable[[Path], None], other: Callable[[Path], None], folder: Path) -> None:
    try:
        one(folder)
    except PocketrecError:
        other(folder)
    else:
        other(folder)


def _artifact(folder: Path) -> Path:
    return next(each for each in folder.iterdir() if each.suffix in (".onnx", ".mlpackage"))


def _contract(folder: Path) -> None:
    from pocketrec.contract import Contract
    from pocketrec.outside import read_json
    from pocketrec.schema import from_table

    from_table(Contract, read_json(folder / "contract.json"), source="contract.json")


def _recipe(folder: Path) -> None:
    from pocketrec.pipeline.recipes import load_recipe

    load_recipe(folder / "recipe.toml")


def _checkpoint(folder: Path) -> None:
    from pocketrec.source.checkpoint import open_checkpoint
    from pocketrec.source.weights import load_state_dict

    for name in ("w.index.json", "w.safetensors", "w.pt", "arrays"):
        for read in (open_checkpoint, load_state_dict):
            with suppress(PocketrecError):
                read(folder / name)


def _arrays(folder: Path) -> None:
    from pocketrec.validate.runtimes.runtime import TensorSpec

    specs = (TensorSpec(name="ids", dtype="int32", shape=(None, 3), bounds=((1, None), (3, 3))),)
    _both(lambda place: _read_arrays(place, specs), lambda place: _read_arrays(place, None), folder)


def _read_arrays(folder: Path, specs: Any) -> None:
    from pocketrec.cli.arrays import load_arrays

    load_arrays(folder / "in.npz", specs)


def _exported(folder: Path) -> None:
    from pocketrec.source.saved import load_saved

    load_saved(folder / "m.pt2")


def _tables(folder: Path) -> None:
    from pocketrec.source.columns import read_rows, schema_of

    for name in ("t.parquet", "t.arrow"):
        with suppress(PocketrecError):
            schema, _ = schema_of(folder / name)
            for _ in read_rows(folder / name, schema.names, 0):
                pass


def _measurements(folder: Path) -> None:
    from pocketrec.pipeline.measurements import MeasurementFile

    MeasurementFile(folder / "measurements.jsonl", {"ndcg@10"}).get("a")


def _origins(folder: Path) -> None:
    from pocketrec.package.origins import read_origins

    read_origins(folder / "origins.json", "main.onnx", "main")


def _inner_origins(folder: Path) -> None:
    from pocketrec.origin import from_text

    try:
        text = (folder / "origins").read_bytes().decode("ascii")
    except UnicodeDecodeError as error:
        raise ArtifactError("no text") from error
    from_text(text, where="origins")


def _make_contract(folder: Path) -> None:
    seeds.make_bundle(folder / "b")
    (folder / "contract.json").write_bytes((folder / "b/contract.json").read_bytes())


def _make_signed(folder: Path) -> None:
    """A signed bundle with its key, which is the same each time so that what was found can be run again."""
    from tests.package.sign.signing import pair, sign

    seeds.make_bundle(folder / "s")
    sign(folder / "s", pair(folder, number=20270101))


def _make_checkpoint(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {"a.weight": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.float16)}
    save_file(state, folder / "w.safetensors")
    torch.save(state, folder / "w.pt")
    index = {"weight_map": dict.fromkeys(state, "w.safetensors")}
    (folder / "w.index.json").write_text(json.dumps(index))
    (folder / "arrays").mkdir()
    np.save(folder / "arrays/a.npy", np.ones((3, 4), np.float32))


def _make_arrays(folder: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, ids=np.ones((2, 3), np.int32))
    (folder / "in.npz").write_bytes(stream.getvalue())


def _make_tables(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"ids": [[1, 2], [3]], "label": [0.5, 1.0]})
    pq.write_table(table, folder / "t.parquet")
    with pa.OSFile(str(folder / "t.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _make_measurements(folder: Path) -> None:
    from pocketrec.pipeline.measurements import MeasurementFile
    from pocketrec.quantize.planner import Measured

    store = MeasurementFile(folder / "measurements.jsonl", {"ndcg@10"})
    for key in "ab":
        store.put(key, Measured(losses={"ndcg@10": 0.1}, distortion=0.5, errors={"ndcg@10": 0.01}))


def _make_origins(folder: Path) -> None:
    from pocketrec.origin import Carried, Origin, Told
    from pocketrec.package.origins import write_origins

    origin = Origin(module="a", source="m.py:3", op="add", ordinal=1, count=2)
    carried = {"a.weight": Carried(method="linear 8 bit", shape=(2, 3), size_bytes=10)}
    write_origins(
        folder / "origins.json", {"main.onnx": {"main": Told(origins={"y": origin}, carried=carried)}}
    )


def _make_inner_origins(folder: Path) -> None:
    plain = json.dumps({"y": ["a", "m.py:3", "add", 1, 2, True]}).encode()
    (folder / "origins").write_bytes(base64.b64encode(zlib.compress(plain)))


def _package_target(name: str) -> Target:
    return Target(
        make=lambda folder: seeds.make_package(folder / "m.mlpackage"),
        files=(f"m.mlpackage/{name}",),
        read=_package,
    )


def _bundle_target(*names: str) -> Target:
    return Target(
        make=lambda folder: seeds.make_bundle(folder / "b"),
        files=tuple(f"b/{name}" for name in names),
        read=_verify,
    )


TARGETS: dict[str, Target] = {
    "manifest": _bundle_target("manifest.json", "evidence/manifest.json", "manifest.sha256"),
    "bundle": _bundle_target(*_BUNDLE, "evidence/evidence.json"),
    "signature": Target(make=_make_signed, files=_SIGNED, read=_signature),
    "contract": Target(make=_make_contract, files=("contract.json",), read=_contract),
    "recipe": Target(
        make=lambda folder: (folder / "recipe.toml").write_text(seeds.RECIPE),
        files=("recipe.toml",),
        read=_recipe,
    ),
    "onnx": Target(
        make=lambda folder: seeds.make_onnx(folder / "m.onnx", external="w.bin"),
        files=("m.onnx", "w.bin"),
        read=_inspect_and_lint,
    ),
    "program": _package_target(seeds.MODEL),
    "weights": _package_target(seeds.WEIGHTS),
    "package": _package_target("Manifest.json"),
    "checkpoint": Target(
        make=_make_checkpoint,
        files=("w.safetensors", "w.pt", "w.index.json", "arrays/a.npy"),
        read=_checkpoint,
    ),
    "arrays": Target(make=_make_arrays, files=("in.npz",), read=_arrays),
    "exported": Target(
        make=lambda folder: seeds.make_exported(folder / "m.pt2"), files=("m.pt2",), read=_exported
    ),
    "tables": Target(make=_make_tables, files=("t.parquet", "t.arrow"), read=_tables),
    "measurements": Target(make=_make_measurements, files=("measurements.jsonl",), read=_measurements),
    "origins": Target(make=_make_origins, files=("origins.json",), read=_origins),
    "inner origins": Target(make=_make_inner_origins, files=("origins",), read=_inner_origins),
}
