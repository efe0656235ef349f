"""Keys made for one test, and bundles signed with them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pocketrec.package.bundle import read_bundle
from pocketrec.package.manifest import seal
from pocketrec.package.sign.check import Signed, check_signature
from pocketrec.package.sign.keys import PrivateKey, PublicKey, read_private_key, read_public_key
from pocketrec.package.sign.sign import sign_bundle

NOW = datetime(2027, 3, 1, tzinfo=UTC)
TIME = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two files of a key."""

    private: Path
    public: Path

    def signer(self) -> PrivateKey:
        return read_private_key(self.private, lambda: None)

    def checker(self) -> PublicKey:
        return read_public_key(self.public)


def pair(
    folder: Path,
    name: str = "release",
    curve: EllipticCurve | None = None,
    passphrase: str = "",
    number: int | None = None,
) -> Pair:
    """A new key in two files; the same one for the same `number`."""
    of = curve or SECP256R1()
    key = generate_private_key(of) if number is None else derive_private_key(number, of)
    made = Pair(private=folder / f"{name}.pem", public=folder / f"{name}.pub.pem")
    made.private.write_bytes(private_pem(key, passphrase))
    made.private.chmod(0o600)
    made.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return made


def private_pem(key: EllipticCurvePrivateKey, passphrase: str = "") -> bytes:
    hidden: KeySerializationEncryption = NoEncryption()
    if passphrase:
        hidden = BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def sign(folder: Path, key: Pair, expires: datetime | None = None) -> Signed:
    return sign_bundle(read_bundle(folder), key.signer(), time=TIME, expires=expires)


def check(folder: Path, key: Pair, now: datetime = NOW) -> Signed:
    return check_signature(folder, key.checker(), now=now)


def reseal(folder: Path) -> None:
    """What an attacker does who may write everything: digests that fit the files."""
    manifest = read_bundle(folder).manifest
    kept = {path: path.read_bytes() for path in (folder / "signatures").iterdir()}
    for path in kept:
        path.unlink()
    (folder / "signatures").rmdir()
    seal(folder, name=manifest.name, version=manifest.version, artifacts=manifest.artifacts)
    (folder / "signatures").mkdir()
    for path, data in kept.items():
        path.write_bytes(data)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Changes a JSON file's value in its place."""
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))


def payload(envelope: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(envelope["payload"]))


def put_payload(envelope: dict[str, Any], statement: Any) -> None:
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
