"""Keys of elliptic curves, in PEM files: what signs, what checks, and what a key is called.

The curves are those of OpenSSF model signing (P-256, P-384, P-521), each with the hash of its size. Nothing
here, an error included, shows a private key or its passphrase.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.errors import MissingExtra, UsageError
from pocketrec.outside import read_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        ECDSA,
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

PASSPHRASE = "POCKETREC_KEY_PASSPHRASE"  # noqa: S105  the variable's name
_LARGEST = 1 << 16  # bytes of a PEM file
_HASHES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}
_CURVES = "an EC key on P-256, P-384 or P-521"
_MAKE = "openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem"
_PUBLIC = "openssl pkey -in KEY.pem -pubout -out PUB.pem"
_OF_CERTIFICATE = "openssl x509 -in CERT.pem -pubkey -noout -out PUB.pem"
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")

Ask = Callable[[], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """What checks a signature.

    Attributes:
        fingerprint: sha256 of the key's PEM text in hex, by which OpenSSF model signatures name a key.
    """

    fingerprint: str
    _key: EllipticCurvePublicKey = field(repr=False)

    def holds(self, signature: bytes, data: bytes) -> bool:
        """Whether the key's owner signed `data`."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, data, _algorithm(self._key.curve.name))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """What signs, and its public half."""

    public: PublicKey
    _key: EllipticCurvePrivateKey = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """The signature of `data` in DER; always the same one (RFC 6979), so that builds can be repeated."""
        return self._key.sign(data, _algorithm(self._key.curve.name))


def read_public_key(path: Path) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        UsageError: it holds something else, such as a private key, or a key of another kind.
        MissingExtra: cryptography is not installed.
    """
    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise UsageError(f"{path}: a private key; pass its public half: {_PUBLIC}")
    if b"CERTIFICATE" in data:
        raise UsageError(f"{path}: a certificate; pass the key in it: {_OF_CERTIFICATE}")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key: object = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{path}: no public key in PEM; expected {_CURVES}: {_PUBLIC}") from None
    return _public(path, key)


def read_private_key(path: Path, passphrase: Ask) -> PrivateKey:
    """The private key in a PEM file (PKCS #8 or SEC 1).

    Args:
        path: of the file.
        passphrase: gives it, and is called where the key is encrypted only; None where there is none.

    Raises:
        UsageError: it holds something else, or is encrypted and the passphrase is missing or wrong.
        MissingExtra: cryptography is not installed.
    """
    data = _read(path)
    if b"SIGSTORE PRIVATE KEY" in data or b"COSIGN PRIVATE KEY" in data:
        raise UsageError(f"{path}: a key in cosign's own format; make one in PEM: {_MAKE}")
    secret = passphrase() if b"ENCRYPTED" in data else None
    if secret is None and b"ENCRYPTED" in data:
        raise UsageError(f"{path}: the key is encrypted, and there is no passphrase; set {PASSPHRASE}")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(data, None if secret is None else secret.encode(errors="surrogateescape"))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        remedy = f"expected {_CURVES}: {_MAKE}"
        wrong = (
            "no private key in PEM" if secret is None else "the passphrase is wrong, or it is no private key"
        )
        raise UsageError(f"{path}: {wrong}; {remedy if secret is None else f'check {PASSPHRASE}'}") from None
    public = _public(path, key.public_key() if hasattr(key, "public_key") else key)
    assert isinstance(key, EllipticCurvePrivateKey)
    return PrivateKey(public=public, _key=key)


def loose_permissions(path: Path) -> str:
    """What to say of a private key's file that others can read; empty where they cannot."""
    mode = path.stat().st_mode & 0o777
    return f"{path}: others can read this key (mode {mode:04o}); chmod 600 {path}" if mode & 0o077 else ""


def _read(path: Path) -> bytes:
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtra("cryptography", "sign") from None
    data = read_file(path, largest=_LARGEST, error=UsageError, remedy="pass the PEM file of a key")
    count = sum(b"KEY" in each for each in _BLOCK.findall(data))
    if count > 1:  # the first would be taken, and the others passed over
        raise UsageError(f"{path}: {count} keys; pass a file with one")
    return data


def _public(path: Path, key: object) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise UsageError(f"{path}: a key of another kind; expected {_CURVES}")
    text = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(fingerprint=hashlib.sha256(text).hexdigest(), _key=key)


def _algorithm(curve: str) -> ECDSA:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    return ECDSA(getattr(hashes, _HASHES[curve])(), deterministic_signing=True)
