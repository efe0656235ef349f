"""Deltas of a nightly SASRec beside bsdiff, zstd --patch-from and the whole files: bytes and times.

    python benchmarks/delta.py FOLDER [--bsdiff PATH] [--storage NAME ...]

Two nights are trained from the zoo's weights: `rows`, in which the rows of 2 % of the items learn from the
windows that hold them, all else frozen; and `drift`, an epoch of everything on a fifth of the users. Each
is built in float32, int8 and int4, for ONNX and Core ML, and once more with the scales of the last release
(`compress.scales_from`). What was trained and built in FOLDER is not made again.

The last column is of whole bundles, in kilobytes that `pocketrec pull` received from a layout: all of it,
what the last release's files leave, and what its delta does.

A row is a target's artifact: the whole of it, whole by zstd -19, then what each tool needs to make it from
the last release's, and the seconds to make it. bsdiff (Debian's) and zstd get the same files, one by one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import pocketrec
from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import sasrec
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.package.bundle import Bundle, is_bundle, read_bundle
from pocketrec.package.created import created
from pocketrec.package.delta.make import Made
from pocketrec.package.registry.references import parse_reference
from pocketrec.pipeline.deltas import apply, delta
from pocketrec.pipeline.registry import pull, push

TABLE = "item_embedding.weight"
SHARE_OF_ITEMS, SHARE_OF_USERS = 0.02, 0.2
NIGHTS = ("rows", "drift")
STORAGES: Mapping[str, str] = {
    "float32": "",
    "int8": '[compress]\npreset = "int8"\n',
    "int4": '[compress]\npreset = "int4"\n',
}
TARGETS = (
    '[targets.onnx]\n\n[targets.coreml]\nprecision = "{precision}"\nminimum_deployment_target = "iOS18"\n\n'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Bytes and seconds of one way to bring one target's artifact."""

    size_bytes: int
    seconds: float


def train(night: str) -> dict[str, torch.Tensor]:
    """The weights after a night."""
    torch.manual_seed(2)
    rng = np.random.default_rng(2)
    items = len(movielens.item_vocabulary().tokens)
    net = sasrec.model(num_items=items - 1, dropout=sasrec.DROPOUT)
    net.load_state_dict(load_file(FAMILIES["sasrec"].weights))
    sequences = [each[:-2] for each in movielens.sequences()]
    if night == "rows":
        chosen = np.sort(rng.choice(np.arange(1, items), round(SHARE_OF_ITEMS * items), replace=False))
        windows = sasrec.training_windows(sequences, net.max_length + 1, rng)
        windows = windows[np.isin(windows, chosen).any(axis=1)]
        rest = torch.ones(items, dtype=torch.bool)
        rest[torch.from_numpy(chosen)] = False
        for name, each in net.named_parameters():
            each.requires_grad_(name == TABLE)
        net.item_embedding.weight.register_hook(lambda grad: grad.masked_fill(rest[:, None], 0))
    else:
        users = rng.choice(len(sequences), round(SHARE_OF_USERS * len(sequences)), replace=False)
        windows = sasrec.training_windows([sequences[each] for each in users], net.max_length + 1, rng)
    parameters = [each for each in net.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=sasrec.SCHEDULE.learning_rate / 10)
    net.train()
    for start in range(0, len(windows), sasrec.BATCH_SIZE):
        optimizer.zero_grad()
        loss = sasrec.next_item_loss(net, torch.from_numpy(windows[start : start + sasrec.BATCH_SIZE]))
        loss.backward()
        optimizer.step()
    return net.eval().state_dict()


def built(folder: Path, storage: str, night: str, *, frozen: bool = False) -> Bundle:
    """The bundle of a night, built where that was not done."""
    name = f"{storage}-{night}{'-frozen' if frozen else ''}"
    place = folder / "bundles" / name
    if not is_bundle(place):
        weights = FAMILIES["sasrec"].weights if night == "base" else folder / f"{night}.safetensors"
        text = FAMILIES["sasrec"].recipe.read_text(encoding="utf-8")
        text = text[: text.index("[targets.onnx]")]
        text = text.replace("../weights/sasrec.safetensors", os.path.relpath(weights, folder))
        text = text.replace('version = "1.0.0"', f'version = "{"1.0.0" if night == "base" else "1.0.1"}"')
        text += TARGETS.format(precision="float32" if storage == "float32" else "float16")
        text += STORAGES[storage]
        if frozen:
            text += f'scales_from = "bundles/{storage}-base"\n'
        recipe = folder / f"{name}.toml"
        recipe.write_text(text, encoding="utf-8")
        print(f"build {name}", file=sys.stderr, flush=True)
        pocketrec.build(recipe, out=place)
    return read_bundle(place)


def timed(call: Callable[[], int]) -> Taken:
    """What a call returns, with its seconds."""
    start = time.perf_counter()
    size = call()
    return Taken(size_bytes=size, seconds=time.perf_counter() - start)


def of_target(target: str, names: Sequence[str]) -> list[str]:
    """The files of a target's artifacts."""
    return [each for each in names if each.startswith(f"artifacts/{target}/")]


def peers(old: Bundle, new: Bundle, target: str, bsdiff: str) -> Iterator[tuple[str, Taken]]:
    """The same files by others: whole, deflated whole, and as patches; equal files cost them nothing."""
    names = [
        each
        for each in of_target(target, list(new.manifest.files))
        if new.manifest.files[each] != old.manifest.files.get(each)
    ]
    pairs = [(old.path / each, new.path / each) for each in names]
    everything = of_target(target, list(new.manifest.files))
    yield "whole", timed(lambda: sum((new.path / each).stat().st_size for each in everything))
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        yield (
            "zstd -19",
            timed(
                lambda: sum(
                    _size(out, "zstd", "-19", "-f", "-q", new.path / each, "-o", out) for each in everything
                )
            ),
        )
        yield (
            "zstd --patch-from",
            timed(
                lambda: sum(
                    _size(out, "zstd", "-19", "-f", "-q", f"--patch-from={one}", other, "-o", out)
                    for one, other in pairs
                )
            ),
        )
        yield "bsdiff", timed(lambda: sum(_size(out, bsdiff, one, other, out) for one, other in pairs))


def _size(out: Path, *command: str | Path) -> int:
    subprocess.run([str(each) for each in command], check=True, stderr=subprocess.DEVNULL)
    return out.stat().st_size


def pulled(old: Bundle, new: Bundle, file: Path, scratch: Path) -> Iterator[int]:
    """Bytes that pulling the new release took: whole, then with the old one's files, then with its delta."""
    place = parse_reference(f"{scratch / 'place'}:new")
    push(new.path, place, created=created(None))
    yield pull(place, out=scratch / "whole").bytes_received
    yield pull(place, base=old.path, out=scratch / "copied").bytes_received
    push(new.path, place, created=created(None), deltas=[file])
    done = pull(place, base=old.path, out=scratch / "by-delta")
    if not done.by_delta.base:
        raise SystemExit(f"{new.path}: its delta was not used: {done.by_delta.why}")
    yield done.bytes_received


def ours(old: Bundle, new: Bundle, scratch: Path) -> tuple[Made, float, float]:
    """The delta of the whole bundle, and the seconds to make and to apply it; what it gives is compared."""
    start = time.perf_counter()
    made = delta(old.path, new.path, scratch / "d.delta")
    between = time.perf_counter()
    given = apply(old.path, scratch / "d.delta", scratch / "out")
    end = time.perf_counter()
    if given.manifest != new.manifest:
        raise SystemExit(f"{new.path}: the delta does not give it")
    shutil.rmtree(scratch / "out")
    return made, between - start, end - between


def rows(folder: Path, storages: Sequence[str], bsdiff: str) -> Iterator[list[str]]:
    """The table."""
    for storage in storages:
        old = built(folder, storage, "base")
        for night in NIGHTS:
            for frozen in (False, True) if storage != "float32" else (False,):
                new = built(folder, storage, night, frozen=frozen)
                with tempfile.TemporaryDirectory() as scratch:
                    made, making, applying = ours(old, new, Path(scratch))
                    received = list(pulled(old, new, Path(scratch) / "d.delta", Path(scratch)))
                stored = {each.path: each.stored_bytes for each in made.files}
                for target in new.manifest.artifacts:
                    found = dict(peers(old, new, target, bsdiff))
                    whole = found["whole"].size_bytes
                    own = sum(stored[each] for each in of_target(target, list(stored)))
                    yield [
                        storage + (", frozen scales" if frozen else ""),
                        night,
                        target,
                        f"{whole / 1e3:.1f}",
                        f"{own / 1e3:.1f}",
                        f"{own / whole:.1%}",
                        *(f"{found[each].size_bytes / 1e3:.1f}" for each in list(found)[1:]),
                        f"{making:.2f} / {applying:.2f}",
                        " / ".join(f"{found[each].seconds:.2f}" for each in list(found)[2:]),
                        " / ".join(f"{each / 1e3:.0f}" for each in received),
                    ]


def main() -> None:
    """Trains, builds and compares, and prints the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bsdiff", default=shutil.which("bsdiff") or "bsdiff", help="Debian's bsdiff")
    parser.add_argument("--storage", action="append", choices=list(STORAGES))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for night in NIGHTS:
        path = given.folder / f"{night}.safetensors"
        if not path.exists():
            save_file(train(night), path)
    head = [
        "stored as",
        "night",
        "target",
        "whole, kB",
        "delta, kB",
        "share",
        "zstd -19",
        "zstd --patch-from",
    ]
    head += [
        "bsdiff",
        "bundle: make / apply, s",
        "zstd / bsdiff, s",
        "pulled: whole / with files / by delta, kB",
    ]
    print(" | ".join(["", *head, ""]).strip())
    print("|" + "---|" * len(head))
    for row in rows(given.folder, given.storage or list(STORAGES), given.bsdiff):
        print(" | ".join(["", *row, ""]).strip(), flush=True)


if __name__ == "__main__":
    main()
