"""`sign` and `verify --key`: every outcome by its words, its exit code and its JSON, and no secret shown."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.package.sign.signing import NOW, Pair, edit, pair, payload, reseal
from tests.package.sign.signing import sign as sign_as
from tests.pipeline.test_verify import GATE, make, write_statements

from pocketrec.package.bundle import seal

Run = Callable[..., subprocess.CompletedProcess[str]]
SIGNED = ("model.sig", "test-result.intoto.jsonl", "provenance.intoto.jsonl", "bom.cdx.json")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made") / "b")


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "b"))


def test_a_signed_bundle_verifies(bundle: Path, key: Pair, pocketrec: Run) -> None:
    done = pocketrec("sign", bundle, "--key", key.private)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"key      {key.checker().fingerprint}\nexpires  never\n" in done.stdout
    assert all(f"written  {bundle / 'signatures' / name}" in done.stdout for name in SIGNED)
    done = pocketrec("verify", bundle, "--key", key.public, "--require-signature")
    assert done.returncode == 0, done.stderr
    assert f"signature  signed with key {key.checker().fingerprint[:12]}…" in done.stdout


def tampered(bundle: Path, _key: Pair) -> None:
    """Rewrites a file and every digest that follows from it, which digests alone do not see."""
    edit(bundle / "recipe.json", lambda recipe: recipe.update(license="anybody's"))
    reseal(bundle)


def damaged(bundle: Path, _key: Pair) -> None:
    (bundle / "contract.json").write_text("{}")


def sums_lost(bundle: Path, _key: Pair) -> None:
    (bundle / "manifest.sha256").write_text("")


def unsigned(bundle: Path, _key: Pair) -> None:
    shutil.rmtree(bundle / "signatures")


def signed_again(bundle: Path, _key: Pair) -> None:
    sign_as(bundle, pair(bundle.parent, "thief"))


def old(bundle: Path, key: Pair) -> None:
    sign_as(bundle, key, datetime.now(UTC) - timedelta(seconds=1))


def nothing(bundle: Path, key: Pair) -> None:
    pass


OUTCOMES: dict[str, tuple[Callable[[Path, Pair], None], int, str, str]] = {
    "valid": (nothing, 0, "valid", "signed with key"),
    "unsigned": (unsigned, 10, "unsigned", "nobody has signed this bundle"),
    "wrong key": (signed_again, 11, "wrong_key", "signed with another key"),
    "rewritten": (tampered, 12, "tampered", "signs double 1"),
    "a file altered": (damaged, 12, "tampered", "a file is not what was signed"),
    "the sums lost": (sums_lost, 12, "tampered", "a file is not what was signed"),
    "expired": (old, 13, "expired", "expired on "),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_outcome_has_its_code_and_its_words(name: str, bundle: Path, key: Pair, pocketrec: Run) -> None:
    spoil, code, status, words = OUTCOMES[name]
    sign_as(bundle, key, NOW + timedelta(days=10_000))
    spoil(bundle, key)
    done = pocketrec("verify", bundle, "--key", key.public, "--json")
    table = json.loads(done.stdout)
    assert done.returncode == code == table["signature"]["exit_code"]
    assert (table["signature"]["status"], table["passed"]) == (status, code == 0)
    assert words in table["signature"]["message"]
    assert bool(table["replays"]) == (code == 0)  # what is not trusted does not run


def test_without_a_key_the_output_says_that_nobody_checked(bundle: Path, key: Pair, pocketrec: Run) -> None:
    done = pocketrec("verify", bundle)
    assert done.returncode == 0
    assert "signature  none: nobody has signed this bundle, and whoever can write its files" in done.stdout
    sign_as(bundle, key)
    done = pocketrec("verify", bundle)
    assert done.returncode == 0
    assert "signature  there is one, which nobody asked to check" in done.stdout
    tampered(bundle, key)
    done = pocketrec("verify", bundle)
    assert (done.returncode, "pass --key PUB.pem" in done.stdout) == (0, True)
    assert pocketrec("verify", bundle, "--key", key.public).returncode == 12


def test_a_required_signature_needs_a_key(bundle: Path, key: Pair, pocketrec: Run) -> None:
    done = pocketrec("verify", bundle, "--require-signature")
    assert (done.returncode, "nobody has signed this bundle" in done.stderr) == (10, True)
    sign_as(bundle, key)
    done = pocketrec("verify", bundle, "--require-signature")
    assert (done.returncode, "there is no key to check it with; pass --key" in done.stderr) == (2, True)


def test_the_wrong_half_of_a_key_is_named(bundle: Path, key: Pair, pocketrec: Run) -> None:
    done = pocketrec("verify", bundle, "--key", key.private)
    assert (done.returncode, "a private key; pass its public half" in done.stderr) == (2, True)
    done = pocketrec("sign", bundle, "--key", key.public)
    assert (done.returncode, "no private key in PEM" in done.stderr) == (2, True)


def test_signing_says_what_it_did_as_json(bundle: Path, key: Pair, pocketrec: Run) -> None:
    done = pocketrec("sign", bundle, "--key", key.private, "--expires", "2999-01-31", "--json")
    table = json.loads(done.stdout)
    assert (table["name"], table["version"], table["expires"]) == ("double", "1", "2999-01-31T23:59:59Z")
    assert table["files"] == [f"signatures/{name}" for name in SIGNED]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("2020-01-01", "is over; expected a time to come"),
        ("0d", "expected 2027-06-30, 2027-06-30T12:00:00Z or 90d"),
        ("soon", "expected 2027-06-30"),
        ("2999-01-01T00:00:00", "expected 2027-06-30"),
        ("2999-02-30", "expected 2027-06-30"),
        ("9999-12-31T23:59:59-10:00", "expected 2027-06-30"),
        ("", "expected 2027-06-30"),
    ],
)
def test_an_end_that_is_none_is_refused(
    when: str, message: str, bundle: Path, key: Pair, pocketrec: Run
) -> None:
    done = pocketrec("sign", bundle, "--key", key.private, "--expires", when)
    assert (done.returncode, message in " ".join(done.stderr.split())) == (2, True), done.stderr
    assert not (bundle / "signatures").exists()


@pytest.mark.parametrize("builder", ["me", "https://ci.example/a b", "a:\udcff"])
def test_a_builder_that_is_no_uri_is_refused(builder: str, bundle: Path, key: Pair, pocketrec: Run) -> None:
    done = pocketrec("sign", bundle, "--key", key.private, "--builder", builder)
    assert (done.returncode, "expected a URI" in " ".join(done.stderr.split())) == (2, True)


def test_a_builder_stands_in_the_provenance(bundle: Path, key: Pair, pocketrec: Run) -> None:
    done = pocketrec("sign", bundle, "--key", key.private, "--builder", "https://ci.example/runner")
    assert done.returncode == 0
    said = payload(json.loads((bundle / "signatures/provenance.intoto.jsonl").read_text()))
    assert said["predicate"]["runDetails"]["builder"]["id"] == "https://ci.example/runner"


def test_a_signature_does_not_make_vectors_right(key: Pair, pocketrec: Run, tmp_path: Path) -> None:
    wrong = make(tmp_path / "wrong", expected={"scores": np.zeros((1, 2), np.float32)})
    sign_as(wrong, key)
    done = pocketrec("verify", wrong, "--key", key.public, "--json")
    table = json.loads(done.stdout)
    assert (done.returncode, table["passed"], table["signature"]["status"]) == (1, False, "valid")


def test_days_are_counted_from_now(bundle: Path, key: Pair, pocketrec: Run) -> None:
    done = pocketrec("sign", bundle, "--key", key.private, "--expires", "90d", "--json")
    left = datetime.fromisoformat(json.loads(done.stdout)["expires"]) - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_a_key_that_others_can_read_is_warned_of(bundle: Path, pocketrec: Run, tmp_path: Path) -> None:
    loose = pair(tmp_path, "loose")
    loose.private.chmod(0o644)
    done = pocketrec("sign", bundle, "--key", loose.private)
    assert done.returncode == 0
    assert (
        done.stderr
        == f"warning: {loose.private}: others can read this key (mode 0644); chmod 600 {loose.private}\n"
    )


def test_a_passphrase_comes_from_the_environment_and_is_never_asked_for_in_a_pipeline(
    bundle: Path, pocketrec: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = pair(tmp_path, "hidden", passphrase="open sesame")
    done = pocketrec("sign", bundle, "--key", hidden.private)
    assert (done.returncode, "no passphrase; set POCKETREC_KEY_PASSPHRASE" in done.stderr) == (
        2,
        True,
    )
    monkeypatch.setenv("POCKETREC_KEY_PASSPHRASE", "open barley")
    done = pocketrec("--debug", "sign", bundle, "--key", hidden.private, "--json")
    assert (done.returncode, "the passphrase is wrong" in done.stderr) == (2, True)
    secrets = ("barley", *hidden.private.read_text().splitlines()[1:-1])
    assert not [each for each in secrets if each in done.stdout + done.stderr]
    monkeypatch.setenv("POCKETREC_KEY_PASSPHRASE", "open sesame")
    done = pocketrec("sign", bundle, "--key", hidden.private)
    assert done.returncode == 0
    assert "sesame" not in done.stdout + done.stderr
    assert pocketrec("verify", bundle, "--key", hidden.public).returncode == 0


def test_a_terminal_is_asked_for_the_passphrase(
    bundle: Path, pocketrec: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden, shown = pair(tmp_path, "hidden", passphrase="open sesame"), []

    def prompt(text: str, *, hide_input: bool, err: bool) -> str:
        shown.append((text, hide_input, err))
        return "open sesame"

    monkeypatch.setattr("pocketrec.cli.sign.on_terminal", lambda: True)
    monkeypatch.setattr("click.prompt", prompt)
    assert pocketrec("sign", bundle, "--key", hidden.private).returncode == 0
    assert shown == [("Passphrase of the key", True, True)]


def test_a_bundle_whose_gate_failed_is_not_signed(bundle: Path, key: Pair, pocketrec: Run) -> None:
    write_statements(bundle, gates=[GATE, {**GATE, "gate": "max_ndcg_drop", "status": "failed"}])
    seal(bundle, name="double", version="1", artifacts={"onnx": {"main": "artifacts/onnx/main.onnx"}})
    done = pocketrec("sign", bundle, "--key", key.private)
    assert done.returncode == 1
    assert "gate max_ndcg_drop of onnx on onnxruntime failed" in done.stderr
    assert "nothing was signed" in done.stderr
    assert not (bundle / "signatures").exists()


def test_two_builds_are_signed_with_the_same_bytes(
    bundle: Path, key: Pair, pocketrec: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make(tmp_path / "elsewhere" / "c")
    pocketrec("sign", bundle, "--key", key.private)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    pocketrec("sign", other, "--key", key.private)
    for name in SIGNED:
        assert (bundle / "signatures" / name).read_bytes() == (other / "signatures" / name).read_bytes()


def test_the_bill_says_the_time_that_it_is_told(
    bundle: Path, key: Pair, pocketrec: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert pocketrec("sign", bundle, "--key", key.private).returncode == 0
    bill = json.loads((bundle / "signatures/bom.cdx.json").read_text())
    assert bill["metadata"]["timestamp"] == "2026-01-01T00:00:00Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    done = pocketrec("sign", bundle, "--key", key.private)
    assert (done.returncode, "SOURCE_DATE_EPOCH is 'yesterday'" in done.stderr) == (2, True)
