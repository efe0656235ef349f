"""A URL of fsspec's is a place, or one line says why it is none."""

from __future__ import annotations

import pytest

from pocketrec.errors import PocketrecError, RegistryError, UsageError
from pocketrec.package.registry.bucket import Bucket


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("nope://x", UsageError, "nope:// is no scheme that fsspec knows; pass another"),
        ("dbfs://x", UsageError, "dbfs: its driver needs more than an address; pass another place"),
        ("dir://x", UsageError, "dir: its driver needs more than an address; pass another place"),
        ("zip://x", RegistryError, "zip://x: .*Error; check the address and try it again"),
        ("ftp://127.0.0.1:1/x", RegistryError, "ftp://127.0.0.1:1/x: ConnectionRefusedError; check the addr"),
    ],
)
def test_what_no_driver_opens_is_one_line(url: str, kind: type[PocketrecError], said: str) -> None:
    with pytest.raises(kind, match=said):
        Bucket(url)
