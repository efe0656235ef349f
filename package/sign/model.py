"""The signature of a release, in the format of OpenSSF model signing 1.0.

A Sigstore bundle (v0.3) with an envelope; its statement lists every file of the release with its digest, and
so does `manifest.json`, which is among them. Beside that list stand, signed as well, name, version and tree
digest, and when the signature expires; whoever reads the format alone passes over them.

Source: https://github.com/sigstore/model-transparency, model_signing/_signing/signing.py (Payload).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath

from pocketrec.errors import Tampered
from pocketrec.outside import parse_json
from pocketrec.package.manifest import EVIDENCE, MANIFEST, SUMS, Manifest
from pocketrec.package.sign.envelope import Json, disclose, enclose, entry, statement
from pocketrec.package.sign.files import AGAIN, MODEL, SIGNATURES
from pocketrec.package.sign.keys import PrivateKey, PublicKey

PREDICATE = "https://model_signing/signature/v1.0"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_BESIDE = (EVIDENCE, SUMS, SIGNATURES)  # what is no part of a release
_OURS = "pocketrec"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def sign_release(manifest: Manifest, digest: str, key: PrivateKey, expires: datetime | None) -> Json:
    """The release's signature.

    Args:
        manifest: of the bundle.
        digest: sha256 of manifest.json as it stands.
        key: that signs.
        expires: when the signature ends; None for never.
    """
    files = {**manifest.files, MANIFEST: digest}
    names = sorted(files, key=PurePosixPath)  # the order in which the format hashes them
    predicate = {
        "serialization": {
            "method": "files",
            "hash_type": "sha256",
            "allow_symlinks": False,
            "ignore_paths": list(_BESIDE),
        },
        "resources": [{"name": each, "algorithm": "sha256", "digest": files[each]} for each in names],
        _OURS: {
            "name": manifest.name,
            "version": manifest.version,
            "tree_sha256": manifest.tree_sha256,
            "expires": None if expires is None else to_text(expires),
        },
    }
    root = hashlib.sha256(b"".join(bytes.fromhex(files[each]) for each in names)).hexdigest()
    return {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": key.public.fingerprint}, "tlogEntries": []},
        "dsseEnvelope": enclose(statement({manifest.name: root}, PREDICATE, predicate), key),
    }


def read_release(data: bytes, key: PublicKey) -> Json:
    """The predicate of a release's signature, which the key's owner signed; WrongKey or Tampered else."""
    table = parse_json(data, name=MODEL, error=Tampered)
    if entry(table, "mediaType", kind=str, where=MODEL) != _BUNDLE:
        raise Tampered(f"{MODEL}: no Sigstore bundle of version 0.3; {AGAIN}")
    material = entry(table, "verificationMaterial", kind=dict, where=MODEL)
    public = entry(material, "publicKey", kind=dict, where=MODEL, default={})
    hint = entry(public, "hint", kind=str, where=MODEL, default="")
    envelope = entry(table, "dsseEnvelope", kind=dict, where=MODEL)
    said = disclose(envelope, key, where=MODEL, signer=hint)
    if said.get("predicateType") != PREDICATE:
        raise Tampered(f"{MODEL}: signs something else than a model; {AGAIN}")
    return entry(said, "predicate", kind=dict, where=MODEL)


def signed_files(predicate: Json) -> Mapping[str, str]:
    """The files that a release's signature lists, with their sha256; Tampered where it says none."""
    files: dict[str, str] = {}
    for each in entry(predicate, "resources", kind=list, where=MODEL):
        name = entry(each, "name", kind=str, where=MODEL)
        if name in files or each.get("algorithm") != "sha256":
            raise Tampered(f"{MODEL}: {name[:80]!r} stands there twice, or without a sha256; {AGAIN}")
        files[name] = entry(each, "digest", kind=str, where=MODEL)
    return files


def stated(predicate: Json) -> Json | None:
    """What the signature says of name, version, tree and expiry; None where others' tools made it."""
    return entry(predicate, _OURS, kind=dict, where=MODEL) if _OURS in predicate else None


def expiry(said: Json | None, where: str = MODEL) -> datetime | None:
    """When a signature ends, by what was signed of it in the file `where`; None for never.

    Raises:
        Tampered: it says what is no time.
    """
    if said is None or said.get("expires") is None:
        return None
    text = entry(said, "expires", kind=str, where=where)
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise Tampered(f"{where}: expires at {text[:40]!r}, which is no time; {AGAIN}") from None


def to_text(time: datetime) -> str:
    """A time in UTC, to the second, as RFC 3339 has it."""
    return time.astimezone(UTC).strftime(_TIME)
