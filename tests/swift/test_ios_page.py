"""docs/ios.md, tried by somebody who has nothing else: its commands in an empty folder give what it shows."""

from __future__ import annotations

import json
import plistlib
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.docs.page import blocks, files, pattern, transcript
from tests.swift.toolchain import run_swift, swift_is_there

import pocketrec
from pocketrec.cli.main import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ios.md").read_text(encoding="utf-8")
SOURCES = "/path/to/pocketrec"


STEPS = [each for block in blocks(PAGE) if block.language == "console" for each in transcript(block)]


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a command of the page prints; one that sets a variable prints nothing."""
    words = shlex.split(command)
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        environment[name] = value.replace(SOURCES, str(ROOT))
        return ""
    if words[0] == "pocketrec":
        done = CliRunner().invoke(main, words[1:], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout
    assert words[0] == "swift", command
    built = run_swift(folder, *words[1:], environment=environment)
    assert built.returncode == 0, built.stdout
    return built.stdout


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
    for name, text in files(PAGE).items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    environment: dict[str, str] = {}
    for command, printed in STEPS:
        assert re.fullmatch(pattern(printed), run(command, tmp_path, environment)), command
