"""Attention modules convert to what eval mode computes, where PyTorch leaves padding out by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.capture.capture import capture
from pocketrec.convert.rewrite import replace_modules
from pocketrec.convert.rewrite.fast_paths import FastPathRule

ROWS, LENGTH, WIDTH = 3, 5, 8
TAIL = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]]).bool()
PADDINGS: Mapping[str, Tensor | None] = {
    "none": None,
    "at the end": TAIL,
    "at the end of every row": TAIL[[0, 0, 0]],
    "in front": TAIL.flip(1),
    "a row of nothing else": torch.tensor([[0, 0, 0, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]).bool(),
    "numbers": TAIL * -1e9,
}
MASKS: Mapping[str, Tensor | None] = {
    "none": None,
    "causal": torch.triu(torch.ones(LENGTH, LENGTH), 1).bool(),
    "of each head": torch.rand(2 * ROWS, LENGTH, LENGTH, generator=torch.Generator().manual_seed(2)) > 0.6,
    "numbers": torch.eye(LENGTH) - 1,
}


def layer(norm_first: bool = False, heads: int = 2, activation: str = "relu") -> nn.TransformerEncoderLayer:
    torch.manual_seed(0)
    made = nn.TransformerEncoderLayer(
        WIDTH, heads, 16, batch_first=True, norm_first=norm_first, activation=activation
    )
    for each in made.parameters():
        nn.init.normal_(each, 0, 0.4)
    return made.eval()


def modules() -> dict[str, nn.Module]:
    norm = nn.LayerNorm(WIDTH)
    nn.init.normal_(norm.bias)
    return {
        "layer": layer(),
        "layer, norm first": layer(norm_first=True),
        "layer, one head": layer(heads=1),
        "encoder": nn.TransformerEncoder(layer(activation="gelu"), 2, norm=norm).eval(),
        "encoder, any mask": nn.TransformerEncoder(layer(), 2, mask_check=False).eval(),
        "encoder, not nested": nn.TransformerEncoder(layer(), 1, enable_nested_tensor=False).eval(),
    }


class Slow:
    """While it lasts PyTorch takes no path of its own, as at capture."""

    def __enter__(self) -> None:
        torch.backends.mha.set_fastpath_enabled(False)

    def __exit__(self, *_: object) -> None:
        torch.backends.mha.set_fastpath_enabled(True)


def rewritten(module: nn.Module) -> nn.Module:
    return replace_modules(nn.Sequential(module), [FastPathRule()])[0].get_submodule("0")


@pytest.mark.parametrize("name", sorted(modules()))
def test_without_the_path_the_rewrite_answers_as_eval_mode_does(name: str) -> None:
    module, x = modules()[name], torch.randn(ROWS, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1))
    replaced = rewritten(module)
    for padding in PADDINGS.values():
        for kind, mask in MASKS.items():
            if "one head" in name and kind == "of each head":
                continue
            with torch.no_grad():
                expected = module(x, mask, src_key_padding_mask=padding)
                with Slow():
                    actual = replaced(x, mask, src_key_padding_mask=padding)
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("weights", [(False, True), (True, True), (True, False)])
def test_attention_by_itself_answers_as_eval_mode_does(weights: tuple[bool, bool]) -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(WIDTH, 2, batch_first=True).eval()
    replaced, x, other = rewritten(module), torch.randn(ROWS, LENGTH, WIDTH), torch.randn(ROWS, LENGTH, WIDTH)
    for keys in (x, other):
        for padding in PADDINGS.values():
            for mask in MASKS.values():
                arguments = (x, keys, keys, padding, weights[0], mask, weights[1])
                with torch.no_grad():
                    expected = module(*arguments)
                    with Slow():
                        actual = replaced(*arguments)
                torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_a_module_in_two_places_is_replaced_in_both_and_the_users_stays() -> None:
    shared = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
    module = nn.ModuleDict({"a": nn.ModuleList([shared]), "b": shared})
    replaced, places = replace_modules(module, [FastPathRule()])
    assert replaced.get_submodule("a.0") is replaced.get_submodule("b")
    assert type(replaced.get_submodule("b")) is not nn.MultiheadAttention
    assert [path for path, _ in places] == ["a.0"]
    assert module.get_submodule("a.0") is module.get_submodule("b") is shared


class Sessions(nn.Module):
    """Encoders of sessions, a causal one among them, and attention whose blind places are 7."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(50, WIDTH, padding_idx=0)
        self.encoder = nn.TransformerEncoder(layer(), 1)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.causal = layer(norm_first=True)
        self.register_buffer("mask", torch.triu(torch.ones(6, 6), 1).bool())

    def forward(self, items: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, padding = self.item(items), items == 0
        seen = self.attention(x, x, x, key_padding_mask=padding, need_weights=False)[0]
        both = self.causal(x, src_mask=self.mask, src_key_padding_mask=padding)
        return (
            self.encoder(x, src_key_padding_mask=padding),
            seen.nan_to_num(7.0),
            both.nan_to_num(7.0),
            self.causal(x, src_mask=self.mask),
        )


@pytest.mark.long
def test_artifacts_treat_padding_that_the_example_lacks_as_eval_mode_does(tmp_path: Path) -> None:
    module = Sessions().eval()
    generator = torch.Generator().manual_seed(1)
    example = torch.randint(1, 50, (4, 6), generator=generator)
    conversion = pocketrec.convert_module(module, example, tmp_path)
    at_the_end, in_front, empty = (torch.randint(1, 50, (5, 6), generator=generator) for _ in range(3))
    at_the_end[1, 2:], in_front[2, :3], empty[3] = 0, 0, 0
    assert set(conversion.artifacts) == {"coreml", "onnx"}
    for path in conversion.artifacts.values():
        with pocketrec.open(path) as artifact:
            for items in (at_the_end, in_front, empty):
                with torch.no_grad():
                    expected = module(items)
                given = artifact.run({"items": items.numpy().astype(np.int32)})
                for name, value in zip(conversion.outputs, expected, strict=True):
                    torch.testing.assert_close(torch.tensor(given[name]), value, rtol=1e-3, atol=1e-4)


def test_padding_among_the_probes_is_no_state_that_is_kept() -> None:
    signature = Signature(
        inputs=(Feature(name="items", kind="dense", shape=("batch", 6)),),
        outputs=(Output(name="y", meaning="embedding", shape=("batch", 6, WIDTH)),),
    )
    contract = Contract(functions={"main": signature}, dims={"batch": Dim(max=8)})

    class Encoded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.item, self.encoder = nn.Embedding(50, WIDTH), nn.TransformerEncoder(layer(), 1)

        def forward(self, items: Tensor) -> Tensor:
            result: Tensor = self.encoder(self.item(items), src_key_padding_mask=items == 0)
            return result

    probes = [{"items": torch.tensor([[1, 2, 3, 0, 0, 0]] * rows, dtype=torch.int32)} for rows in (3, 2)]
    found = capture(Encoded().eval(), contract, "main", probes)
    assert FastPathRule.name in {each.name for each in found.rewrites}
