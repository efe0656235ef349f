"""What a browser needs of a machine: found by what is set and where things usually are, else named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pocketrec.validate.open import available_runtimes
from pocketrec.validate.runtimes import web_places
from pocketrec.validate.runtimes.runtime import RuntimeUnavailable
from pocketrec.validate.runtimes.web_places import BUILDS, find_places, wants_software


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below one with onnxruntime-web's files, on a machine with Chromium and the extra."""
    chromium = tmp_path / "bin/chromium"
    chromium.parent.mkdir()
    chromium.write_text("#!/bin/sh\n")
    chromium.chmod(0o755)
    package = tmp_path / "node_modules/onnxruntime-web"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"version": "1.2.3"}))
    for name in BUILDS.values():
        (package / "dist" / name).touch()
    below = tmp_path / "app/src"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    monkeypatch.setenv("PATH", str(chromium.parent))
    for name in ("POCKETREC_CHROMIUM", "POCKETREC_ONNXRUNTIME_WEB", "POCKETREC_WEBGPU"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9")
    monkeypatch.setattr(web_places, "_MAC", ())
    return tmp_path


def test_chromium_is_found_on_the_path_and_the_files_above_the_current_folder(machine: Path) -> None:
    places = find_places()
    assert places.chromium == machine / "bin/chromium"
    assert (places.dist, places.version) == (machine / "node_modules/onnxruntime-web/dist", "1.2.3")
    found = {each.name: each for each in available_runtimes()}
    for name in ("web-wasm", "web-webgpu"):
        assert found[name].available
        assert found[name].version == "onnxruntime-web 1.2.3, playwright 9"


def test_what_is_set_goes_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCKETREC_ONNXRUNTIME_WEB", str(machine / "elsewhere"))
    with pytest.raises(RuntimeUnavailable, match=r"elsewhere has no dist/ort\.wasm.*npm install"):
        find_places()
    monkeypatch.setenv("POCKETREC_CHROMIUM", str(machine / "missing"))
    with pytest.raises(RuntimeUnavailable, match=r"POCKETREC_CHROMIUM is .*missing', which is no program"):
        find_places()


@pytest.mark.parametrize("package", ["playwright", "brotli"])
def test_a_missing_package_names_the_extra(
    machine: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != package or None)
    with pytest.raises(RuntimeUnavailable, match=rf"{package} is not installed.*pocketrec\[web\]"):
        find_places()
    found = {each.name: each for each in available_runtimes()}
    assert not found["web-webgpu"].available
    assert found["web-webgpu"].reason.startswith(f"{package} is not installed")


def test_no_chromium_and_no_files_are_named_with_how_to_get_them(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(machine / "bin/..")
    (machine / "node_modules").rename(machine / "other")
    with pytest.raises(RuntimeUnavailable, match=r"npm install onnxruntime-web@\d"):
        find_places()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeUnavailable, match=r"no Chromium on the PATH.*POCKETREC_CHROMIUM"):
        find_places()


@pytest.mark.parametrize("text", ["", "[]", '{"version": 3}'])
def test_a_package_without_a_version_is_not_taken(machine: Path, text: str) -> None:
    (machine / "node_modules/onnxruntime-web/package.json").write_text(text)
    with pytest.raises(RuntimeUnavailable, match=r"package\.json.*npm install"):
        find_places()


def test_webgpu_is_software_or_hardware_where_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in ("software", "hardware"):
        monkeypatch.setenv("POCKETREC_WEBGPU", asked)
        assert wants_software() == (asked == "software")
    monkeypatch.setenv("POCKETREC_WEBGPU", "fast")
    with pytest.raises(RuntimeUnavailable, match="expected 'software' or 'hardware'"):
        wants_software()
