"""Cosign's signature of a release: who has only `cosign` can check it, and we take one that cosign made.

The signature is of a small text that names the release's digest, which holds manifest.json, which holds the
files. It vouches for nothing beside the release. Its format is
https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md, stored under the tag `sha256-<hex>.sig`;
there is no transparency log in it, so cosign is called with `--insecure-ignore-tlog=true`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pocketrec.errors import ArtifactError, Expired, Tampered, Unsigned, WrongKey
from pocketrec.outside import parse_json
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.image import Descriptor, Image, digest_of, image
from pocketrec.package.registry.reading import read_image
from pocketrec.package.registry.store import Store, read_small
from pocketrec.package.sign.envelope import to_bytes
from pocketrec.package.sign.files import AGAIN
from pocketrec.package.sign.keys import PrivateKey, PublicKey
from pocketrec.package.sign.model import expiry, to_text

_CONFIG = "application/vnd.oci.image.config.v1+json"
_EXPIRES = "expires"  # in the text's `optional`; cosign passes over it, and we do not
_KIND = "cosign container image signature"
_MOST = 100  # signatures of one release that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignSignature:
    """A signature as it is stored.

    Attributes:
        image: whose one layer is the text.
        payload: the text that is signed.
    """

    image: Image
    payload: bytes


def tag_of_signature(release: str) -> str:
    """The tag under which cosign looks for signatures of the manifest with this digest."""
    return f"{release.replace(':', '-')}.sig"


def sign_digest(release: str, name: str, key: PrivateKey, expires: datetime | None) -> CosignSignature:
    """The signature of a release's digest.

    Args:
        release: `sha256:…` of its manifest.
        name: of the place, which the text states.
        key: that signs.
        expires: when the signature ends; None for never.
    """
    critical = {
        "identity": {"docker-reference": name},
        "image": {"docker-manifest-digest": release},
        "type": _KIND,
    }
    optional = None if expires is None else {_EXPIRES: to_text(expires)}
    payload = to_bytes({"critical": critical, "optional": optional})
    signature = base64.b64encode(key.sign(payload)).decode()
    layer = Descriptor(
        media_type=words.COSIGN_PAYLOAD,
        digest=digest_of(payload),
        size=len(payload),
        annotations={words.COSIGN_SIGNATURE: signature},
    )
    return CosignSignature(image=_image((layer,)), payload=payload)


def beside_others(ours: CosignSignature, theirs: bytes, where: str) -> Image | None:
    """The image with the signatures that are stored and ours; None where ours is among them."""
    layers = read_image(theirs, where).layers
    (layer,) = ours.image.layers
    held = {each.annotations.get(words.COSIGN_SIGNATURE) for each in layers}
    return None if layer.annotations[words.COSIGN_SIGNATURE] in held else _image((*layers, layer))


def _image(layers: tuple[Descriptor, ...]) -> Image:
    config = {
        "architecture": "",
        "config": {},
        "os": "",
        "rootfs": {"diff_ids": [each.digest for each in layers], "type": "layers"},
    }
    return image("", _CONFIG, to_bytes(config), layers, {})


def check_cosign(store: Store, release: str, key: PublicKey, *, now: datetime, where: str) -> datetime | None:
    """When the signature of the key's owner ends, None for never; else one of four errors.

    Raises:
        Unsigned: nobody has signed it with cosign.
        WrongKey: another key has.
        Tampered: what is signed is another release.
        Expired: all is well, but for the time.
    """
    tag = tag_of_signature(release)
    data = store.manifest(tag)
    if data is None:
        raise Unsigned(f"{where}: nobody has signed it; ask its maker for a signed release")
    try:
        layers = [each for each in read_image(data, tag).layers if each.media_type == words.COSIGN_PAYLOAD]
        held = [each for each in layers[:_MOST] if _is_of(store, each, key)]
    except ArtifactError as error:
        raise Tampered(str(error)) from None
    if not held:
        raise WrongKey(
            f"{where}: cosign signed it with another key than yours ({key.fingerprint[:12]}…); ask its maker "
            "for the public key, by a way that you trust, or refuse it"
        )
    ends = [_stated(read_small(store, each, tag), release, tag) for each in held]
    lasting = [each for each in ends if each is None or each > now]
    if not lasting:
        raise Expired(f"{tag}: expired; have the release signed anew, or pull a newer one")
    return lasting[0]


def _is_of(store: Store, layer: Descriptor, key: PublicKey) -> bool:
    """Whether the key's owner signed the text of a layer."""
    payload = read_small(store, layer, "cosign")
    try:
        signature = base64.b64decode(layer.annotations.get(words.COSIGN_SIGNATURE, ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return key.holds(signature, payload)


def _stated(payload: bytes, release: str, where: str) -> datetime | None:
    """When a signed text's signature ends; Tampered where the text is of another release."""
    table = parse_json(payload, name=where, error=Tampered)
    critical = table.get("critical") if isinstance(table, Mapping) else None
    of = critical.get("image") if isinstance(critical, Mapping) else None
    digest = of.get("docker-manifest-digest") if isinstance(of, Mapping) else None
    if digest != release or not isinstance(critical, Mapping) or critical.get("type") != _KIND:
        raise Tampered(f"{where}: is the signature of another release ({str(digest)[:19]}…); {AGAIN}")
    optional = table.get("optional")
    return expiry(optional if isinstance(optional, Mapping) else None, where)
