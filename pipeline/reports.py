"""Reports of a bundle: its evidence, read and checked, in the forms that people and tools read."""

from __future__ import annotations

from pathlib import Path

from pocketrec import files
from pocketrec.errors import UsageError
from pocketrec.files import whole_or_nothing
from pocketrec.outside import exists, open_file
from pocketrec.package.bundle import Bundle, table_of
from pocketrec.package.parts import EVIDENCE
from pocketrec.report import Evidence
from pocketrec.report.reading import read_evidence

PAGE = "evidence/report.html"
_MARK = b"pocketrec"  # every report says so within
_BEGINNING = 4096  # bytes in which a report says whose it is


def evidence_of_bundle(bundle: Bundle) -> Evidence:
    """Returns what a bundle's build found out.

    Raises:
        ArtifactError: the file is another one than the bundle's manifest says, or no evidence.
    """
    bundle.checked(EVIDENCE)
    return read_evidence(table_of(bundle, EVIDENCE), source=EVIDENCE)


def write_report(path: Path, text: str, *read: Path) -> None:
    """Writes a report, at once, in the place of an older one or where nothing is.

    Raises:
        UsageError: something else is there, or there is no such folder.
        StorageError: there is no room for it.
    """
    check_place(path, *read)
    with whole_or_nothing(path.resolve()) as partial:
        partial.write_text(text, encoding="utf-8")


def check_place(path: Path, *read: Path) -> None:
    """Checks that a report may be written there: nothing is there, or a report, or an empty file.

    Raises:
        UsageError: something else is there, there is no such folder, or it lies in what is read.
    """
    files.check_place(path, read=read)
    if not exists(path):
        return
    with open_file(path, error=UsageError) as file:
        start = file.read(_BEGINNING)
    if start and _MARK not in start:
        raise UsageError(f"{path}: is no report of pocketrec; remove it, or name another file")
