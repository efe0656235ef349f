"""docs/ios.md, tried by somebody who has nothing else: its commands in an empty folder give what it shows."""

from __future__ import annotations

import json
import plistlib
import re
from pathlib import Path

import pytest
from tests.docs.page import files
from tests.swift.pages import follow, steps
from tests.swift.toolchain import swift_is_there

import pocketrec

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ios.md").read_text(encoding="utf-8")
STEPS = steps(PAGE)


def test_the_page_has_what_somebody_needs_who_has_nothing_else() -> None:
    commands = [command.split()[:2] for command, _ in STEPS]
    assert commands == [["pocketrec", "package"], ["export", commands[1][1]], ["swift", "run"]]
    assert files(PAGE).keys() == {"films/Package.swift", "films/Sources/films/main.swift"}
    (pack,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert json.loads(pack)["fileSelectors"] == [{"directory": "sasrec"}]
    _, shown = STEPS[-1]
    assert [line.partition(". ")[0] for line in shown.splitlines()] == ["…", *map(str, range(1, 11))]


SOURCES_OF = ROOT / "package/swift/templates/package/Sources"
SOURCE_FILES = sorted(SOURCES_OF.rglob("*.swift*"))
# What Apple wants a reason for in a privacy manifest, and what reaches out of the device.
REASONED = {
    "FileTimestamp": r"modificationDate|ModificationDate|creationDate|CreationDate|\bstat\(|getattrlist",
    "SystemBootTime": r"systemUptime|mach_absolute_time",
    "DiskSpace": r"volumeAvailableCapacity|systemFreeSize|statfs|statvfs",
    "UserDefaults": r"UserDefaults",
    "ActiveKeyboards": r"activeInputModes",
}
NETWORK = r"URLSession|URLRequest|NWConnection|import Network|CFNetwork|\bsocket\("


def test_the_privacy_manifest_gives_a_reason_for_all_that_needs_one() -> None:
    assert SOURCE_FILES
    texts = [each.read_text(encoding="utf-8") for each in SOURCE_FILES]
    assert not any(re.search(NETWORK, text) for text in texts)
    used = {name for name, said in REASONED.items() if any(re.search(said, text) for text in texts)}
    stated = plistlib.loads((SOURCES_OF / "Resources/PrivacyInfo.xcprivacy").read_bytes())
    reasons = {
        each["NSPrivacyAccessedAPIType"]: each["NSPrivacyAccessedAPITypeReasons"]
        for each in stated.pop("NSPrivacyAccessedAPITypes")
    }
    assert reasons.keys() == {f"NSPrivacyAccessedAPICategory{name}" for name in used}
    assert all(name in PAGE and reason in PAGE for name, (reason,) in reasons.items())
    assert stated == {
        "NSPrivacyTracking": False,
        "NSPrivacyTrackingDomains": [],
        "NSPrivacyCollectedDataTypes": [],
    }


@pytest.mark.swift
def test_a_new_engineer_gets_ten_titles_from_the_page_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not swift_is_there():
        pytest.skip("not run: no Swift is here")
    recipe = ROOT / "model_zoo/recipes/sasrec.toml"
    assert pocketrec.build(recipe, out=tmp_path / "sasrec", targets=("coreml",)).passed
    monkeypatch.chdir(tmp_path)
    follow(PAGE, tmp_path)
