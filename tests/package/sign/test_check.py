"""A bundle is trusted where the key's owner signed exactly it, in time; every other case says which it is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.package.sign.signing import NOW, Pair, check, edit, pair, payload, put_payload, reseal, sign
from tests.pipeline.test_verify import make

from pocketrec.errors import ArtifactError, Expired, Tampered, Unsigned, Untrusted, WrongKey
from pocketrec.package.bundle import read_bundle, verify_files
from pocketrec.package.manifest import file_sha256, seal
from pocketrec.package.sign.envelope import enclose, to_bytes
from pocketrec.package.sign.files import SIGNATURE_FILES
from pocketrec.package.sign.model import sign_release
from pocketrec.package.sign.sign import sign_bundle

MODEL, TESTS, PROVENANCE, BOM = SIGNATURE_FILES
HOUR, TIME = timedelta(hours=1), "1970-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("others"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mine: Pair) -> Path:
    folder = make(tmp_path_factory.mktemp("made") / "b")
    sign(folder, mine, NOW + HOUR)
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "b"))


def test_a_signed_bundle_is_trusted(bundle: Path, mine: Pair) -> None:
    signed = check(bundle, mine)
    manifest = read_bundle(bundle).manifest
    assert (signed.name, signed.version, signed.tree_sha256) == ("double", "1", manifest.tree_sha256)
    assert (signed.key, signed.expires) == (mine.checker().fingerprint, NOW + HOUR)
    assert signed.others == ("evidence/manifest.json", BOM)
    assert verify_files(read_bundle(bundle)) == ()


def test_signing_leaves_the_release_as_it_was(bundle: Path, tmp_path: Path) -> None:
    unsigned = make(tmp_path / "unsigned")
    assert (bundle / "manifest.json").read_bytes() == (unsigned / "manifest.json").read_bytes()
    assert sorted(f"signatures/{each.name}" for each in (bundle / "signatures").iterdir()) == sorted(
        SIGNATURE_FILES
    )
    assert {each.stat().st_mode & 0o777 for each in (bundle / "signatures").iterdir()} == {0o644}


def test_an_unsigned_bundle_says_so(tmp_path: Path, mine: Pair) -> None:
    folder = make(tmp_path / "b")
    with pytest.raises(
        Unsigned, match=r"nobody has signed this bundle .* ask its maker .* or sign it: pocketrec"
    ):
        check(folder, mine)


def test_another_key_says_so(bundle: Path, mine: Pair, theirs: Pair) -> None:
    with pytest.raises(WrongKey, match="signed with another key") as caught:
        check(bundle, theirs)
    for key in (mine, theirs):
        assert key.checker().fingerprint[:12] in str(caught.value)


def test_a_signature_ends_at_its_time(bundle: Path, mine: Pair) -> None:
    assert check(bundle, mine, NOW + HOUR - timedelta(seconds=1)).expires == NOW + HOUR
    with pytest.raises(Expired, match="expired on 2027-03-01T01:00:00Z; have it signed anew"):
        check(bundle, mine, NOW + HOUR)


def test_a_signature_without_an_end_has_none(bundle: Path, mine: Pair) -> None:
    assert sign(bundle, mine).expires is None
    assert check(bundle, mine, NOW + 100_000 * HOUR).expires is None


def rewritten(bundle: Path) -> None:
    """Today's attack: a file and all digests that follow from it."""
    (bundle / "contract.json").write_text("{}")
    reseal(bundle)


def rewritten_evidence(bundle: Path) -> None:
    (bundle / "evidence/evidence.json").write_text("{}")
    reseal(bundle)


def renamed(bundle: Path) -> None:
    edit(bundle / "manifest.json", lambda table: table.update(version="2"))


def in_payload(change: Callable[[Any], None], name: str = MODEL) -> Callable[[Path], None]:
    """An attack on what is signed, without the key."""

    def attack(bundle: Path) -> None:
        def inner(table: Any) -> None:
            envelope = table.get("dsseEnvelope", table)
            statement = payload(envelope)
            change(statement)
            put_payload(envelope, statement)

        edit(bundle / name, inner)

    return attack


def later(statement: Any) -> None:
    statement["predicate"]["pocketrec"]["expires"] = "2099-01-01T00:00:00Z"


def swapped(bundle: Path) -> None:
    """A statement of the same owner on the same bundle, in another's place."""
    shutil.copy(bundle / PROVENANCE, bundle / TESTS)


def of_type(value: str) -> Callable[[Path], None]:
    def attack(bundle: Path) -> None:
        edit(bundle / MODEL, lambda table: table["dsseEnvelope"].update(payloadType=value))

    return attack


ATTACKS: dict[str, tuple[Callable[[Path], None], type[Untrusted], str]] = {
    "files and digests": (rewritten, Tampered, "signs double 1 .*; this bundle is double 1 "),
    "evidence and digests": (
        rewritten_evidence,
        Tampered,
        "evidence/manifest.json: not the one that was signed",
    ),
    "the version": (renamed, Tampered, r"signs double 1 .*; this bundle is double 2 "),
    "the expiry": (in_payload(later), Tampered, "model.sig: altered after it was signed"),
    "the test result": (in_payload(dict.clear, TESTS), Tampered, "test-result.* altered after it was signed"),
    "the bill": (lambda b: edit(b / BOM, dict.clear), Tampered, "bom.cdx.json: not the one that was signed"),
    "its kind": (of_type("text/plain"), Tampered, "expected one signature of application/vnd.in-toto"),
    "a statement swapped": (swapped, Tampered, "expected a statement of https://in-toto.io/attestation/test"),
    "no test result": (
        lambda b: (b / TESTS).unlink(),
        Unsigned,
        "evidence/manifest.json: nobody has signed it",
    ),
    "no provenance": (lambda b: (b / PROVENANCE).unlink(), Unsigned, "bom.cdx.json: nobody has signed it"),
    "no signature": (lambda b: (b / MODEL).unlink(), Unsigned, "nobody has signed this bundle"),
    "no signatures": (lambda b: shutil.rmtree(b / "signatures"), Unsigned, "nobody has signed this bundle"),
    "no manifest": (lambda b: (b / "manifest.json").unlink(), Tampered, "manifest.json: missing"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_named(name: str, bundle: Path, mine: Pair) -> None:
    attack, kind, message = ATTACKS[name]
    attack(bundle)
    for now in (NOW, NOW + 2 * HOUR):  # what is altered is never said to be old
        with pytest.raises(kind, match=message) as caught:
            check(bundle, mine, now)
        assert type(caught.value) is kind
        assert ";" in str(caught.value)  # and what to do


def test_an_attacker_who_signs_again_has_another_key(bundle: Path, mine: Pair, theirs: Pair) -> None:
    rewritten(bundle)
    shutil.rmtree(bundle / "signatures")
    sign_any(bundle, theirs)
    with pytest.raises(WrongKey):
        check(bundle, mine)


def sign_any(bundle: Path, key: Pair) -> None:
    """Signs the release alone, whatever its contract says."""
    (bundle / "signatures").mkdir()
    manifest, digest = read_bundle(bundle).manifest, file_sha256(bundle / "manifest.json")
    (bundle / MODEL).write_bytes(to_bytes(sign_release(manifest, digest, key.signer(), None)))


def test_a_hint_that_names_our_key_convinces_nobody(bundle: Path, mine: Pair, theirs: Pair) -> None:
    sign(bundle, theirs)
    ours = mine.checker().fingerprint

    def forge(table: Any) -> None:
        table["verificationMaterial"]["publicKey"]["hint"] = ours
        table["dsseEnvelope"]["signatures"][0]["keyid"] = ours

    edit(bundle / MODEL, forge)
    with pytest.raises(Tampered, match="altered after it was signed"):
        check(bundle, mine)


def test_the_signature_of_another_bundle_is_of_another_bundle(
    bundle: Path, mine: Pair, tmp_path: Path
) -> None:
    other = make(tmp_path / "other", tolerance=1e-3)
    sign(other, mine)
    assert check(other, mine).name == "double"
    for name in (MODEL, TESTS, PROVENANCE):
        copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
        shutil.copy(other / name, copy / name)
        with pytest.raises(
            Tampered, match="this bundle is double 1" if name == MODEL else "is of another bundle"
        ):
            check(copy, mine)
        shutil.rmtree(copy)


def test_a_part_of_a_bundle_is_checked_by_its_manifest(bundle: Path, mine: Pair) -> None:
    """What an app pulls: no evidence, and some of the artifacts."""
    for name in ("evidence", "artifacts"):
        shutil.rmtree(bundle / name)
    assert check(bundle, mine).others == (BOM,)


def signed_by_owner(change: Callable[[Any], None], key: Pair, bundle: Path) -> None:
    """A release's signature by the key's owner, who says something else in it."""

    def again(table: Any) -> None:
        statement = payload(table["dsseEnvelope"])
        change(statement)
        table["dsseEnvelope"] = enclose(statement, key.signer())

    edit(bundle / MODEL, again)


def resource(**said: str) -> Callable[[Any], None]:
    return lambda statement: statement["predicate"]["resources"][0].update(said)


def twice(statement: Any) -> None:
    statement["predicate"]["resources"] *= 2


OTHERWISE: dict[str, tuple[Callable[[Any], None], str]] = {
    "a predicate": (
        lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"),
        "something else than a",
    ),
    "a statement": (
        lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
        "no statement of in-toto's",
    ),
    "an algorithm": (resource(algorithm="blake3"), "twice, or without a sha256"),
    "a file twice": (twice, "twice, or without a sha256"),
    "a digest": (resource(digest="0" * 64), "manifest.json has another sha256 than was signed"),
    "no end": (lambda s: s["predicate"]["pocketrec"].update(expires="never"), "'never', which is no time"),
    "an end elsewhere": (
        lambda s: s["predicate"]["pocketrec"].update(expires="2027-06-30T12:00:00+02:00"),
        "which is no time",
    ),
    "a name": (
        lambda s: s["predicate"]["pocketrec"].update(name="other"),
        "signs other 1 .* this bundle is double",
    ),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_the_owner_signed_otherwise_is_not_taken_for_it(name: str, bundle: Path, mine: Pair) -> None:
    signed_by_owner(lambda statement: None, mine, bundle)
    assert check(bundle, mine).name == "double"
    change, message = OTHERWISE[name]
    signed_by_owner(change, mine, bundle)
    with pytest.raises(Tampered, match=message):
        check(bundle, mine)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.update(mediaType=f"{table['mediaType']}x"), "no Sigstore bundle of version 0.3"),
        (
            lambda table: table["dsseEnvelope"].update(payload=f"{table['dsseEnvelope']['payload']}\n"),
            "no base64",
        ),
    ],
)
def test_a_signature_is_spelled_in_one_way(
    change: Callable[[Any], None], message: str, bundle: Path, mine: Pair
) -> None:
    edit(bundle / MODEL, change)
    with pytest.raises(Tampered, match=message):
        check(bundle, mine)


def linked(name: str) -> Callable[[Path], None]:
    def attack(bundle: Path) -> None:
        (bundle / name).rename(bundle.parent / "elsewhere")
        (bundle / name).symlink_to(bundle.parent / "elsewhere")

    return attack


def fifo(bundle: Path) -> None:
    (bundle / MODEL).unlink()
    os.mkfifo(bundle / MODEL)


def folder(bundle: Path) -> None:
    (bundle / BOM).unlink()
    (bundle / BOM).mkdir()


def huge(bundle: Path) -> None:
    with (bundle / MODEL).open("wb") as file:
        file.truncate(1 << 40)


def text(value: str, name: str = MODEL) -> Callable[[Path], None]:
    def attack(bundle: Path) -> None:
        (bundle / name).write_text(value)

    return attack


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a link": (linked(MODEL), "a link"),
    "a linked folder": (linked("signatures"), "a link"),
    "a linked manifest": (linked("manifest.json"), "a link"),
    "a FIFO": (fifo, "a FIFO"),
    "a folder": (folder, "a folder"),
    "a terabyte": (huge, "expected at most 16777216"),
    "no JSON": (text("{"), "not valid JSON"),
    "deep JSON": (text("[" * 100_000), "not valid JSON"),
    "deep attestation": (text('{"payload":' * 100_000, TESTS), "not valid JSON"),
    "a number of a million digits": (text("1" * 1_000_000), "not valid JSON"),
    "another value": (text("[]"), "has no 'mediaType'"),
    "no envelope": (text("null", TESTS), "has no 'payload'"),
    "no manifest's JSON": (text("[]", "manifest.json"), "manifest.json"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name: str, bundle: Path, mine: Pair) -> None:
    attack, message = HOSTILE[name]
    attack(bundle)
    with pytest.raises(Tampered, match=message) as caught:
        check(bundle, mine)
    assert len(str(caught.value)) < 500


def cuts(value: Any) -> list[tuple[Any, Any]]:
    """Every table and list of a value with every key of it."""
    keys = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    return [each for key in keys for each in ((value, key), *cuts(value[key]))]


@pytest.mark.parametrize("name", [MODEL, TESTS, PROVENANCE])
@pytest.mark.parametrize("put", [None, 0, "x", [], {}], ids=repr)
def test_no_part_of_a_signature_can_be_something_else(name: str, put: Any, bundle: Path, mine: Pair) -> None:
    """Either the check fails by its own errors, or what it says is the same."""
    original, expected = (bundle / name).read_bytes(), check(bundle, mine)
    failed = 0
    for number in range(len(cuts(json.loads(original)))):
        value = json.loads(original)
        holder, key = cuts(value)[number]
        holder[key] = put
        (bundle / name).write_text(json.dumps(value))
        try:
            assert check(bundle, mine) == expected
        except Untrusted:
            failed += 1
    assert failed >= 4


def test_no_flipped_byte_changes_what_is_said(bundle: Path, mine: Pair) -> None:
    data, expected = (bundle / MODEL).read_bytes(), check(bundle, mine)
    failed = 0
    for place in range(0, len(data), 7):
        flipped = bytearray(data)
        flipped[place] ^= 1
        (bundle / MODEL).write_bytes(flipped)
        try:
            assert check(bundle, mine) == expected
        except Untrusted:
            failed += 1
    assert failed > len(data) / 7 * 0.8


def test_only_the_names_of_signatures_may_stand_beside_the_release(bundle: Path) -> None:
    (bundle / "signatures/more.sig").write_text("")
    assert verify_files(read_bundle(bundle)) == ("signatures/more.sig: surplus, no manifest lists it",)


def test_a_release_cannot_list_its_signature(tmp_path: Path, mine: Pair) -> None:
    folder = make(tmp_path / "b")
    (folder / "signatures").mkdir()
    (folder / MODEL).write_text("{}")
    manifest = read_bundle(folder).manifest
    seal(folder, name="double", version="1", artifacts=manifest.artifacts)
    assert verify_files(read_bundle(folder)) == (f"{MODEL}: missing",)


def test_signing_hashes_no_artifact(tmp_path: Path, mine: Pair) -> None:
    """What was altered before it was signed is found by comparing files, as ever."""
    folder = make(tmp_path / "b")
    (folder / "artifacts/onnx/main.onnx").write_bytes(b"other")
    sign(folder, mine)
    assert check(folder, mine).name == "double"
    (problem,) = verify_files(read_bundle(folder))
    assert problem.startswith("artifacts/onnx/main.onnx: altered")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda b: (b / "new.txt").write_text(""), "new.txt: surplus"),
        (lambda b: (b / "recipe.json").unlink(), "recipe.json: missing"),
        (lambda b: (b / "recipe.json").write_text("{}"), "recipe.json: altered"),
        (lambda b: (b / "evidence/evidence.json").write_text("{}"), "evidence/evidence.json: altered"),
        (lambda b: (b / "l").symlink_to("/etc/passwd"), "l: a link"),
    ],
)
def test_what_is_damaged_is_not_signed(
    spoil: Callable[[Path], object], message: str, tmp_path: Path, mine: Pair
) -> None:
    folder = make(tmp_path / "b")
    spoil(folder)
    with pytest.raises(ArtifactError, match=message):
        sign(folder, mine)
    assert not (folder / "signatures").exists()


def test_a_new_signature_takes_the_place_of_the_old(bundle: Path, mine: Pair, theirs: Pair) -> None:
    sign(bundle, theirs)
    assert check(bundle, theirs).key == theirs.checker().fingerprint
    with pytest.raises(WrongKey):
        check(bundle, mine)


def test_who_signs_after_a_kill_finds_no_obstacle(bundle: Path, mine: Pair) -> None:
    """Half a signature that a killed process left in the bundle goes with the next one."""
    left = bundle / ".partial-signatures"
    left.mkdir()
    (left / "model.sig").write_text("half")
    sign(bundle, mine)
    assert not left.exists()
    assert check(bundle, mine).key == mine.checker().fingerprint


def test_of_two_who_sign_at_once_one_waits(bundle: Path, mine: Pair, theirs: Pair) -> None:
    signers = [mine.signer(), theirs.signer()] * 4
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda each: sign_bundle(read_bundle(bundle), each, time=TIME), signers))
    assert [each.key for each in made] == [each.public.fingerprint for each in signers]
