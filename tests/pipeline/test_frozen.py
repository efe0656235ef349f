"""What a build takes over from the release before, what it says of it, and what it leaves to the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketrec.errors import ArtifactError, RecipeError, UsageError
from pocketrec.package.bundle import read_bundle
from pocketrec.package.manifest import seal
from pocketrec.package.scales import write_scales
from pocketrec.pipeline.frozen import Taken, kept_notes, scales_of, taken
from pocketrec.quantize import QuantizedTensor
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.usage import Usage
from pocketrec.recipe import Compress

VALUES = np.random.default_rng(0).normal(size=(40, 32)).astype(np.float32)
INT8, INT4 = Linear().quantize("table", VALUES), Linear(bits=4).quantize("layer", VALUES)


@pytest.fixture
def last(tmp_path: Path) -> Path:
    folder = tmp_path / "last"
    folder.mkdir()
    (folder / "a.onnx").write_bytes(b"onnx")
    write_scales(folder, scales_of({"table": INT8, "layer": INT4}))
    seal(folder, name="small", version="1.4.0", artifacts={"onnx": {"main": "a.onnx"}})
    return folder


def asked(**keys: object) -> Compress:
    return Compress(preset="int8", scales_from="last", **keys)  # type: ignore[arg-type]


def test_what_a_bundle_leaves_is_what_the_next_build_knows(last: Path) -> None:
    found = taken(asked(out_of_range="refuse", scale_headroom=0.1), last.parent)
    known = found.known({"table": Usage(popularity=np.ones(40))}, {"table": 0, "bias": 0})
    frozen = known["table"].frozen
    assert frozen is not None
    assert frozen.scales.tobytes() == INT8.scales.tobytes()
    assert (frozen.outside, known["table"].headroom) == ("refuse", 0.1)
    assert known["table"].popularity is not None
    assert known["bias"].frozen is None
    assert taken(Compress(), last.parent) == Taken()


def test_evidence_says_what_was_kept_and_what_was_not_by_name(last: Path) -> None:
    found = taken(asked(), last.parent)
    changed = np.concatenate([VALUES, VALUES[:2]])
    changed[3] *= 2
    frozen = found.tensors["table"]
    codes: dict[str, QuantizedTensor] = {
        "table": Linear().quantize("table", changed, usage=Usage(frozen=frozen)),
        "layer": Linear().quantize("layer", VALUES),
        "other": Linear().quantize("other", VALUES),
        "palette": Palette(bits=4).quantize("palette", VALUES),
    }
    tree = read_bundle(last).manifest.tree_sha256[:12]
    assert kept_notes(found, codes) == (
        f"Scales of small 1.4.0 (tree {tree}): 39 of 42 kept; fitted: table 1 anew and 2 new, layer all "
        "(4 bits per_row there), other all (none there), palette all (palette has no scales to keep).",
    )
    assert kept_notes(found, {"table": INT8})[0].endswith("40 of 40 kept; fitted: layer gone.")
    assert kept_notes(Taken(), codes) == ()


def test_a_release_that_leaves_nothing_or_is_altered_is_refused(last: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        taken(asked(), tmp_path / "elsewhere")
    (last / "a.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"a\.onnx: altered"):
        taken(asked(), last.parent)
    (last / "compression/scales.safetensors").unlink()
    seal(last, name="small", version="1.4.0", artifacts={"onnx": {"main": "a.onnx"}})
    with pytest.raises(UsageError, match="holds no scales"):
        taken(asked(), last.parent)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"scales_from": "last"}, "compress.scales_from: nothing is compressed"),
        ({"scale_headroom": 0.1}, "compress.scale_headroom: nothing is compressed"),
        ({"preset": "int8", "out_of_range": "refuse"}, "goes with scales_from"),
        ({"preset": "int8", "scale_headroom": 2.0}, "compress.scale_headroom is 2.0; expected 0 to 1"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Compress(**keys)  # type: ignore[arg-type]
