"""Names of a bundle and a contract in camel case: each is one name, and no two become one."""

from __future__ import annotations

import pytest

from pocketrec.errors import UsageError
from pocketrec.package.apps.names import camel, camels, type_name


@pytest.mark.parametrize(
    ("name", "written"),
    [("two-tower", "TwoTower"), ("Ünï", "Uni"), ("7", "Model7"), ("心", "Recommender"), ("map", "MapModel")],
)
def test_a_bundles_name_is_a_class(name: str, written: str) -> None:
    assert type_name(name, taken={"Map"}) == written


def test_a_stated_name_is_the_class_or_an_error_where_it_is_taken() -> None:
    assert type_name("two-tower", stated="Films", taken={"Map"}) == "Films"
    with pytest.raises(UsageError, match="type_name is 'Map', which the package calls something else"):
        type_name("two-tower", stated="Map", taken={"Map"})


def test_words_are_joined_by_capitals() -> None:
    assert [camel(each) for each in ("user_age", "a__b", "k", "userAge")] == ["userAge", "aB", "k", "userAge"]


def test_two_names_of_one_spelling_stay_two() -> None:
    assert camels(["user_age", "userAge"]) == {"user_age": "userAge", "userAge": "userAge_"}


def test_a_name_that_is_taken_gets_a_mark() -> None:
    assert camels(["item", "load_all"], taken={"item", "loadAll"}) == {
        "item": "item_",
        "load_all": "load_all",
    }
