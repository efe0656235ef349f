"""What a package and its releases may be called in a registry, and how versions are ordered."""

from __future__ import annotations

import pytest

from pocketrec.errors import UsageError
from pocketrec.package.swift.registry.identity import Identity, checked_version, highest_first


@pytest.mark.parametrize("text", ["shop.session-recommender", "a.b", "x9.a_b-c", f"{'s' * 39}.{'n' * 100}"])
def test_an_id_is_a_scope_and_a_name(text: str) -> None:
    assert str(Identity.of(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "shop", "shop.", ".name", "shop.a.b", "shop./etc", "../x.y", "shop.a b", "shop.ä"),
        *("Shop.name", "shop.Name"),  # one id without case, two folders
        *("-a.b", "a-.b", "a--b.c", "a_b.c", "a.-b", "a.b-", "a.b__c", "a.b_-c"),
        *(f"{'s' * 40}.name", f"shop.{'n' * 101}"),
    ],
)
def test_what_is_no_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"--id is .*; expected scope\.name .* such as shop\.session-recommender"
    ):
        Identity.of(text)


@pytest.mark.parametrize("text", ["1.4.0", "0.0.0", "1.4.0-beta.1", "10.20.30-x-y.0"])
def test_semantic_versions_are_versions(text: str) -> None:
    assert checked_version(text) == text


@pytest.mark.parametrize(
    "text",
    ["1.4", "v1.4.0", "01.4.0", "1.4.0-01", "1.4.0-", "1.4.0+5", "1.4.0/..", "2026-11-29", "1.4.0 ", "١.٤.٠"],
)
def test_a_version_that_swift_cannot_order_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"version is .*; set a version such as 1\.4\.0"):
        checked_version(text)


def test_versions_are_ordered_as_semver_says() -> None:
    """semver.org's own example in 11.4.3, and numbers that texts would order otherwise."""
    rising = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
    ]
    rising += ["1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "10.0.0"]
    assert highest_first(sorted(rising)) == rising[::-1]
