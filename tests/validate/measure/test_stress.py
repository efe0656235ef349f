"""Every kind of case finds a fault that no probe meets, honesty passes, and refusals are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract
from pocketrec.errors import ContractError, ExecutionError, UnsupportedOp
from pocketrec.recipe import Gates, Stress
from pocketrec.report import StressCase
from pocketrec.validate.measure.parity import check_parity
from pocketrec.validate.measure.probes import make_probes
from pocketrec.validate.measure.stress import check_stress, not_run
from pocketrec.validate.measure.tolerances import differs_by
from pocketrec.validate.runtimes.fit import run_fitted

Rows = Callable[[Any], Any]  # from histories to which of them are answered wrongly
FULL = (40, -1, -(2**31), 2**31 - 1)


def stress(
    runtime: Any, reference: Any, contract: Contract, gates: Gates | None = None, **given: Any
) -> dict[str, StressCase]:
    """The cases by kind and name."""
    found = check_stress(
        runtime, reference, contract, "main", gates=gates or Gates(), stress=Stress(**given), seed=2
    )
    return {f"{each.kind}: {each.name}": each for each in found}


def wrong(cases: Mapping[str, StressCase]) -> set[str]:
    return {name for name, each in cases.items() if each.wrong}


def broken(fake: Any, rows: Rows, *, value: float | None = None, of: str = "history", **given: Any) -> Any:
    """An artifact whose scores are another number, or off by one, in some rows."""

    class Broken(fake):  # type: ignore[misc]
        def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
            outputs = dict(super().run(inputs))
            mask = np.broadcast_to(rows(inputs[of]), len(inputs[of]))
            scores = outputs["scores"].copy()
            scores[mask] = scores[mask] + 1 if value is None else value
            return outputs | {"scores": scores}

    return Broken(**given)


def probes_agree(runtime: Any, reference: Any, contract: Contract) -> bool:
    """Whether no probe tells the artifact from the reference."""
    probes, signature = make_probes(contract, "main", None), contract.functions["main"]
    expected, actual = (
        [run_fitted(each, contract, signature, probe.inputs) for probe in probes]
        for each in (reference, runtime)
    )
    names = [each.name for each in probes]
    found = check_parity(expected, actual, names, signature, function="main", tie_tolerance=1e-5)
    return not any(differs_by(each, Gates(), "float32") for each in found)


def often(history: Any) -> Any:
    """Rows in which one item comes three times, among others."""
    counts = np.array([max(np.bincount(row[row > 0], minlength=1)) for row in np.clip(history, 0, 99)])
    kinds = np.array([len(np.unique(row)) for row in history])
    return (counts >= 3) & (kinds >= 3)


def turns(history: Any) -> Any:
    """Rows that begin as they go on after another item."""
    again = (history[:, :1] == history[:, -2:-1]).all(1)
    return again & (history[:, :1] != history[:, 1:2]).any(1) & (history[:, 0] > 0)


FAULTS: list[tuple[str, Rows, float | None]] = [
    ("batches: 7", lambda h: len(h) == 7, None),
    ("lengths: length 5", lambda h: h.shape[1] == 5, None),
    ("histories: empty and shortest", lambda h: (h == 0).all() and h.shape[1] == 1, float("nan")),
    ("histories: every row empty", lambda h: (h == 0).all() and len(h) > 1, 0.0),
    ("histories: two items in turn", turns, None),
    ("ids: history = 38", lambda h: (h == 38).all(1), None),
    ("unknown ids: history = -2147483648", lambda h: (h == -(2**31)).any(1), 0.0),
    ("unknown ids: history ends with 40", lambda h: (h[:, -1] == 40) & (h[:, 0] < 40), 0.0),
    ("streams: Zipf 1.1", often, None),
]


@pytest.mark.parametrize(("name", "rows", "value"), FAULTS, ids=[each[0] for each in FAULTS])
def test_a_fault_that_no_probe_meets_is_found(
    name: str, rows: Rows, value: float | None, fake: Any, contract: Contract
) -> None:
    artifact, reference = broken(fake, rows, value=value), fake()
    assert probes_agree(artifact, reference, contract)
    found = stress(artifact, reference, contract, rows=500)
    assert name in wrong(found)
    assert "scores: " in found[name].reason
    assert not probes_agree(broken(fake, lambda _: True), reference, contract)


@pytest.mark.parametrize(("name", "number"), [("1e-45", 1e-45), ("-1e-06", -1e-6), ("-0", -0.0)])
def test_a_number_that_is_answered_wrongly_is_found_alone(
    name: str, number: float, fake: Any, contract: Contract
) -> None:
    bits = np.float32(number).tobytes()

    def rows(age: Any) -> Any:
        return np.array([each.tobytes() == bits for each in age])

    artifact = broken(fake, rows, of="age", value=float("inf"))
    assert probes_agree(artifact, fake(), contract)
    found = stress(artifact, fake(), contract)
    assert wrong(found) == {f"numbers: {name}"}
    assert "40 infinities where the reference has none" in found[f"numbers: {name}"].reason


def test_an_honest_artifact_gives_every_answer(fake: Any, contract: Contract) -> None:
    def noise(outputs: dict[str, Any]) -> dict[str, Any]:
        return outputs | {"scores": outputs["scores"] * np.float32(1 + 2e-6)}

    found = stress(fake(spoil=noise), fake(), contract)
    assert {each.outcome for each in found.values()} == {"same"}
    assert 0 < max(each.excess for each in found.values()) < 0.1
    kinds = {each.kind for each in found.values()}
    assert kinds == {"batches", "lengths", "histories", "ids", "unknown ids", "numbers", "streams"}


def test_float16_is_held_to_its_noise_and_a_wrong_row_is_more(fake: Any, contract: Contract) -> None:
    def rounded(outputs: dict[str, Any]) -> dict[str, Any]:
        return outputs | {"scores": outputs["scores"].astype(np.float16).astype(np.float32)}

    found = stress(fake(spoil=rounded, precision="float16"), fake(), contract)
    assert not wrong(found)
    zeros = broken(fake, lambda h: (h == 0).all(1), value=0.0, precision="float16")
    assert "histories: empty" in wrong(stress(zeros, fake(), contract))


def test_a_stated_limit_takes_the_place_of_the_bound(fake: Any, contract: Contract) -> None:
    artifact = broken(fake, lambda h: (h == 38).all(1))
    artifact_off_by_one = wrong(stress(artifact, fake(), contract, Gates(max_abs_error=0.9)))
    assert artifact_off_by_one == {"ids: history = 38"}
    near = fake(spoil=lambda outputs: outputs | {"scores": outputs["scores"] + np.float32(0.9)})
    assert not wrong(stress(near, fake(), contract, Gates(max_abs_error=1.0)))


def test_an_artifact_of_fixed_shapes_refuses_others_as_it_says(fake: Any, contract: Contract) -> None:
    found = stress(fake(batch=1, length=6), fake(), contract)
    assert not wrong(found)
    refused = {name for name, each in found.items() if each.outcome == "refused"}
    assert refused == {"batches: 2", "batches: 7", "batches: 8", "histories: empty and shortest"}
    assert found["batches: 7"].reason == ("refused, as contract.json says of its shapes: history is [1, 6]")
    assert found["lengths: length 5"].outcome == "same"  # an app pads for it


def test_an_artifact_that_answers_other_shapes_than_it_states_is_found(fake: Any, contract: Contract) -> None:
    class Lax(fake):  # type: ignore[misc]
        def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
            return fake().run(inputs)  # type: ignore[no-any-return]

    found = stress(Lax(batch=1, length=6), fake(), contract)
    assert {"batches: 7", "lengths: length 5"} <= wrong(found)
    assert found["batches: 7"].reason == "answered, though it says of its shapes: history is [1, 6]"


def refusing(fake: Any, rows: Rows, error: Exception) -> Any:
    class Refusing(fake):  # type: ignore[misc]
        def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
            if np.any(rows(inputs["history"])):
                raise error
            return super().run(inputs)  # type: ignore[no-any-return]

    return Refusing()


def test_a_refusal_of_one_side_alone_is_a_fault_of_the_case_that_it_meets(
    fake: Any, contract: Contract
) -> None:
    def rows(history: Any) -> Any:
        return (history == 38).all(1)

    artifact = refusing(fake, rows, ExecutionError("id 38 is beyond the table"))
    model = refusing(fake, rows, ContractError("the module has no row"))
    found = stress(artifact, fake(), contract)
    assert wrong(found) == {"ids: history = 38"}
    told = "refused, and the model answers: id 38 is beyond the table"
    assert found["ids: history = 38"].reason == told
    found = stress(fake(), model, contract)
    assert wrong(found) == {"ids: history = 38"}
    told = "answered, and the model refuses: the module has no row"
    assert found["ids: history = 38"].reason == told
    found = stress(artifact, model, contract)
    assert found["ids: history = 38"].outcome == "refused"
    assert not wrong(found)


@pytest.fixture
def strict(contract: Contract) -> Contract:
    """The contract whose histories are guarded against nothing."""
    signature = contract.functions["main"]
    history = replace(signature.input("history"), out_of_vocabulary="forbid")
    return replace(contract, functions={"main": replace(signature, inputs=(history, signature.inputs[1]))})


def outside(history: Any) -> Any:
    return (history < 0) | (history >= 40)


def test_what_the_model_refuses_of_forbidden_ids_an_artifact_must_refuse(fake: Any, strict: Contract) -> None:
    model = refusing(fake, outside, ContractError("the module has no row"))
    wraps = refusing(fake, lambda h: outside(h) & (h != -1), ExecutionError("beyond the table"))
    guards = refusing(fake, outside, ExecutionError("beyond the table"))
    asked = {f"forbidden ids: history holds {each}" for each in FULL}
    found = stress(guards, model, strict)
    assert not wrong(found)
    assert {name for name, each in found.items() if each.outcome == "refused"} == asked
    assert wrong(stress(wraps, model, strict)) == {"forbidden ids: history holds -1"}
    assert wrong(stress(fake(), model, strict)) == asked


def test_an_artifact_may_refuse_what_the_contract_forbids_and_must_answer_like_the_model_else(
    fake: Any, strict: Contract
) -> None:
    guards = refusing(fake, outside, ExecutionError("beyond the table"))
    assert not wrong(stress(guards, fake(), strict))
    zeros = broken(fake, lambda h: outside(h).any(1), value=0.0)
    assert len(wrong(stress(zeros, fake(), strict))) == len(FULL)


def test_a_framework_is_not_asked_what_is_undefined_on_it(fake: Any, strict: Contract) -> None:
    found = stress(fake(name="coreml-framework"), fake(), strict)
    left = {name: each.reason for name, each in found.items() if each.outcome == "left_out"}
    assert set(left) == {f"forbidden ids: history holds {each}" for each in FULL}
    assert set(left.values()) == {"what coreml-framework does with it is undefined"}


def test_a_model_that_gives_no_number_has_no_answer_to_compare(fake: Any, contract: Contract) -> None:
    one, two = (broken(fake, lambda h: (h == 38).all(1), value=float("nan")) for _ in range(2))
    found = stress(one, two, contract)
    assert found["ids: history = 38"].reason == "scores: the reference has 40 NaN"
    one, two = (broken(fake, lambda h: (h == 38).all(1), value=float("-inf")) for _ in range(2))
    assert not wrong(stress(one, two, contract))  # the same infinity is an answer


def test_what_a_runtime_lacks_is_told(fake: Any, contract: Contract) -> None:
    artifact = refusing(fake, lambda _: True, UnsupportedOp("op einsum"))
    with pytest.raises(UnsupportedOp):
        stress(artifact, fake(), contract)


def test_what_is_left_out_is_named(fake: Any, contract: Contract) -> None:
    artifact = broken(fake, lambda h: (h == 38).all(1))
    found = stress(artifact, fake(), contract, leave_out=("ids: history = 3*",))
    assert not wrong(found)
    assert {found[f"ids: history = {each}"].outcome for each in (38, 39)} == {"left_out"}
    assert found["ids: history = 1"].outcome == "same"


def test_how_many_rows_were_asked_is_told_and_a_browser_is_asked_fewer(fake: Any, contract: Contract) -> None:
    class Page(fake):  # type: ignore[misc]
        def timer(self, inputs: Mapping[str, Any]) -> Any:
            raise AssertionError

        def facts(self) -> Any:
            raise AssertionError

    asked = [stress(runtime, fake(), contract, rows=40) for runtime in (fake(), Page())]
    assert [each["streams: uniform"].rows for each in asked] == [40, 16]
    assert asked[0]["batches: 7"].rows == 7
    assert asked[0].keys() == asked[1].keys()


def test_cases_that_could_not_be_asked_are_named(contract: Contract, fake: Any) -> None:
    names = {
        f"{each.kind}: {each.name}" for each in not_run(contract, "main", Stress(), "no artifact", seed=2)
    }
    assert names == set(stress(fake(), fake(), contract))
    assert {each.outcome for each in not_run(contract, "main", Stress(), "no artifact")} == {"not_run"}
