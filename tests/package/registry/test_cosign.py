"""Cosign's signature: whose it is, of what, until when, and beside whose it stands."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.package.registry.toys import CREATED, layout, toy
from tests.package.sign.signing import NOW, Pair, pair

from pocketrec.errors import Expired, Tampered, Unsigned, WrongKey
from pocketrec.package.registry import cosign
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.cosign import check_cosign, tag_of_signature
from pocketrec.package.registry.layout import Layout
from pocketrec.package.registry.push import Pushed, push_release
from pocketrec.package.registry.reading import read_image


@pytest.fixture
def key(tmp_path: Path) -> Pair:
    return pair(tmp_path, "mine")


def push(folder: Path, key: Pair | None, expires: datetime | None = None) -> tuple[Layout, Pushed]:
    store = layout(folder / "place")
    bundle = toy(folder / "toy")
    signer = None if key is None else key.signer()
    name = "example.com/models/toy"
    return store, push_release(bundle, store, "1", name=name, created=CREATED, key=signer, expires=expires)


def check(store: Layout, release: str, key: Pair, now: datetime = NOW) -> datetime | None:
    return check_cosign(store, release, key.checker(), now=now, where="place")


def test_what_is_signed_is_the_releases_digest(tmp_path: Path, key: Pair) -> None:
    store, pushed = push(tmp_path, key)
    assert check(store, pushed.digest, key) is None
    data = store.manifest(tag_of_signature(pushed.digest))
    assert data is not None
    (layer,) = read_image(data, "signature").layers
    assert layer.media_type == "application/vnd.dev.cosign.simplesigning.v1+json"
    payload = json.loads((tmp_path / "place/blobs/sha256" / layer.digest[7:]).read_bytes())
    assert payload["critical"] == {
        "identity": {"docker-reference": "example.com/models/toy"},
        "image": {"docker-manifest-digest": pushed.digest},
        "type": "cosign container image signature",
    }


def test_the_same_key_signs_once_and_another_beside_it(tmp_path: Path, key: Pair) -> None:
    other = pair(tmp_path, "other")
    store, pushed = push(tmp_path, key)
    push(tmp_path, other)
    push(tmp_path, key)
    data = store.manifest(tag_of_signature(pushed.digest))
    assert data is not None
    assert len(read_image(data, "signature").layers) == 2
    assert check(store, pushed.digest, key) is None
    assert check(store, pushed.digest, other) is None


def test_four_ways_of_not_being_signed(tmp_path: Path, key: Pair) -> None:
    store, pushed = push(tmp_path, None)
    with pytest.raises(Unsigned, match="nobody has signed it"):
        check(store, pushed.digest, key)
    ends = NOW + timedelta(days=1)
    store, pushed = push(tmp_path, key, ends)
    assert check(store, pushed.digest, key) == ends
    with pytest.raises(Expired, match="expired; have the release signed anew"):
        check(store, pushed.digest, key, NOW + timedelta(days=2))
    with pytest.raises(WrongKey, match="another key than yours"):
        check(store, pushed.digest, pair(tmp_path, "other"))
    signature = store.manifest(tag_of_signature(pushed.digest))
    assert signature is not None
    elsewhere = f"sha256:{'0' * 64}"
    store.put_manifest(signature, tag_of_signature(elsewhere))
    with pytest.raises(Tampered, match="is the signature of another release"):
        check(store, elsewhere, key, NOW.replace(tzinfo=UTC))


def test_an_end_that_is_no_time_is_told_of_cosigns_signature(
    tmp_path: Path, key: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosign, "to_text", lambda ends: "tomorrow")
    store, pushed = push(tmp_path, key, NOW)
    tag = tag_of_signature(pushed.digest)
    with pytest.raises(Tampered, match=f"^{re.escape(tag)}: expires at 'tomorrow', which is no time"):
        check(store, pushed.digest, key)


@pytest.mark.parametrize("text", ["", "%%%", "MEUCIQ==", "é"])
def test_a_signature_that_is_none_is_somebody_elses(tmp_path: Path, key: Pair, text: str) -> None:
    store, pushed = push(tmp_path, key)
    tag = tag_of_signature(pushed.digest)
    table = json.loads(store.manifest(tag) or b"")
    table["layers"][0]["annotations"][words.COSIGN_SIGNATURE] = text
    store.put_manifest(json.dumps(table).encode(), tag)
    with pytest.raises(WrongKey):
        check(store, pushed.digest, key)
