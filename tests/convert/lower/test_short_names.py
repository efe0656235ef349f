"""Short names are names, in order, each once, and none is one that stays."""

from __future__ import annotations

from pocketrec.convert.lower.short_names import short_names


def test_names_are_short_in_order_and_never_one_that_stays() -> None:
    names = [f"a_rather_long_name_{each}" for each in range(100)]
    found = short_names([*names, names[0], "scores"], {"scores", "t1", "ids"})
    assert list(found) == names
    assert list(found.values())[:3] == ["t0", "t2", "t3"]
    assert len(set(found.values())) == len(names)
    assert not {"scores", "t1", "ids"} & set(found.values())
    assert max(map(len, found.values())) == 3
    assert all(each.isidentifier() for each in found.values())


def test_there_may_be_none() -> None:
    assert short_names([], {"t0"}) == {}
