"""Small bundles of one name and several versions, made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from tests.package.swift.toys import make_bundle

from pocketrec.package.bundle import Bundle

Versions = Callable[[str], Bundle]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """The bundle of a version."""
    folder = tmp_path_factory.mktemp("bundles")

    @cache
    def made(version: str) -> Bundle:
        return make_bundle(folder / version, version=version)

    return made
