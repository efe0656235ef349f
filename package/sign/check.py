"""Whether a key's owner vouches for a bundle, decided by `manifest.json`, `signatures/` and nothing else.

No file of the release is hashed here: the signature vouches for `manifest.json`, whose digests
`bundle.verify_files` compares with the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pocketrec.errors import ArtifactError, Expired, Tampered, Unsigned
from pocketrec.outside import parse_json
from pocketrec.package.manifest import EVIDENCE_MANIFEST, MANIFEST, Manifest, parse_manifest
from pocketrec.package.sign.envelope import Json, disclose, entry
from pocketrec.package.sign.files import AGAIN, BOM, MODEL, PROVENANCE, TESTS, read_plain
from pocketrec.package.sign.keys import PublicKey
from pocketrec.package.sign.model import expiry, read_release, signed_files, stated, to_text
from pocketrec.package.sign.statements import PREDICATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a key's owner vouches for; the files themselves are compared with their digests elsewhere.

    Attributes:
        name: the recipe's name.
        version: the recipe's version.
        tree_sha256: digest of the release.
        manifest_sha256: of manifest.json.
        key: fingerprint of the key.
        expires: when the signature ends; None for never.
        others: files beside the release that the key vouches for, such as the evidence's manifest.
    """

    name: str
    version: str
    tree_sha256: str
    manifest_sha256: str
    key: str
    expires: datetime | None
    others: tuple[str, ...]


def is_signed(folder: Path) -> bool:
    """Whether something that may be a signature is in the bundle; it is not read."""
    try:
        (folder / MODEL).lstat()
    except OSError:
        return False
    return True


def check_signature(folder: Path, key: PublicKey, *, now: datetime) -> Signed:
    """What the key's owner vouches for in the bundle at `folder`, which may be a part of one.

    Args:
        folder: with manifest.json and signatures/; evidence/manifest.json must be signed if it is there.
        key: that must have signed.
        now: the time that an expiry is compared with.

    Raises:
        Unsigned: there is no signature, or none of a file beside the release.
        WrongKey: another key has signed.
        Tampered: a signature, the manifest or what it says is not what was signed.
        Expired: all is well, but for the time.
    """
    data = read_plain(folder, MODEL)
    if data is None:
        raise Unsigned(
            f"{folder}: nobody has signed this bundle ({MODEL} is missing); ask its maker for a signed one, "
            f"or sign it: pocketrec sign {folder} --key KEY.pem"
        )
    predicate = read_release(data, key)
    manifest, digest = _manifest(folder)
    _check_release(predicate, manifest, digest)
    others = tuple(_vouched(folder, key, digest, signed_files(predicate)))
    expires = expiry(stated(predicate))
    if expires is not None and now >= expires:
        raise Expired(f"{MODEL}: expired on {to_text(expires)}; have it signed anew, or pull a newer bundle")
    return Signed(
        name=manifest.name,
        version=manifest.version,
        tree_sha256=manifest.tree_sha256,
        manifest_sha256=digest,
        key=key.fingerprint,
        expires=expires,
        others=others,
    )


def _manifest(folder: Path) -> tuple[Manifest, str]:
    """The manifest that stands here, and its sha256."""
    data = read_plain(folder, MANIFEST)
    if data is None:
        raise Tampered(f"{MANIFEST}: missing in {folder}; {AGAIN}")
    try:
        return parse_manifest(data), hashlib.sha256(data).hexdigest()
    except ArtifactError as error:
        raise Tampered(str(error)) from None


def _check_release(predicate: Json, manifest: Manifest, digest: str) -> None:
    """Checks that the signature is of this manifest, and says of it what it says itself; Tampered else."""
    said, files = stated(predicate), signed_files(predicate)
    here = {"name": manifest.name, "version": manifest.version, "tree_sha256": manifest.tree_sha256}
    if said is not None and (of := {key: said.get(key) for key in here}) != here:
        raise Tampered(f"{MODEL}: signs {_shown(of)}; this bundle is {_shown(here)}; {AGAIN}")
    if files.get(MANIFEST) != digest:
        raise Tampered(f"{MANIFEST}: not the one that was signed; {AGAIN}")
    for name, listed in manifest.files.items():
        if files.get(name, listed) != listed:
            raise Tampered(f"{name}: {MANIFEST} has another sha256 than was signed; {AGAIN}")


def _vouched(folder: Path, key: PublicKey, digest: str, files: Json) -> Iterator[str]:
    """The files beside the release that the key vouches for; one that is there without that is an error."""
    known = dict(files)
    for name in PREDICATES:
        known |= _attested(folder, name, key, digest)
    for name in (EVIDENCE_MANIFEST, BOM):
        data = read_plain(folder, name)
        if data is None:
            continue
        if name not in known:
            raise Unsigned(
                f"{name}: nobody has signed it ({PROVENANCE if name == BOM else TESTS} is missing); ask its "
                "maker for a bundle that is signed whole"
            )
        if known[name] != hashlib.sha256(data).hexdigest():
            raise Tampered(f"{name}: not the one that was signed; {AGAIN}")
        yield name


def _attested(folder: Path, name: str, key: PublicKey, digest: str) -> dict[str, str]:
    """Files and digests that an attestation vouches for; none where it is not there.

    Raises:
        WrongKey: another key has signed it.
        Tampered: it is of another bundle, or of another kind.
    """
    data = read_plain(folder, name)
    if data is None:
        return {}
    said = disclose(parse_json(data, name=name, error=Tampered), key, where=name)
    subjects = entry(said, "subject", kind=list, where=name)
    if not any(_is_of(each, MANIFEST, digest) for each in subjects):
        raise Tampered(f"{name}: is of another bundle; {AGAIN}")
    kind, key_of_files = PREDICATES[name]
    if said.get("predicateType") != kind:
        raise Tampered(f"{name}: expected a statement of {kind}; {AGAIN}")
    place: object = said.get("predicate")
    for word in key_of_files[:-1]:
        place = entry(place, word, kind=dict, where=name)
    listed = entry(place, key_of_files[-1], kind=list, where=name)
    return {
        entry(each, "name", kind=str, where=name): entry(
            entry(each, "digest", kind=dict, where=name), "sha256", kind=str, where=name
        )
        for each in listed
    }


def _is_of(subject: object, name: str, digest: str) -> bool:
    return (
        isinstance(subject, dict)
        and subject.get("digest") == {"sha256": digest}
        and subject.get("name") == name
    )


def _shown(said: Json) -> str:
    return f"{str(said['name'])[:60]} {str(said['version'])[:40]} (tree {str(said['tree_sha256'])[:12]}…)"
