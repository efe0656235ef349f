"""Queries that have one right answer: drawn alike every time, and each item in one part only."""

from collections.abc import Callable

from pocketrec.model_zoo.data import known_items, movielens, office


def test_a_typed_title_is_small_without_its_year_and_mistyped_in_a_long_word() -> None:
    titles = movielens.item_titles().tokens
    typed = known_items.film_queries()
    assert typed == known_items.film_queries()
    assert typed[titles.index("Toy Story (1995)")] == "toy story"
    assert typed[titles.index("Babe (1995)")] == "babe"
    mistyped = typed[titles.index("Casablanca (1942)")]
    assert mistyped != "casablanca"
    assert sorted(mistyped) == sorted("casablanca")


def test_every_query_is_in_one_part_of_the_data() -> None:
    queries = {item: str(item) for item in range(3, 40)}
    parts = [known_items.of_split(queries, each) for each in ("train", "valid", "test")]
    assert [len(each) for each in parts] == [21, 8, 8]
    assert {item for each in parts for item in each} == queries.keys()


def test_a_product_is_described_without_its_title(shop: Callable[[str], str]) -> None:
    shop("amazon-office")
    titles, asked = office.item_titles().tokens, known_items.office_queries()
    assert 2_500 < len(asked) < 3_000
    assert len(set(asked.values())) == len(asked)
    assert not any(titles[item] in text or text.startswith(("['", "', '")) for item, text in asked.items())
