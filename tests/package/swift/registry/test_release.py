"""A registry's folder: a release is there whole or not at all, and nothing takes its place."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.package.swift.registry.conftest import Versions
from tests.package.swift.toys import make_bundle

from pocketrec.cli.main import main
from pocketrec.errors import ArtifactError, StorageError, UsageError
from pocketrec.package.swift.generate import GENERATED, write_swift_package
from pocketrec.package.swift.registry import release
from pocketrec.package.swift.registry.release import add_release

ID = "shop.session-recommender"
PACKAGE = "shop/session-recommender"


def files(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def listed(tree: Path) -> list[str]:
    return list(json.loads((tree / PACKAGE / "releases.json").read_text())["releases"])


def test_a_release_is_the_package_with_what_a_client_asks_for(bundles: Versions, tmp_path: Path) -> None:
    """The archive holds the package that is written elsewhere; its digest and manifests are beside it."""
    done = add_release(bundles("1.4.0"), tmp_path / "tree", ID)
    package = files(write_swift_package(bundles("1.4.0"), tmp_path / "package").path)
    with zipfile.ZipFile(done.path / "source-archive.zip") as archive:
        top = "session-recommender-1.4.0/"
        held = {each.removeprefix(top): archive.read(each) for each in archive.namelist()}
    assert held == {name: data for name, data in package.items() if name != GENERATED}
    there = files(done.path)
    document = json.loads(there["release.json"])
    (resource,) = document["resources"]
    assert (document["id"], document["version"]) == (ID, "1.4.0")
    assert resource == {"name": "source-archive", "type": "application/zip", "checksum": done.checksum}
    assert sha256(there["source-archive.zip"]).hexdigest() == done.checksum
    assert "publishedAt" not in document
    for name in ("Package.swift", "Package@swift-6.0.swift"):
        assert there[name] == package[name]
    assert set(there) == {"release.json", "source-archive.zip", "Package.swift", "Package@swift-6.0.swift"}


def test_two_trees_of_the_same_releases_are_the_same_bytes_and_a_server_reads_them(
    bundles: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tree, versions, mask in (("one", ("1.4.0", "1.10.0"), 0o077), ("two", ("1.10.0", "1.4.0"), 0o022)):
        before = os.umask(mask)
        try:
            for version in versions:
                add_release(bundles(version), tmp_path / tree, ID)
        finally:
            os.umask(before)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert listed(tmp_path / "one") == ["1.10.0", "1.4.0"]
    for path in (tmp_path / "one", *(tmp_path / "one").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    said = json.loads(
        (add_release(bundles("1.4.0"), tmp_path / "three", ID).path / "release.json").read_text()
    )
    assert said["publishedAt"] == "2026-01-01T00:00:00Z"


def test_the_same_content_again_changes_nothing_and_another_is_refused(
    bundles: Versions, tmp_path: Path
) -> None:
    add_release(bundles("1.4.0"), tmp_path / "tree", ID)
    before = files(tmp_path / "tree")
    assert not add_release(bundles("1.4.0"), tmp_path / "tree", ID).added
    other = make_bundle(tmp_path / "other", version="1.4.0", start=b"\x08\x07")
    with pytest.raises(
        UsageError, match=r"shop\.session-recommender 1\.4\.0 is in the registry with another"
    ) as said:
        add_release(other, tmp_path / "tree", ID)
    assert "raise the version in the recipe" in str(said.value)
    assert files(tmp_path / "tree") == before


@pytest.mark.parametrize("spoilt", ["source-archive.zip", "release.json"])
def test_a_release_that_was_altered_in_the_registry_is_named(
    bundles: Versions, tmp_path: Path, spoilt: str
) -> None:
    done = add_release(bundles("1.4.0"), tmp_path / "tree", ID)
    (done.path / spoilt).write_text("[1]")
    with pytest.raises(
        ArtifactError, match=r"source-archive\.zip: altered, release\.json has another sha256"
    ):
        add_release(bundles("1.4.0"), tmp_path / "tree", ID)


def test_many_at_once_are_all_in_the_list(bundles: Versions, tmp_path: Path) -> None:
    """Six releases of one package and one twice, each with its own read of the folder."""
    versions = ["1.0.0", "1.1.0", "1.2.0", "1.2.0", "1.3.0", "2.0.0"]
    made = [bundles(each) for each in versions]
    start = threading.Barrier(len(versions))

    def add(each: int) -> bool:
        start.wait()
        return add_release(made[each], tmp_path / "tree", ID).added

    with ThreadPoolExecutor(len(versions)) as pool:
        added = list(pool.map(add, range(len(versions))))
    assert listed(tmp_path / "tree") == ["2.0.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"]
    assert sum(added) == 5


def test_what_a_kill_left_out_of_the_list_is_in_it_after_the_next_run(
    bundles: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_release(bundles("1.4.0"), tmp_path / "tree", ID)

    def killed(folder: Path) -> list[str]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(release, "_write_list", killed)
        with pytest.raises(KeyboardInterrupt):
            add_release(bundles("1.5.0"), tmp_path / "tree", ID)
    assert listed(tmp_path / "tree") == ["1.4.0"]
    add_release(bundles("1.5.0"), tmp_path / "tree", ID)
    assert listed(tmp_path / "tree") == ["1.5.0", "1.4.0"]


def test_a_full_disk_leaves_no_half_release(
    bundles: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(release, "write_archive", full)
    with pytest.raises(StorageError, match="No space left on device; free space, or write to another"):
        add_release(bundles("1.4.0"), tmp_path / "tree", ID)
    assert set(files(tmp_path / "tree")) == {"nginx.conf"}


def test_a_folder_that_cannot_be_written_is_a_usage_error(
    bundles: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "shop")

    monkeypatch.setattr(release, "_make_folder", denied)
    with pytest.raises(UsageError, match="tree: Permission denied for shop; pass another --registry"):
        add_release(bundles("1.4.0"), tmp_path / "tree", ID)


def test_folders_of_others_stay_as_they_are(bundles: Versions, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "nginx.conf").write_text("worker_processes 1;")
    (tmp_path / "file").write_text("mine")
    for place, said in (("mine", "not empty, and nginx.conf is none that"), ("file", "a file is there")):
        with pytest.raises(UsageError, match=said):
            add_release(bundles("1.4.0"), tmp_path / place, ID)
    assert files(tmp_path) == {"mine/nginx.conf": b"worker_processes 1;", "file": b"mine"}
    with pytest.raises(UsageError, match="lies in the bundle"):
        add_release(bundles("1.4.0"), bundles("1.4.0").path / "tree", ID)
    assert not (bundles("1.4.0").path / "tree").exists()


def test_the_command_says_what_an_app_writes(bundles: Versions, tmp_path: Path) -> None:
    words = ["package", "swift", str(bundles("1.4.0").path), "--registry", str(tmp_path / "tree"), "--id", ID]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert f'.package(id: "{ID}", from: "1.4.0")' in done.output
    assert f'.product(name: "ToyModel", package: "{ID}")' in done.output
    shown = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    assert (shown["added"], shown["releases"], shown["module"]) == (False, ["1.4.0"], "ToyModel")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--registry", "tree"], "--registry and --id go together"),
        (["--id", ID], "--registry and --id go together"),
        (["--registry", "tree", "--id", ID, "--out", "package"], "two places"),
        (["--registry", "tree", "--id", "Shop"], "--id is 'Shop'"),
        (["--registry", "tree", "--id", ID, "--target", "web"], "--target is 'web'"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(
    bundles: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["package", "swift", str(bundles("1.4.0").path), *more])
    assert (done.exit_code, said in done.output) == (2, True)
    assert not any(tmp_path.iterdir())
