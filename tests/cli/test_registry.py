"""`push`, `pull`, `list` and `tag` as they are called: exit codes, JSON, and who vouches for what."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.package.registry.toys import toy, tree
from tests.package.sign.signing import Pair, pair
from tests.package.sign.signing import sign as sign_as
from tests.pipeline.test_verify import make

from pocketrec.cli.main import main
from pocketrec.package.bundle import read_bundle, seal


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("others"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made") / "b")


@pytest.fixture
def bundle(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, tmp_path / "b"))


def run(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == code, done.output
    return done


def said(*words: str, code: int = 0) -> Any:
    return json.loads(run(*words, "--json", code=code).stdout)


def test_a_release_goes_out_and_comes_back_under_its_version(bundle: Path) -> None:
    pushed = said("push", "b", "./place")
    assert (pushed["reference"], pushed["tag"], pushed["signed"]) == ("./place:1", "1", False)
    assert "signed  no: nobody has signed this release" in run("push", "b", "./place").stdout
    pulled = said("pull", "place:1")
    assert (pulled["path"], pulled["digest"], pulled["name"]) == ("double", pushed["digest"], "double")
    assert tree(Path("double")) == tree(bundle)
    (listed,) = said("list", "./place")["releases"]
    assert (listed["tag"], listed["version"], listed["signed"]) == ("1", "1", False)
    assert said("tag", "./place:1", "stable")["digest"] == pushed["digest"]
    assert "stable  double" in run("list", "./place").stdout
    assert "no releases at ./nowhere" in run("list", "./nowhere").stdout


def test_commands_that_take_a_bundle_take_a_reference_and_leave_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    run("push", "b", "./place:1.0")
    before = tree(tmp_path)
    assert said("inspect", "place:1.0")["name"] == "double"
    assert said("verify", "place:1.0")["passed"]
    assert run("diff", "b", "place:1.0", "--no-latency").stdout.count("double 1") == 2
    assert "no such release; there are 1.0" in run("inspect", "place:2.0", code=2).stderr
    assert tree(tmp_path) == before


def test_a_damaged_bundle_and_a_part_of_one_are_not_pushed(bundle: Path) -> None:
    toy(Path("toy"))
    run("push", "toy", "./place")
    run("pull", "place:1.4.0", "--only", "onnx", "--out", "part")
    left_out = said("inspect", "part")["left_out"]
    assert "evidence/report.md" in left_out
    assert f"part    of onnx; {len(left_out)} files are left out" in run("inspect", "part").stdout
    assert "a part of a bundle" in run("push", "part", "./other", code=1).stderr
    (bundle / "contract.json").write_text("{}")
    assert "contract.json: altered" in run("push", "b", "./other", code=1).stderr
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("push", "b", "example.com/A:1"), "is no repository"),
        (("push", "b", f"./place@sha256:{'0' * 64}"), "names a digest"),
        (("push", "b", "./place", "--expires", "90d"), "pass --sign KEY"),
        (("push", "b", "unknown://place"), "is no scheme that fsspec knows"),
        (("pull", "./place"), "names no tag; there is none"),
        (("pull", "me:hunter2@example.com/a"), "no user and no password"),
        (("tag", "./place:1", "a b"), "is no tag"),
        (("list", f"./place@sha256:{'0' * 64}"), "names a digest"),
    ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(
    bundle: Path, tmp_path: Path, words: tuple[str, ...], what: str
) -> None:
    before = tree(tmp_path)
    done = run(*words, code=2)
    assert what in " ".join(done.stderr.split())
    assert "hunter2" not in done.output
    assert tree(tmp_path) == before


def test_a_part_verifies_on_the_runtimes_that_are_there(bundle: Path) -> None:
    """What is of a target that was left out is neither missing nor run, and is said to be left out."""
    manifest = read_bundle(bundle).manifest
    copied = bundle / "artifacts/web/main.onnx"
    copied.parent.mkdir()
    copied.write_bytes((bundle / "artifacts/onnx/main.onnx").read_bytes() + b"\n")
    targets = {**manifest.artifacts, "web": {"main": "artifacts/web/main.onnx"}}
    seal(bundle, name=manifest.name, version=manifest.version, artifacts=targets)
    run("push", "b", "./place")
    run("pull", "place:1", "--only", "onnx", "--out", "part")
    verified = said("verify", "part")
    assert verified["passed"]
    assert verified["left_out"] == ["artifacts/web/main.onnx"]
    assert {each["target"] for each in verified["replays"]} == {"onnx"}
    assert "1 files of the whole are left out, and were not checked" in run("verify", "part").stdout
    (Path("part") / "golden/golden.json").unlink()
    assert "golden/golden.json: missing" in run("verify", "part", code=1).stderr


def test_a_bucket_is_a_place_as_a_folder_is(bundle: Path) -> None:
    pushed = said("push", "b", "memory://releases")
    assert pushed["digest"] == said("push", "b", "./place")["digest"]
    assert said("push", "b", "memory://releases")["bytes_sent"] == 0
    run("pull", "memory://releases:1", "--out", "out")
    assert tree(Path("out")) == tree(bundle)
    assert [each["tag"] for each in said("list", "memory://releases")["releases"]] == ["1"]


def test_a_delta_beside_a_release_comes_in_place_of_files_and_both_are_said(bundle: Path) -> None:
    data = bytes(range(256)) * 8
    old, new = (
        toy(Path(each), version=each, files={"artifacts/onnx/main.onnx.data": bytes([start]) + data}).path
        for each, start in (("1.0.0", 1), ("1.1.0", 2))
    )
    run("delta", str(old), str(new), "--out", "d.delta")
    assert said("push", str(new), "./place", "--delta", "d.delta")["deltas"] == 1
    assert "deltas  1, from older releases" in run("push", str(new), "./place", "--delta", "d.delta").stdout
    line = run("pull", "place:1.1.0", "--from", "1.0.0", "--out", "out").stdout.splitlines()[-2]
    size = Path("d.delta").stat().st_size
    assert re.fullmatch(rf"delta     from toy 1\.0\.0, {size} B in place of \d\.\d kB", line)
    assert tree(Path("out")) == tree(new)
    done = run("pull", "place:1.1.0", "--from", "b", "--out", "out")
    assert "delta     none, so whole files came: of 1 deltas none leads from double 1 (" in done.stdout
    assert "is no bundle; pass the folder" in run("pull", "place:1.1.0", "--from", "place", code=2).stderr
    assert "leads to toy 1.1.0" in run("push", str(old), "./place", "--delta", "d.delta", code=2).stderr


def test_a_signed_release_is_pulled_by_its_key_and_by_no_other(
    bundle: Path, key: Pair, other_key: Pair
) -> None:
    run("push", "b", "./place")
    unsigned = run("pull", "place:1", "--key", str(key.public), code=10)
    assert "nobody has signed it" in unsigned.stderr
    assert said("push", "b", "./place", "--sign", str(key.private))["signed"]
    vouched = said("pull", "place:1", "--key", str(key.public), "--out", "out")["vouched"]
    assert (vouched["by"], vouched["expires"]) == ("model.sig", "")
    assert said("verify", "out", "--key", str(key.public))["passed"]
    assert (
        "another key" in run("pull", "place:1", "--key", str(other_key.public), "--out", "no", code=11).stderr
    )
    assert not Path("no").exists()
    again = said("push", "b", "./place", "--sign", str(key.private))
    assert (again["bytes_sent"], again["blobs_sent"]) == (0, 0)


def test_a_signature_that_has_expired_is_refused_though_cosigns_is_there(bundle: Path, key: Pair) -> None:
    sign_as(bundle, key, expires=datetime(2020, 1, 1, tzinfo=UTC))
    run("push", "b", "./place")
    assert "expired on 2020-01-01" in run("pull", "place:1", "--key", str(key.public), code=13).stderr


def test_cosigns_signature_alone_vouches_for_the_release(
    bundle: Path, key: Pair, other_key: Pair, made: Path, tmp_path: Path
) -> None:
    """Somebody else's place: the files of ours are signed by nobody there."""
    run("push", "b", "./place", "--sign", str(key.private))
    _forget_signatures(tmp_path / "place")
    vouched = said("pull", "place:1", "--key", str(key.public), "--out", "out")["vouched"]
    assert vouched["by"] == "cosign"
    assert tree(Path("out")) == tree(made)
    assert (
        "it vouches for the release and not for its evidence"
        in run("pull", "place:1", "--key", str(key.public), "--out", "out").stdout
    )
    assert (
        "cosign signed it with another key"
        in run("pull", "place:1", "--key", str(other_key.public), "--out", "no", code=11).stderr
    )


def _forget_signatures(place: Path) -> None:
    index = json.loads((place / "index.json").read_text())
    kept = [each for each in index["manifests"] if "signatures" not in each.get("artifactType", "")]
    assert len(kept) < len(index["manifests"])
    (place / "index.json").write_text(json.dumps({**index, "manifests": kept}))


def test_nothing_that_is_printed_holds_a_key(
    bundle: Path, key: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = pair(bundle.parent, "locked", passphrase="hunter2")
    monkeypatch.setenv("POCKETREC_KEY_PASSPHRASE", "hunter3")
    done = run("--debug", "push", "b", "./place", "--sign", str(secret.private), code=2)
    assert "hunter" not in done.output
    assert "PRIVATE KEY" not in done.output


def test_a_passphrase_is_asked_for_once(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = pair(bundle.parent, "locked", passphrase="hunter2")
    asked = []

    def ask() -> str:
        asked.append("the passphrase")
        return "hunter2"

    monkeypatch.setattr("pocketrec.cli.push.passphrase_of", ask)
    assert said("push", "b", "./place", "--sign", str(secret.private))["signed"]
    assert asked == ["the passphrase"]
