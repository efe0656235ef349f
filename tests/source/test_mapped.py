"""What a streamed model computes with: the checkpoint itself, or a file of what the codes stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import ROWS, Case

from pocketrec.errors import TableError
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.palette import Palette
from pocketrec.quantize.schemes.scaled_palette import ScaledPalette
from pocketrec.quantize.usage import Usage
from pocketrec.source.compressed import compress_core
from pocketrec.source.mapped import mapped_module, value_spans
from pocketrec.source.streamed import load_streamed, mapped_tensor, reaches
from pocketrec.source.weights import load_state_dict

pytestmark = pytest.mark.usefixtures("small_chunks")

NAME = "item.weight"


@pytest.mark.parametrize("scheme", [Linear(), Linear(bits=4), Palette(bits=3), ScaledPalette(bits=3)])
def test_codes_stand_for_the_values_of_the_compressed_module(
    scheme: Scheme, case: Case, tmp_path: Path
) -> None:
    plan = Plan(tensors={NAME: scheme})
    reads = {NAME: Usage(popularity=np.arange(ROWS) % 7 + 1.0)}
    streamed, _ = compress_core(case.load(), plan, usage=reads)
    held, codes = compress(case.module, plan, usage=reads)
    values = value_spans(streamed.tables, tmp_path)
    made = mapped_module(streamed.lowered, {NAME: values[NAME].span})
    assert torch.equal(made.get_parameter(NAME), held.get_parameter(NAME))
    original = case.module.get_parameter(NAME).numpy()
    assert values[NAME].sqnr_db == pytest.approx(codes[NAME].sqnr_db(original))
    history = case.probes[0]["history"]
    assert all(torch.equal(*each) for each in zip(made(history), held(history), strict=True))


def test_an_uncompressed_table_is_mapped_from_its_checkpoint_and_nothing_is_written(
    case: Case, tmp_path: Path
) -> None:
    values = value_spans(case.load().tables, tmp_path)
    assert values[NAME].span.path == case.folder / "weights.safetensors"
    assert torch.equal(mapped_tensor(values[NAME].span), case.module.get_parameter(NAME))
    assert not list(tmp_path.iterdir())


def test_a_half_precision_table_is_widened_once_in_a_file(case: Case, tmp_path: Path) -> None:
    state = {name: each.half() for name, each in case.module.state_dict().items()}
    save_file(state, case.folder / "half.safetensors")
    source = replace(case.source, weights="half.safetensors")
    values = value_spans(load_streamed(source, base=case.folder).tables, tmp_path)
    assert values[NAME].span.path.parent == tmp_path
    assert torch.equal(mapped_tensor(values[NAME].span), state[NAME].float())


def test_a_number_that_is_not_finite_is_found_by_looking(case: Case, tmp_path: Path) -> None:
    state = {name: each.clone() for name, each in case.module.state_dict().items()}
    state[NAME][1234, 2] = float("inf")
    save_file(state, case.folder / "infinite.safetensors")
    tables = load_streamed(replace(case.source, weights="infinite.safetensors"), base=case.folder).tables
    with pytest.raises(TableError, match=rf"{NAME}: row 1234, column 2 is inf"):
        value_spans(tables, tmp_path)


def test_only_a_large_enough_table_of_a_checkpoint_is_streamed(case: Case) -> None:
    assert reaches(case.source, base=case.folder)
    assert not reaches(replace(case.source, stream_mb=case.source.stream_mb * 1.01), base=case.folder)
    assert not reaches(replace(case.source, stream_mb=0), base=case.folder)
    assert not reaches(replace(case.source, weights=None), base=case.folder)


def test_shards_and_folders_load_as_a_state_dict_too(case: Case, tmp_path: Path) -> None:
    state = load_file(case.folder / "weights.safetensors")
    for name, each in state.items():
        np.save(tmp_path / f"{name}.npy", each.numpy())
    found = load_state_dict(tmp_path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
