"""A license in a card's metadata: its id, another one's name, or that it is unknown."""

from __future__ import annotations

import pytest

from pocketrec.package.card.licenses import License, license_of


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("Apache-2.0", License(id="apache-2.0")),
        (" mit\n", License(id="mit")),
        ("Shop's own, 2026", License(id="other", name="Shop's own, 2026")),
        ("unknown", License(id="other", name="unknown")),  # what is stated is never taken for what is not
        ("", License(id="unknown")),
        (" \n", License(id="unknown")),
    ],
)
def test_only_what_is_stated_is_said(stated: str, found: License) -> None:
    assert license_of(stated) == found
