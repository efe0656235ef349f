"""Signs a bundle: the release, its evidence, its provenance and its bill of materials, in one folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pocketrec.errors import ArtifactError
from pocketrec.files import alone_in, partial_of, whole_or_nothing
from pocketrec.package.bundle import Bundle, verify_names
from pocketrec.package.sign.bom import bill_of_materials
from pocketrec.package.sign.check import Signed, check_signature
from pocketrec.package.sign.envelope import enclose, to_bytes
from pocketrec.package.sign.files import BOM, MODEL, PROVENANCE, SIGNATURES, TESTS
from pocketrec.package.sign.keys import PrivateKey
from pocketrec.package.sign.model import sign_release
from pocketrec.package.sign.release import Release, release_of
from pocketrec.package.sign.statements import provenance, test_result


def sign_bundle(
    bundle: Bundle, key: PrivateKey, *, time: str, expires: datetime | None = None, builder: str = ""
) -> Signed:
    """What the key's owner vouches for from now on; an earlier signature is replaced.

    The digests that the manifest holds are signed; no file of the release is hashed again.

    Args:
        bundle: whose manifests were read.
        key: that signs.
        time: what the bill of materials says, see `package.created`.
        expires: when the signature ends; None for never.
        builder: a URI of the machine that built it; empty where nobody says so.

    Raises:
        ArtifactError: a file is missing or surplus, or what the bundle says of itself is altered.
        StorageError: the signatures cannot be written.
    """
    place = bundle.path / SIGNATURES
    with alone_in(bundle.path):  # of two who sign at once, the later one's stays
        shutil.rmtree(partial_of(place), ignore_errors=True)  # of one that was killed
        problems = verify_names(bundle)
        if problems:
            raise ArtifactError(f"{problems[0]}; nothing was signed, pull or build the bundle again")
        release = release_of(bundle)
        files = _signatures(release, key, time, expires, builder)
        with whole_or_nothing(place) as folder:
            _write(folder, files)
        return check_signature(bundle.path, key.public, now=datetime.min.replace(tzinfo=UTC))


def _signatures(
    release: Release, key: PrivateKey, time: str, expires: datetime | None, builder: str
) -> Mapping[str, bytes]:
    """The files that vouch for a release, by name."""
    bom = to_bytes(bill_of_materials(release, time)) + b"\n"
    made = provenance(release, hashlib.sha256(bom).hexdigest(), builder)
    return {
        MODEL: to_bytes(sign_release(release.manifest, release.digest, key, expires)) + b"\n",
        TESTS: to_bytes(enclose(test_result(release), key)) + b"\n",
        PROVENANCE: to_bytes(enclose(made, key)) + b"\n",
        BOM: bom,
    }


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files into a new folder, with the modes of a bundle's."""
    folder.mkdir()
    for name, data in files.items():
        path = folder / Path(name).name
        path.write_bytes(data)
        path.chmod(0o644)
    folder.chmod(0o755)
