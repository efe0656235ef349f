"""Words are tokens first, then titles; what they may have been meant for is suggested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.package.host.toys import films

from pocketrec.contract import VocabularySpec
from pocketrec.errors import CallError
from pocketrec.package.host.items import Items, edit_distance, quoted


def test_a_token_comes_before_a_title_and_what_is_set_aside_is_no_item() -> None:
    spec = VocabularySpec(size=3, padding_id=0)
    items = Items("film", spec, ("<pad>", "Heat", "b"), ("nothing", "First", "Heat"))
    assert items.find("Heat") == 1, "the token, not the title of b"
    assert items.find("First") == 1
    assert [items.find(word) for word in ("<pad>", "nothing", "", "heat", "Hea")] == [None] * 5
    assert films().find("<unk>") is None
    assert films().find("never found") is None


def test_a_title_of_several_items_is_an_error_that_lists_their_tokens() -> None:
    with pytest.raises(CallError) as error:
        films().find("Same")
    assert error.value.code == "ambiguous_title"
    assert str(error.value) == '"Same" is the title of 2 items: b, c; pass a token'
    spec = VocabularySpec(size=7)
    many = Items("film", spec, tuple("abcdefg"), ("Same",) * 7)
    with pytest.raises(CallError, match="of 7 items: a, b, c, d, e, …; pass a token"):
        many.find("Same")


def test_an_empty_title_shows_the_token() -> None:
    assert [films().shown(place) for place in (1, 4)] == ["Alpha", "d"]
    assert Items("film", VocabularySpec(size=1), ("a",)).shown(0) == "a"


CITIES = Items(
    "city",
    VocabularySpec(size=7, padding_id=0),
    ("<pad>", "1", "2", "3", "4", "5", "6"),
    ("San", "San José", "San Jose", "Santiago", "São Paulo", "Rome", "Sana"),
)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("san", ("San José", "San Jose", "Santiago")),  # three at most, in the order of ids
        ("SANTIAGO", ("Santiago",)),
        ("Rone", ("Rome",)),
        ("Rme", ()),  # three letters tell too little
        ("Rmoe", ("Rome",)),  # two edits
        ("Rxxe", ("Rome",)),
        ("xxxe", ()),
        ("SãO Paulo", ("São Paulo",)),  # only ASCII letters lose their case
        ("SÃo Paulo", ("São Paulo",)),  # one edit away
        ("San Josè", ("San Jose", "San José")[::-1]),  # both one edit away: the lower id first
        ("", ()),
    ],
)
def test_near_misses_are_those_that_contain_a_word_else_those_within_two_edits(
    word: str, near: tuple[str, ...]
) -> None:
    assert CITIES.near(word) == near


def test_the_message_for_no_item_names_what_it_may_have_been() -> None:
    assert str(CITIES.refused("Rone")) == (
        '"Rone" is no item of "city"; did you mean "Rome"? pass a token or a title'
    )
    assert str(CITIES.refused("x")) == '"x" is no item of "city"; pass a token or a title'
    assert CITIES.refused("x").code == "unknown_item"


def test_a_long_word_is_cut_and_quotes_are_escaped() -> None:
    assert quoted('a"b') == '"a\\"b"'
    assert quoted("x" * 100) == f'"{"x" * 80}…"'


@given(st.text("abc😀", max_size=7), st.text("abc😀", max_size=7))
def test_edits_are_counted_by_code_points_and_only_up_to_two(left: str, right: str) -> None:
    """Against the recursive definition."""

    def slow(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = slow(i - 1, j - 1) + (left[i - 1] != right[j - 1])
        return min(slow(i - 1, j) + 1, slow(i, j - 1) + 1, same)

    assert edit_distance(left, right) == min(slow(len(left), len(right)), 3)
