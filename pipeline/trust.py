"""Signing a bundle that holds what it says, and whether a bundle can be trusted as its caller asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pocketrec.errors import ArtifactError, Expired, Tampered, Unsigned, Untrusted, UsageError, WrongKey
from pocketrec.package.bundle import Bundle, read_bundle, read_contract, require_bundle
from pocketrec.package.sign.check import Signed, check_signature, is_signed
from pocketrec.package.sign.keys import Ask, PrivateKey, read_private_key, read_public_key
from pocketrec.package.sign.model import to_text
from pocketrec.package.sign.sign import sign_bundle
from pocketrec.pipeline.agreement import disagreements

Status = Literal["unsigned", "not_checked", "valid", "wrong_key", "tampered", "expired"]
_STATUSES: dict[type[Untrusted], Status] = {
    Unsigned: "unsigned",
    WrongKey: "wrong_key",
    Tampered: "tampered",
    Expired: "expired",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whether somebody vouches for a bundle.

    Attributes:
        status: `not_checked` where there is a signature and no key was given.
        message: in a sentence, with the next step.
        exit_code: what the command returns for it; 0 where the caller did not ask for more.
        key: fingerprint of the key that signed; empty where that was not checked.
        expires: when the signature ends, in UTC; empty for never.
    """

    status: Status = "unsigned"
    message: str = ""
    exit_code: int = 0
    key: str = ""
    expires: str = ""

    def broken(self) -> Trust:
        """The same where a file turned out not to be what the manifest lists."""
        if self.status != "valid":
            return self
        said = "a file is not what was signed; pull the bundle again, or refuse it"
        return replace(self, status="tampered", message=said, exit_code=Tampered.exit_code)


def sign(
    path: Path,
    key: Path,
    *,
    passphrase: Ask,
    time: str,
    expires: datetime | None = None,
    builder: str = "",
) -> Signed:
    """What the owner of the private key in the file `key` vouches for from now on: the bundle at `path`.

    Args:
        path: the bundle.
        key: a PEM file.
        passphrase: gives it where the key is encrypted.
        time: what the bill of materials says, see `package.created`.
        expires: when the signature ends; None for never.
        builder: a URI of the machine that built it; empty where nobody says so.

    Raises:
        UsageError: the key cannot be used, or there is no bundle.
        ArtifactError: the bundle is damaged, contradicts itself, or a gate of its evidence failed.
    """
    bundle = read_bundle(path)
    signer = read_private_key(key, passphrase)
    return sign_with(bundle, signer, time=time, expires=expires, builder=builder)


def sign_with(
    bundle: Bundle, signer: PrivateKey, *, time: str, expires: datetime | None = None, builder: str = ""
) -> Signed:
    """The same for a bundle and a key that were read."""
    said = disagreements(bundle, read_contract(bundle))
    if said:
        raise ArtifactError(f"{said[0]}; nothing was signed")
    return sign_bundle(bundle, signer, time=time, expires=expires, builder=builder)


def examine_trust(path: Path, key: Path | None, *, required: bool, now: datetime | None = None) -> Trust:
    """Whether the owner of the public key in the file `key` vouches for the bundle at `path`.

    Args:
        path: the bundle.
        key: a PEM file; None where nobody asks.
        required: whether a bundle without a checked signature is refused.
        now: the time that an expiry is compared with.

    Raises:
        UsageError: the key cannot be used, or a signature is required and there is no key to check it with.
    """
    require_bundle(path)
    if key is None:
        return _unasked(path, required)
    public = read_public_key(key)
    try:
        signed = check_signature(path, public, now=now or datetime.now(UTC))
    except Untrusted as error:
        return Trust(status=_STATUSES[type(error)], message=str(error), exit_code=error.exit_code)
    expires = "" if signed.expires is None else to_text(signed.expires)
    until = f", until {expires}" if expires else ""
    said = f"signed with key {signed.key[:12]}…{until}"
    return Trust(status="valid", message=said, key=signed.key, expires=expires)


def _unasked(path: Path, required: bool) -> Trust:
    if is_signed(path):
        if required:
            raise UsageError(
                f"{path}: a signature is required, and there is no key to check it with; pass --key PUB.pem"
            )
        said = "there is one, which nobody asked to check, so anybody may have written it; pass --key PUB.pem"
        return Trust(status="not_checked", message=said)
    said = (
        "none: nobody has signed this bundle, and whoever can write its files can write their digests; "
        f"ask its maker for a signed one, or sign it: pocketrec sign {path} --key KEY.pem"
    )
    return Trust(message=said, exit_code=Unsigned.exit_code if required else 0)
