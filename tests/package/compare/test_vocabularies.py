"""What a change of a vocabulary means to ids and words that an app holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.package.host.toys import FILMS, TITLES, TOKENS, contract_of, history, scores

from pocketrec.contract import Contract, Signature, VocabularySpec
from pocketrec.package.compare.vocabularies import vocabulary_changes
from pocketrec.package.host.items import Items


def contract(**more: Any) -> Contract:
    spec = replace(FILMS, **{"unknown_id": None, **more})
    return contract_of(
        Signature(inputs=(history(),), outputs=(scores(shape=("batch", spec.size)),)),
        vocabularies={"film": spec},
    )


def changes(tokens: tuple[str, ...], titles: tuple[str, ...] = (), **more: Any) -> list[tuple[str, str]]:
    old, new = contract(), contract(size=len(tokens), **more)
    before = {"film": Items("film", old.vocabularies["film"], TOKENS, TITLES if titles else ())}
    after = {"film": Items("film", new.vocabularies["film"], tokens, titles)}
    return [(each.level, each.what) for each in vocabulary_changes(old, new, before, after)]


def test_the_same_words_are_no_change() -> None:
    assert changes(TOKENS, TITLES) == []


def test_words_at_the_end_are_an_addition() -> None:
    assert changes((*TOKENS, "new")) == [("addition", "1 more at the end (new)")]


def test_words_that_swap_places_break_though_all_are_there() -> None:
    swapped = (*TOKENS[:1], TOKENS[2], TOKENS[1], *TOKENS[3:])
    assert changes(swapped) == [("breaking", f"2 moved ({TOKENS[1]}: 1 → 2, {TOKENS[2]}: 2 → 1)")]


def test_a_word_that_is_gone_breaks_and_so_do_those_that_move_up() -> None:
    shrunk = (*TOKENS[:2], *TOKENS[3:])
    found = changes(shrunk)
    assert found[0] == ("breaking", f"1 gone ({TOKENS[2]})")
    assert found[1][0] == "breaking"
    assert found[1][1].startswith(f"{len(TOKENS) - 3} moved ({TOKENS[3]}: 3 → 2")


def test_a_word_that_takes_the_place_of_another_is_gone_and_new() -> None:
    replaced = (*TOKENS[:2], "other", *TOKENS[3:])
    assert changes(replaced) == [("breaking", f"1 gone ({TOKENS[2]})"), ("addition", "1 new (other)")]


def test_a_title_may_change_and_is_said() -> None:
    titles = (*TITLES[:1], "Heat 2", *TITLES[2:])
    assert changes(TOKENS, titles) == [("addition", f"1 other titles ({TITLES[1]} → Heat 2)")]


def test_another_padding_id_breaks() -> None:
    assert ("breaking", "padding_id 0 → 2") in changes(TOKENS, TITLES, padding_id=2)


def test_words_that_a_release_does_not_hold_are_never_taken_for_the_same() -> None:
    one, two = (VocabularySpec(size=6, padding_id=0, sha256=each) for each in ("", ""))
    signature = Signature(inputs=(history(out_of_vocabulary="padding"),), outputs=(scores(),))
    old, new = (contract_of(signature, vocabularies={"film": each}) for each in (one, two))
    (found,) = vocabulary_changes(old, new, {}, {})
    assert (found.level, found.what) == ("breaking", "its words cannot be compared")
