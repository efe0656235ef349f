"""DSSE envelopes around in-toto statements: signed bytes, and who signed them.

The format is https://github.com/secure-systems-lab/dsse/blob/v1.0.0/envelope.md; what is signed is the
payload's type and bytes as they stand, so nothing is parsed before it is known whose it is.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pocketrec.errors import Tampered, WrongKey
from pocketrec.outside import parse_json
from pocketrec.package.sign.files import AGAIN
from pocketrec.package.sign.keys import PrivateKey, PublicKey

T = TypeVar("T")
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"

Json = Mapping[str, Any]


def statement(subjects: Mapping[str, str], predicate_type: str, predicate: Json) -> Json:
    """An in-toto statement about files, by name and sha256."""
    return {
        "_type": STATEMENT,
        "subject": [descriptor(name, digest) for name, digest in subjects.items()],
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def descriptor(name: str, digest: str) -> Json:
    """In-toto's ResourceDescriptor of a file."""
    return {"name": name, "digest": {"sha256": digest}}


def enclose(said: Json, key: PrivateKey) -> Json:
    """An envelope with a statement, signed."""
    payload = to_bytes(said)
    signature = {
        "keyid": key.public.fingerprint,
        "sig": base64.b64encode(key.sign(_signed(payload))).decode(),
    }
    return {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD, "signatures": [signature]}


def disclose(envelope: object, key: PublicKey, *, where: str, signer: str = "") -> Json:
    """The statement in an envelope that the key's owner signed.

    Args:
        envelope: what a JSON file holds.
        key: whose it must be.
        where: the file, for messages.
        signer: the fingerprint of the key that signed, where the file says it beside the envelope.

    Raises:
        WrongKey: another key has signed.
        Tampered: it is not what was signed, or no such envelope.
    """
    payload = _decoded(entry(envelope, "payload", kind=str, where=where), where)
    signatures: list[object] = entry(envelope, "signatures", kind=list, where=where)
    if entry(envelope, "payloadType", kind=str, where=where) != PAYLOAD or len(signatures) != 1:
        raise Tampered(f"{where}: expected one signature of {PAYLOAD}; {AGAIN}")
    said = entry(signatures[0], "keyid", kind=str, where=where, default="") or signer
    if said and said != key.fingerprint:
        raise WrongKey(
            f"{where}: signed with another key ({said[:12]!r}…, yours is {key.fingerprint[:12]}…); ask its "
            "maker for the public key, by a way that you trust, or refuse the bundle"
        )
    if not key.holds(_decoded(entry(signatures[0], "sig", kind=str, where=where), where), _signed(payload)):
        if not said:
            raise WrongKey(f"{where}: signed with another key than yours, or altered; {AGAIN}")
        raise Tampered(f"{where}: altered after it was signed; {AGAIN}")
    table = parse_json(payload, name=where, error=Tampered)
    if entry(table, "_type", kind=str, where=where) != STATEMENT:
        raise Tampered(f"{where}: signs no statement of in-toto's version 1; {AGAIN}")
    assert isinstance(table, Mapping)
    return table


def entry(table: object, key: str, *, kind: type[T], where: str, default: T | None = None) -> T:
    """The value at `key` of a table from outside; Tampered where it is missing or of another type."""
    value = table.get(key, default) if isinstance(table, Mapping) else None
    if not isinstance(value, kind):
        raise Tampered(f"{where}: has no {key!r} that is a {_WORDS.get(kind, kind.__name__)}; {AGAIN}")
    return value


def to_bytes(value: object) -> bytes:
    """A JSON text that is the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


_WORDS: Mapping[type, str] = {str: "text", list: "list", dict: "table"}


def _signed(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Tampered(f"{where}: holds what is no base64; {AGAIN}") from None
