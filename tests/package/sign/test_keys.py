"""Keys are read from PEM files or refused in one line, and neither a key nor its passphrase is shown."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tests.package.sign.signing import pair, private_pem

from pocketrec.errors import MissingExtra, UsageError
from pocketrec.package.sign.keys import loose_permissions, read_private_key, read_public_key

PASSPHRASE = "correct horse"


def asked() -> str:
    raise AssertionError("a key without a passphrase needs none")


@pytest.mark.parametrize(
    "curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda each: each.name
)
def test_a_signature_holds_for_its_data_and_key_alone(curve: ec.EllipticCurve, tmp_path: Path) -> None:
    mine, other = pair(tmp_path, "mine", curve), pair(tmp_path, "other", curve)
    signature = read_private_key(mine.private, asked).sign(b"data")
    assert mine.checker().holds(signature, b"data")
    assert not mine.checker().holds(signature, b"dat4")
    assert not other.checker().holds(signature, b"data")
    assert not mine.checker().holds(b"", b"data")
    assert mine.signer().sign(b"data") == signature  # RFC 6979


def test_a_key_is_named_as_openssf_names_it(tmp_path: Path) -> None:
    mine = pair(tmp_path)
    expected = hashlib.sha256(mine.public.read_bytes()).hexdigest()
    assert mine.checker().fingerprint == expected == mine.signer().public.fingerprint


def test_openssls_older_format_is_read_too(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "k.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    assert b"BEGIN EC PRIVATE KEY" in path.read_bytes()
    assert read_private_key(path, asked).sign(b"data")


def public_pem(key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


PUBLIC = {
    "nothing": (b"", "no public key in PEM"),
    "noise": (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key in PEM"),
    "a private key": (
        private_pem(ec.generate_private_key(ec.SECP256R1())),
        "a private key; pass its public half",
    ),
    "ed25519": (public_pem(ed25519.Ed25519PrivateKey.generate().public_key()), "a key of another kind"),
    "a certificate": (b"-----BEGIN CERTIFICATE-----\n", "a certificate; pass the key in it: openssl x509"),
    "two keys": (public_pem(ec.generate_private_key(ec.SECP256R1()).public_key()) * 2, "2 keys; pass a file"),
    "bitcoin's curve": (
        public_pem(ec.generate_private_key(ec.SECP256K1()).public_key()),
        "a key of another kind; expected an EC key on P-256, P-384 or P-521",
    ),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_no_public_key_of_ours_is_refused(name: str, tmp_path: Path) -> None:
    data, message = PUBLIC[name]
    (tmp_path / "k.pem").write_bytes(data)
    with pytest.raises(UsageError, match=message):
        read_public_key(tmp_path / "k.pem")


PRIVATE = {
    "nothing": (b"", "no private key in PEM"),
    "a public key": (
        public_pem(ec.generate_private_key(ec.SECP256R1()).public_key()),
        "no private key in PEM; expected an EC key .*: openssl ecparam",
    ),
    "ed25519": (
        ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "a key of another kind",
    ),
    "two keys": (private_pem(ec.generate_private_key(ec.SECP256R1())) * 2, "2 keys; pass a file with one"),
    "cosign's": (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "cosign's own format; make one in PEM"),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_no_private_key_of_ours_is_refused(name: str, tmp_path: Path) -> None:
    data, message = PRIVATE[name]
    (tmp_path / "k.pem").write_bytes(data)
    with pytest.raises(UsageError, match=message):
        read_private_key(tmp_path / "k.pem", asked)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "the key is encrypted, and there is no passphrase; set POCKETREC_KEY_"),
        ("wrong pony", "is wrong"),
    ],
)
def test_an_encrypted_key_opens_with_its_passphrase_alone(
    given: str | None, message: str, tmp_path: Path
) -> None:
    key = pair(tmp_path, passphrase=PASSPHRASE)
    signature = read_private_key(key.private, lambda: PASSPHRASE).sign(b"data")
    assert key.checker().holds(signature, b"data")
    with pytest.raises(UsageError, match=message) as caught:
        read_private_key(key.private, lambda: given)
    assert "pony" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_passphrase_need_not_be_utf8(tmp_path: Path) -> None:
    """The environment's bytes are the passphrase, as they are for openssl."""
    key, path = ec.generate_private_key(ec.SECP256R1()), tmp_path / "k.pem"
    locked = BestAvailableEncryption(b"caf\xe9")
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    assert read_private_key(path, lambda: os.fsdecode(b"caf\xe9")).sign(b"data")


def test_a_key_does_not_show_itself(tmp_path: Path) -> None:
    mine = pair(tmp_path)
    inside = mine.private.read_text().splitlines()[1][:20]
    for each in (repr(mine.signer()), str(mine.signer()), repr(mine.checker())):
        assert inside not in each
        assert "_key" not in each


@pytest.mark.parametrize(
    ("mode", "said"), [(0o600, ""), (0o400, ""), (0o640, "mode 0640"), (0o604, "chmod 600")]
)
def test_a_key_that_others_can_read_is_said(mode: int, said: str, tmp_path: Path) -> None:
    mine = pair(tmp_path)
    mine.private.chmod(mode)
    assert (said in loose_permissions(mine.private)) if said else (loose_permissions(mine.private) == "")


def test_a_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "k.pem")
    (tmp_path / "big.pem").write_bytes(b" " * ((1 << 16) + 1))
    for name, message in (
        ("k.pem", "a FIFO"),
        ("big.pem", "expected at most 65536"),
        ("none.pem", "no such file"),
    ):
        with pytest.raises(UsageError, match=message):
            read_public_key(tmp_path / name)
        with pytest.raises(UsageError, match=message):
            read_private_key(tmp_path / name, asked)


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = pair(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pocketrec\[sign\]'"):
        read_public_key(key.public)
