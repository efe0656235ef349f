"""Probes reach every corner of the contract, differ in content, and are the same every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pocketrec.contract import Contract, Feature
from pocketrec.evaluation import Probe, RankingData
from pocketrec.validate.measure.probes import make_probes


def _by_name(probes: tuple[Probe, ...]) -> dict[str, Probe]:
    return {each.name: each for each in probes}


def test_every_corner_has_a_probe(contract: Contract, data: RankingData) -> None:
    probes = _by_name(make_probes(contract, "main", data))
    shapes = {probe.inputs["history"].shape for probe in probes.values()}
    assert {(1, 1), (1, 6), (8, 6)} <= shapes
    assert (probes["all padding"].inputs["history"] == 0).all()
    assert (probes["first id"].inputs["history"] == 1).all()
    assert (probes["last id"].inputs["history"] == 39).all()
    assert (probes["unknown id -1"].inputs["history"] == -1).all()
    assert (probes["unknown id, one beyond"].inputs["history"] == 40).all()
    assert (probes["unknown id 2147483647"].inputs["history"] == 2**31 - 1).all()
    assert (probes["dense minimum"].inputs["age"] == -2).all()
    assert (probes["dense maximum"].inputs["age"] == 3).all()
    np.testing.assert_array_equal(probes["real row 0"].inputs["history"], data.inputs["history"][:1])


def test_shapes_and_dtypes_are_the_contracts(contract: Contract, data: RankingData) -> None:
    for probe in make_probes(contract, "main", data):
        for feature in contract.functions["main"].inputs:
            array = probe.inputs[feature.name]
            assert str(array.dtype) == feature.dtype
            for size, each in zip(array.shape, feature.shape, strict=True):
                low, high = contract.bounds(each)
                assert low <= size <= high, probe.name


def test_real_rows_that_are_shorter_than_a_fixed_length_are_padded(
    contract: Contract, data: RankingData
) -> None:
    signature = contract.functions["main"]
    width = data.inputs["history"].shape[1]
    longer = replace(signature.input("history"), shape=("batch", width + 2))
    fixed = replace(
        contract,
        functions={"main": replace(signature, inputs=(longer, signature.input("age")))},
    )
    real = _by_name(make_probes(fixed, "main", data))["real row 0"].inputs["history"]
    padding = np.zeros((1, 2), np.int32)
    sides = (padding, data.inputs["history"][:1])
    expected = np.concatenate(sides if longer.padding_side == "left" else sides[::-1], axis=1)
    np.testing.assert_array_equal(real, expected)


def test_no_two_probes_are_alike_and_the_seed_decides(contract: Contract, data: RankingData) -> None:
    probes, again = (make_probes(contract, "main", data, seed=3) for _ in range(2))
    contents = {tuple(array.tobytes() for array in probe.inputs.values()) for probe in probes}
    assert len(contents) == len(probes)
    for left, right in zip(probes, again, strict=True):
        np.testing.assert_array_equal(left.inputs["history"], right.inputs["history"])


def test_without_a_guard_no_probe_leaves_the_vocabulary(contract: Contract) -> None:
    signature = contract.functions["main"]
    history = replace(signature.input("history"), out_of_vocabulary="forbid")
    bare = replace(contract, functions={"main": replace(signature, inputs=(history, signature.input("age")))})
    for probe in make_probes(bare, "main", None):
        assert probe.inputs["history"].min() >= 0
        assert probe.inputs["history"].max() < 40


def test_whole_numbers_beyond_int32_are_probed_where_the_contract_takes_them(contract: Contract) -> None:
    signature = contract.functions["main"]
    when = Feature(name="when", kind="dense", dtype="int64", shape=("batch",))
    for highest, ends in (
        (1.0, {2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63)}),
        (2.0**40, {2**31 - 1, 2**31}),
    ):
        inputs = (*signature.inputs, replace(when, maximum=highest))
        wide = replace(contract, functions={"main": replace(signature, inputs=inputs)})
        probes = _by_name(make_probes(wide, "main", None))
        assert ends <= set(probes["beyond int32"].inputs["when"].tolist())
        assert all(each.inputs["when"].dtype == np.int64 for each in probes.values())
        if highest > 1:
            assert all(each.inputs["when"].min() >= 0 for each in probes.values())
