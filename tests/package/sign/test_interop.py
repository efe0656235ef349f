"""Others' tools take what is signed here, and what they sign is taken here; each refuses what was altered."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.package.sign.signing import Pair, check, pair, sign
from tests.pipeline.test_verify import make

from pocketrec.errors import Tampered
from pocketrec.package.sign.files import MODEL, PROVENANCE, SIGNATURES, TESTS

COSIGN = os.environ.get("POCKETREC_COSIGN") or shutil.which("cosign")


@pytest.fixture
def key(tmp_path: Path) -> Pair:
    return pair(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make(tmp_path / "b")


def test_openssf_verifies_our_signature(bundle: Path, key: Pair) -> None:
    from model_signing import verifying

    sign(bundle, key)
    config = verifying.Config()  # type: ignore[no-untyped-call]
    config.use_elliptic_key_verifier(public_key=key.public)
    config.verify(bundle, bundle / MODEL)
    (bundle / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match=r"Hash mismatch for 'recipe\.json'"):
        config.verify(bundle, bundle / MODEL)


def test_openssfs_signature_is_taken(bundle: Path, key: Pair) -> None:
    """It lists the evidence, too, so nothing else has to vouch for that."""
    from model_signing import signing

    (bundle / SIGNATURES).mkdir()
    config = signing.Config()  # type: ignore[no-untyped-call]
    config.use_elliptic_key_signer(private_key=key.private).sign(bundle, bundle / MODEL)
    signed = check(bundle, key)
    assert (signed.name, signed.expires, signed.others) == ("double", None, ("evidence/manifest.json",))
    for name in ("evidence/manifest.json", "manifest.json"):
        data = (bundle / name).read_bytes()
        (bundle / name).write_bytes(data + b" ")
        with pytest.raises(Tampered, match=f"{name}: not the one that was signed"):
            check(bundle, key)
        (bundle / name).write_bytes(data)


@pytest.mark.skipif(COSIGN is None, reason="not run: cosign is not here; POCKETREC_COSIGN names it")
@pytest.mark.parametrize(
    ("name", "kind"),
    [(TESTS, "https://in-toto.io/attestation/test-result/v0.1"), (PROVENANCE, "slsaprovenance1")],
)
def test_cosign_verifies_our_attestations(
    name: str, kind: str, bundle: Path, key: Pair, tmp_path: Path
) -> None:
    sign(bundle, key)
    other = pair(tmp_path, "other")
    for public, blob, code in (
        (key, "manifest.json", 0),
        (key, "recipe.json", 1),
        (other, "manifest.json", 1),
    ):
        words = [str(COSIGN), "verify-blob-attestation", "--insecure-ignore-tlog=true", "--type", kind]
        words += ["--key", str(public.public), "--signature", str(bundle / name), str(bundle / blob)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert min(done.returncode, 1) == code, done.stderr
