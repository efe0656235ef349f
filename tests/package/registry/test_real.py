"""A real registry that dies half-way, and what others' tools and ours make of each other's releases."""

from __future__ import annotations

import base64
import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.package.registry.real import Relay, real_registry
from tests.package.registry.tools import NoTool, tool
from tests.package.registry.toys import FILES, toy, tree
from tests.package.sign.signing import Pair, pair
from tests.pipeline.test_verify import make

pytestmark = pytest.mark.ship

PARTS, MIB = 6, 1 << 20
SIZE = 4 * MIB  # bytes of each large file
_AT_ONCE = 4  # files under way, which a killed registry may have seen the beginning of


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    try:
        for name in ("docker-registry", "oras", "cosign"):
            tool(name)
    except NoTool as error:
        pytest.skip(f"not run: {error}")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with 24 MiB that no two files share."""
    draw = random.Random(7)
    files = {f"artifacts/onnx/part{number}.data": draw.randbytes(SIZE) for number in range(PARTS)}
    return toy(tmp_path_factory.mktemp("large") / "toy", files=files).path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy(tmp_path_factory.mktemp("small") / "toy").path


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    (tmp_path / "registry").mkdir()
    with real_registry(tmp_path / "registry") as found:
        yield found


def command(folder: Path, *words: str, limit: int = 0, **more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "DOCKER_CONFIG": str(folder / "docker"), **more}
    before = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)) if limit else None
    return subprocess.Popen(
        [sys.executable, "-m", "pocketrec", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def run(folder: Path, *words: str, code: int = 0, limit: int = 0) -> tuple[Any, str]:
    """What a command printed as JSON, and its last line on stderr."""
    with command(folder, *words, "--json", limit=limit) as process:
        out, err = process.communicate()
    assert process.returncode == code, err
    assert "Traceback" not in err
    return json.loads(out), (err.strip().splitlines() or [""])[-1]


def other(name: str, *words: str, folder: Path, code: int = 0, **more: str) -> str:
    """What another's tool printed."""
    environment = {**os.environ, "HOME": str(folder), "COSIGN_PASSWORD": "", **more}
    done = subprocess.run(
        [str(tool(name)), *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def print_figures(name: str, figures: Mapping[str, object]) -> None:
    print(f"{name}: {', '.join(f'{key} {value}' for key, value in figures.items())}")


def test_a_registry_that_dies_in_a_push_has_no_tag_and_a_rerun_sends_the_rest(
    large: Path, relay: Relay, tmp_path: Path
) -> None:
    reference = f"{relay.host}/models/toy:1"
    relay.after, relay.then = ("sent", 11 * MIB), relay.registry.kill
    _, said = run(tmp_path, "push", str(large), reference, code=5)
    assert "cannot be reached, or broke off; see that it runs, and run it again: what was sent" in said
    first = relay.sent
    relay.registry.start()
    listed, _ = run(tmp_path, "list", reference.removesuffix(":1"))
    assert listed["releases"] == []
    relay.clear()
    done, _ = run(tmp_path, "push", str(large), reference)
    second = relay.sent
    whole = done["size_bytes"]
    assert done["blobs_sent"] < done["blobs"]
    assert first + second < whole + _AT_ONCE * SIZE + MIB  # none that had arrived is sent again
    assert done["bytes_sent"] <= second < done["bytes_sent"] + MIB
    relay.clear()
    again, _ = run(tmp_path, "push", str(large), reference)
    assert (again["bytes_sent"], again["blobs_sent"]) == (0, 0)
    print_figures(
        "push", {"whole": whole, "until it died": first, "after": second, "a third time": relay.sent}
    )
    run(tmp_path, "pull", reference, "--out", "out")
    assert tree(tmp_path / "out") == tree(large)


def test_a_registry_that_dies_in_a_pull_leaves_nothing_and_a_rerun_fetches_the_rest(
    large: Path, relay: Relay, tmp_path: Path
) -> None:
    reference = f"{relay.host}/models/toy:1"
    pushed, _ = run(tmp_path, "push", str(large), reference)
    relay.clear()
    relay.after, relay.then = ("received", 11 * MIB), relay.registry.kill
    _, said = run(tmp_path, "pull", reference, "--out", "out", code=5)
    assert "what was sent or fetched is kept" in said
    assert not (tmp_path / "out").exists()
    first = relay.received
    kept = sum(path.stat().st_size for path in (tmp_path / ".out.pulling").iterdir())
    relay.registry.start()
    relay.clear()
    done, _ = run(tmp_path, "pull", reference, "--out", "out")
    assert tree(tmp_path / "out") == tree(large)
    assert not (tmp_path / ".out.pulling").exists()
    assert relay.received < pushed["size_bytes"] - kept + MIB  # neither whole files nor begun ones
    print_figures(
        "pull",
        {"whole": pushed["size_bytes"], "until it died": first, "kept": kept, "after": relay.received},
    )
    assert done["bytes_received"] <= relay.received


def test_a_pull_that_is_killed_goes_on_too(large: Path, relay: Relay, tmp_path: Path) -> None:
    reference = f"{relay.host}/models/toy:1"
    run(tmp_path, "push", str(large), reference)
    relay.clear()
    process = command(tmp_path, "pull", reference, "--out", "out")
    relay.after, relay.then = ("received", 11 * MIB), process.kill
    process.communicate()
    assert process.returncode == -9
    assert not (tmp_path / "out").exists()
    kept = sum(path.stat().st_size for path in (tmp_path / ".out.pulling").iterdir())
    relay.clear()
    run(tmp_path, "pull", reference, "--out", "out")
    assert tree(tmp_path / "out") == tree(large)
    assert relay.received < PARTS * SIZE - kept + MIB
    assert {path.name for path in tmp_path.iterdir()} == {"registry", "out"}


def test_a_full_disk_ends_a_pull_with_what_to_free_and_a_rerun_finishes(
    large: Path, relay: Relay, tmp_path: Path
) -> None:
    """A limit on a file's size stands for the disk: the system's own error, in the middle of a file."""
    reference = f"{relay.host}/models/toy:1"
    run(tmp_path, "push", str(large), reference)
    _, said = run(tmp_path, "pull", reference, "--out", "out", code=3, limit=2 * MIB)
    assert "File too large; free" in said
    assert not (tmp_path / "out").exists()
    run(tmp_path, "pull", reference, "--out", "out")
    assert tree(tmp_path / "out") == tree(large)


def test_credentials_that_expire_half_way_are_said_and_a_rerun_sends_the_rest(
    large: Path, tmp_path: Path
) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "docker").mkdir()
    users = tmp_path / "registry/htpasswd"
    users.write_text(_line("hunter2"))
    with real_registry(tmp_path / "registry", password=True) as relay:
        reference = f"{relay.host}/models/toy:1"
        _, said = run(tmp_path, "push", str(large), reference, code=5)
        assert "asks who you are" in said
        _login(tmp_path, relay, "hunter2")
        relay.clear()
        relay.after, relay.then = ("sent", 9 * MIB), partial(_change, users, "hunter3")
        _, said = run(tmp_path, "push", str(large), reference, code=5)
        assert "is refused (401); it may have expired, so log in again with `docker login" in said
        assert "hunter" not in said
        _login(tmp_path, relay, "hunter3")
        done, _ = run(tmp_path, "push", str(large), reference)
        assert 0 < done["blobs_sent"] < done["blobs"]
        run(tmp_path, "pull", reference, "--out", "out")
        assert tree(tmp_path / "out") == tree(large)


def _line(password: str) -> str:
    import crypt  # its successor would be one more package for one line

    return f"me:{crypt.crypt(password, '$2b$04$' + 'abcdefghijklmnopqrstuu')}\n"


def _change(users: Path, password: str) -> None:
    """The file is looked at again where its time is another."""
    users.write_text(_line(password))
    os.utime(users, (0, 1e9))


def _login(folder: Path, relay: Relay, password: str) -> None:
    entry = {"auth": base64.b64encode(f"me:{password}".encode()).decode()}
    (folder / "docker/config.json").write_text(json.dumps({"auths": {relay.host: entry}}))


def test_of_two_pushers_of_one_tag_the_tag_is_ones_and_whole(relay: Relay, tmp_path: Path) -> None:
    reference = f"{relay.host}/models/toy:1"
    bundles = [toy(tmp_path / name, files={"vocabularies/item.txt": name.encode()}).path for name in "ab"]
    processes = [command(tmp_path, "push", str(each), reference, "--json") for each in bundles]
    said = [each.communicate() for each in processes]
    codes = [each.returncode for each in processes]
    assert set(codes) <= {0, 2}
    assert 0 in codes
    for code, (_, err) in zip(codes, said, strict=True):
        assert code == 0 or "is another release" in err or "somebody pushed it at the same time" in err
    pulled, _ = run(tmp_path, "pull", reference, "--out", "out")
    winner = next(each for each in bundles if tree(each) == tree(tmp_path / "out"))
    loser = next(each for each in bundles if each != winner)
    _, why = run(tmp_path, "push", str(loser), reference, code=2)
    assert "raise the version, pass another tag, or move this one with --move" in why
    assert run(tmp_path, "push", str(winner), reference)[0]["digest"] == pulled["digest"]


def test_two_pushers_of_one_release_do_not_disturb_each_other(
    small: Path, relay: Relay, tmp_path: Path
) -> None:
    reference = f"{relay.host}/models/toy:1"
    processes = [command(tmp_path, "push", str(small), reference) for _ in range(2)]
    for each in processes:
        _, err = each.communicate()
        assert each.returncode == 0, err
    run(tmp_path, "pull", reference, "--out", "out")
    assert tree(tmp_path / "out") == tree(small)


def test_oras_pulls_what_we_pushed(small: Path, relay: Relay, tmp_path: Path) -> None:
    """All files under their paths; and it finds the evidence that refers to them."""
    reference = f"{relay.host}/models/toy:1"
    run(tmp_path, "push", str(small), reference)
    other("oras", "pull", "--plain-http", reference, "-o", "out", folder=tmp_path)
    named = {"manifest.json", *FILES}
    assert tree(tmp_path / "out") == {name: data for name, data in tree(small).items() if name in named}
    assert "application/vnd.pocketrec.evidence.v1" in other(
        "oras", "discover", "--plain-http", reference, folder=tmp_path
    )
    run(tmp_path, "push", str(small), "./place:1")
    other("oras", "pull", "--oci-layout", "place:1", "-o", "again", folder=tmp_path)
    assert tree(tmp_path / "again") == tree(tmp_path / "out")


def test_we_pull_what_oras_pushed(small: Path, relay: Relay, tmp_path: Path) -> None:
    """A bundle's folder as it stands, evidence and all, in one image."""
    kind = "application/vnd.cncf.model.manifest.v1+json"
    files = sorted(tree(small))
    reference = f"{relay.host}/models/toy:1"
    other("oras", "push", "--plain-http", "--artifact-type", kind, reference, *files, folder=small)
    run(tmp_path, "pull", reference, "--out", "out")
    assert tree(tmp_path / "out") == tree(small)
    other("oras", "push", "--plain-http", "--artifact-type", kind, reference, *files[:-4], folder=small)
    _, said = run(tmp_path, "pull", reference, "--out", "no", code=1)
    assert "missing, which manifest.json lists" in said


def test_plain_oras_py_keeps_base_names_only_which_is_why_ours_titles_by_path(
    small: Path, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oras.client import OrasClient

    files = [str(small / name) for name in sorted(tree(small))]
    client = OrasClient(insecure=True)
    monkeypatch.chdir(tmp_path)
    target = f"{relay.host}/models/plain:1"
    client.push(target, files=files, disable_path_validation=True)
    client.pull(target, outdir=str(tmp_path / "plain"))
    lost = len(files) - len(tree(tmp_path / "plain"))
    assert lost == len(files) - len({Path(each).name for each in files}) > 0
    run(tmp_path, "push", str(small), f"{relay.host}/models/ours:1")
    run(tmp_path, "pull", f"{relay.host}/models/ours:1", "--out", "ours")
    assert len(tree(tmp_path / "ours")) == len(files)
    print_figures("titles", {"files": len(files), "lost by base names": lost})


@pytest.fixture
def key(tmp_path: Path) -> Pair:
    return pair(tmp_path)


_COSIGN = ("--insecure-ignore-tlog=true", "--allow-http-registry", "--allow-insecure-registry")


def test_cosign_verifies_what_we_signed(relay: Relay, tmp_path: Path, key: Pair) -> None:
    bundle = make(tmp_path / "b")  # which has passed a gate, else it is not signed
    place = f"{relay.host}/models/toy"
    pushed, _ = run(tmp_path, "push", str(bundle), f"{place}:1", "--sign", str(key.private))
    named = f"{place}@{pushed['digest']}"
    said = other("cosign", "verify", "--key", str(key.public), *_COSIGN, named, folder=tmp_path)
    assert "The signatures were verified against the specified public key" in said
    stranger = pair(tmp_path, "stranger")
    other("cosign", "verify", "--key", str(stranger.public), *_COSIGN, named, folder=tmp_path, code=12)


def test_we_accept_what_cosign_signed(small: Path, relay: Relay, tmp_path: Path) -> None:
    place = f"{relay.host}/models/toy"
    pushed, _ = run(tmp_path, "push", str(small), f"{place}:1")
    named = f"{place}@{pushed['digest']}"
    other("cosign", "generate-key-pair", folder=tmp_path)
    flags = ("--tlog-upload=false", "--allow-http-registry", "--allow-insecure-registry", "--yes")
    _, said = run(tmp_path, "pull", named, "--key", "cosign.pub", "--out", "out", code=10)
    assert "nobody has signed it" in said
    other("cosign", "sign", "--key", "cosign.key", *flags, named, folder=tmp_path)
    pulled, _ = run(tmp_path, "pull", named, "--key", "cosign.pub", "--out", "out")
    assert pulled["vouched"]["by"] == "cosign"
    stranger = pair(tmp_path, "stranger")
    run(tmp_path, "pull", named, "--key", str(stranger.public), "--out", "no", code=11)
