"""The files in a bundle that vouch for the others: these names and no more, and no manifest lists them."""

from __future__ import annotations

from pathlib import Path

from pocketrec.errors import Tampered
from pocketrec.outside import read_file

SIGNATURES = "signatures"
MODEL = "signatures/model.sig"  # the release: an OpenSSF model signature
TESTS = "signatures/test-result.intoto.jsonl"  # the evidence: an in-toto test result
PROVENANCE = "signatures/provenance.intoto.jsonl"  # what made it: SLSA provenance
BOM = "signatures/bom.cdx.json"  # a CycloneDX bill of materials; the provenance has its digest
SIGNATURE_FILES = (MODEL, TESTS, PROVENANCE, BOM)

AGAIN = "pull the bundle again, or refuse it"


def read_plain(folder: Path, name: str) -> bytes | None:
    """The bytes of a file of the bundle in `folder`; None where there is none.

    Raises:
        Tampered: it is a link or a special file, or larger than any real one.
    """
    path = folder / name
    try:
        path.lstat()
        linked = path.is_symlink() or path.parent.is_symlink()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Tampered(f"{name}: cannot be read ({error.strerror}); {AGAIN}") from None
    if linked:
        raise Tampered(f"{name}: a link; a bundle holds plain files only, {AGAIN}")
    return read_file(path, error=Tampered, remedy=AGAIN)
