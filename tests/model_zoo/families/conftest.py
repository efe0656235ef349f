"""Data that only some machines have."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shop() -> Callable[[str], str]:
    """The name of a data set of a shop, where POCKETREC_DATA has it; the test is not run where it has not."""

    def name_of(name: str) -> str:
        if not (Path(os.environ.get("POCKETREC_DATA", "nowhere")) / name).is_dir():
            pytest.skip(f"not run: POCKETREC_DATA names no folder with {name}")
        return name

    return name_of
