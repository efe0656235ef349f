"""Units keep their variant: on another machine, in another order, and when variants come and go."""

from __future__ import annotations

import math
from collections import Counter
from hashlib import sha256

import pytest

from pocketrec.errors import UsageError
from pocketrec.validate.experiments.assign import Split, assign

COUNT = 6000
UNITS = [f"user-{each}" for each in range(COUNT)]  # 4 binomial deviations are 155 at most


def divided(salt: str = "s", **variants: float) -> dict[str, str]:
    return dict(assign(UNITS, Split(salt=salt, variants=variants)))


def test_a_variant_by_hand() -> None:
    """The earliest of exponential times from SHA-256 over each word with its length before it."""

    def time(name: str, weight: float) -> float:
        digest = sha256(b"4:salt" + b"%d:%s" % (len(name), name.encode()) + "7:Zoë 42".encode()).digest()
        return -math.log(((int.from_bytes(digest[:8], "big") >> 11) + 0.5) / 2**53) / weight

    expected = min({"a": 1.0, "bb": 3.0}.items(), key=lambda each: time(*each))[0]
    assert Split(salt="salt", variants={"a": 1, "bb": 3})("Zoë 42") == expected


def test_ten_units_keep_their_variants_from_release_to_release() -> None:
    found = [each for _, each in assign(UNITS[:10], Split(salt="demo", variants={"control": 1, "new": 1}))]
    assert [each == "new" for each in found] == [each == "1" for each in "0101101000"]


def test_variants_get_their_shares() -> None:
    """To 4 binomial deviations, 155 at most."""
    found = Counter(divided(a=1, b=2, c=5).values())
    for name, share in {"a": 1 / 8, "b": 2 / 8, "c": 5 / 8}.items():
        assert abs(found[name] - COUNT * share) < 155


def test_only_units_of_a_new_variant_move() -> None:
    before, after = divided(a=1, b=1), divided(a=1, b=1, c=1)
    moved = {unit for unit in UNITS if before[unit] != after[unit]}
    assert {after[unit] for unit in moved} == {"c"}
    assert abs(len(moved) - COUNT / 3) < 155


def test_only_units_of_a_variant_that_is_taken_away_move() -> None:
    before, after = divided(a=1, b=1, c=1), divided(a=1, b=1)
    assert {before[unit] for unit in UNITS if before[unit] != after[unit]} == {"c"}


def test_a_larger_weight_only_draws_units() -> None:
    before, after = divided(a=9, b=1), divided(a=9, b=3)
    moved = [unit for unit in UNITS if before[unit] != after[unit]]
    assert {(before[unit], after[unit]) for unit in moved} == {("a", "b")}
    assert abs(len(moved) - COUNT * (0.25 - 0.1)) < 155


def test_neither_the_order_of_variants_nor_the_scale_of_weights_changes_anything() -> None:
    assert divided(a=1, b=3) == divided(b=3, a=1) == divided(a=2, b=6)


def test_another_salt_divides_independently() -> None:
    one, two = divided("s", a=1, b=1), divided("t", a=1, b=1)
    assert abs(sum(one[unit] == two[unit] for unit in UNITS) - COUNT / 2) < 155


def test_words_that_join_to_the_same_text_are_told_apart() -> None:
    """Salt and unit `ab`, `c` and `a`, `bc`: as many agree as chance has it."""
    one = Split(salt="ab", variants={"x": 1, "y": 1})
    two = Split(salt="a", variants={"x": 1, "y": 1})
    agree = sum(one(unit) == two(f"b{unit}") for unit in UNITS[:2000])
    assert abs(agree - 1000) < 90


def test_shares_add_up() -> None:
    assert Split(salt="s", variants={"a": 1, "b": 3}).shares() == {"a": 0.25, "b": 0.75}


@pytest.mark.parametrize(
    ("salt", "variants", "message"),
    [
        ("", {"a": 1, "b": 1}, "salt is empty; expected a word of its own for every experiment"),
        ("s", {"a": 1}, "1 variants; expected two or more"),
        ("s", {"a": 1, "b": 0}, "variant 'b': the weight is 0; expected 1e-09 to 1e"),
        ("s", {"a": 1, "b": math.nan}, "variant 'b': the weight is nan"),
        ("s", {"a": 1, "b": math.inf}, "variant 'b': the weight is inf"),
        ("s", {"a": 1, "b": 1e300}, "variant 'b': the weight is 1e\\+300"),
        ("s", {"a": 1, "": 1}, "a variant has no name"),
        ("s", {"a": 1, "\ud800": 1}, "variant is '.*', which is no UTF-8"),
        ("\ud800", {"a": 1, "b": 1}, "salt is '.*', which is no UTF-8; expected text"),
    ],
)
def test_a_split_that_divides_nothing_is_told(salt: str, variants: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Split(salt=salt, variants=variants)


@pytest.mark.parametrize(
    ("unit", "message"), [("", "unit 1 is empty"), ("\ud800", "unit 1 is '.*', which is no UTF-8")]
)
def test_a_unit_that_is_none_is_told(unit: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        list(assign(["a", unit], Split(salt="s", variants={"a": 1, "b": 1})))
