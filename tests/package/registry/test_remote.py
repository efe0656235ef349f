"""A registry over HTTP: what breaks off goes on, what was altered is refused, secrets stay secret."""

from __future__ import annotations

import base64
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from tests.package.registry.fake import Answer, Fake, fake_registry, never
from tests.package.registry.toys import CREATED, FILES, layout, toy, tree

from pocketrec.cli.main import main
from pocketrec.errors import ArtifactError, Denied, RegistryError, StorageError, TagTaken, UsageError
from pocketrec.package.bundle import Bundle
from pocketrec.package.registry.image import digest_of
from pocketrec.package.registry.pull import Pulled
from pocketrec.package.registry.push import Pushed, push_release
from pocketrec.package.registry.references import Reference, parse_reference
from pocketrec.pipeline.registry import pull as pull_reference
from pocketrec.pipeline.registry import push as push_reference
from pocketrec.pipeline.registry import releases

WEIGHTS = FILES["artifacts/onnx/main.onnx.data"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return toy(tmp_path_factory.mktemp("made") / "toy")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with fake_registry() as registry:
        yield registry


def reference(fake: Fake, wanted: str = "1.4.0") -> Reference:
    return parse_reference(f"{fake.host}/models/toy").at(wanted)


def push(bundle: Bundle, fake: Fake, **options: Any) -> Pushed:
    return push_reference(bundle.path, reference(fake), created=CREATED, **options)


def pull(fake: Fake, out: Path, wanted: str = "1.4.0", **options: Any) -> Pulled:
    return pull_reference(reference(fake, wanted), out=out, **options)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_registry_that_fails_is_asked_again_whatever_it_was_asked(
    made: Bundle, fake: Fake, tmp_path: Path, times: int
) -> None:
    """As docker-registry fails to read a tag that another writes: each kind of request, the first times."""
    failed: Counter[tuple[str, str]] = Counter()

    def hook(method: str, path: str, headers: Any) -> Answer | None:
        kind = method, path.partition("/toy/")[2].partition("/")[0]
        failed[kind] += 1
        return (500, {}, b'{"errors": [{"code": "UNKNOWN"}]}') if failed[kind] <= times else None

    fake.hook = hook
    if times == 3:
        with pytest.raises(RegistryError, match="answers 500 UNKNOWN; run it again: what was sent"):
            push(made, fake)
        return
    push(made, fake)
    assert tree(pull(fake, tmp_path / "out").path) == tree(made.path)
    assert {("HEAD", "blobs"), ("POST", "blobs"), ("PUT", "manifests"), ("GET", "manifests")} <= failed.keys()


@pytest.mark.parametrize("api", [True, False])
def test_what_is_pulled_is_what_was_pushed(made: Bundle, fake: Fake, tmp_path: Path, api: bool) -> None:
    """With a registry that lists what refers to a release, and with one that does not."""
    fake.referrers = api
    pushed = push(made, fake)
    assert tree(pull(fake, tmp_path / "out").path) == tree(made.path)
    assert pull(fake, tmp_path / "by digest", pushed.digest).digest == pushed.digest
    assert (f"sha256-{pushed.digest[7:]}" in fake.tags()) != api
    assert [each.tag for each in releases(reference(fake))] == ["1.4.0"]


def test_a_registry_and_a_folder_give_one_digest(made: Bundle, fake: Fake, tmp_path: Path) -> None:
    folder = push_release(made, layout(tmp_path / "place"), "1.4.0", name="place", created=CREATED)
    assert push(made, fake).digest == folder.digest


def test_nothing_is_sent_twice(made: Bundle, fake: Fake) -> None:
    first = push(made, fake)
    assert first.bytes_sent == fake.received + sum(len(data) for name, (_, data) in fake.manifests.items())
    received = fake.received
    again = push(made, fake)
    assert (again.bytes_sent, again.blobs_sent, fake.received) == (0, 0, received)


def test_a_push_that_broke_off_left_no_tag_and_goes_on_with_what_is_missing(made: Bundle, fake: Fake) -> None:
    uploads: list[str] = []

    def breaks(method: str, path: str, headers: Any) -> Answer | None:
        if method == "PUT" and "/uploads/" in path:
            uploads.append(path)
            return (503, {}, b"") if len(uploads) >= 6 else None
        return None

    fake.hook = breaks
    with pytest.raises(RegistryError, match="answers 503; run it again: what was sent or fetched is kept"):
        push(made, fake)
    assert fake.tags() == []
    fake.hook = never
    there, received = len(fake.blobs), fake.received
    assert there
    done = push(made, fake)
    assert done.blobs_sent == done.blobs - there
    assert fake.received == received + sum(map(len, list(fake.blobs.values())[there:]))
    assert sum(map(len, fake.blobs.values())) == fake.received
    assert fake.tags() == ["1.4.0"]


def test_a_registry_that_stumbles_over_two_who_send_one_blob_is_asked_again(made: Bundle, fake: Fake) -> None:
    """As docker-registry does: 500 for one of them, whose blob may be there by then."""
    stumbled: list[str] = []

    def stumbles(method: str, path: str, headers: Any) -> Answer | None:
        if method != "PUT" or "/uploads/" not in path or len(stumbled) > 1:
            return None
        stumbled.append(path)
        if digest_of(WEIGHTS)[7:] in path:
            fake.blobs[digest_of(WEIGHTS)] = WEIGHTS
        return 500, {}, b'{"errors": [{"code": "UNKNOWN"}]}'

    fake.hook = stumbles
    done = push(made, fake)
    assert len(stumbled) == 2
    assert len(fake.blobs) == done.blobs


@pytest.mark.parametrize("ranges", [True, False])
def test_a_pull_that_broke_off_installs_nothing_and_goes_on(
    made: Bundle, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: bool
) -> None:
    """From the byte where it stopped, where the registry can begin there, and with the next file anyway."""
    monkeypatch.setattr("pocketrec.package.registry.remote.PIECE", 50)
    push(made, fake)
    fake.ranges = ranges
    fake.cut[digest_of(WEIGHTS)] = 110
    with pytest.raises(RegistryError, match="broke off; see that it runs, and run it again"):
        pull(fake, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    waiting = tmp_path / ".out.pulling"
    assert (waiting / f"{digest_of(WEIGHTS)[7:]}.part").read_bytes() == WEIGHTS[:100]
    kept = {f"sha256:{path.name}" for path in waiting.iterdir() if not path.suffix}
    fake.given.clear()
    done = pull(fake, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(made.path)
    assert not waiting.exists()
    assert done.kept == len(kept)
    assert fake.given[digest_of(WEIGHTS)] == len(WEIGHTS) - (100 if ranges else 0)
    small = {
        digest_of((made.path / name).read_bytes()) for name in ("manifest.json", "evidence/manifest.json")
    }
    assert not kept & fake.given.keys() - small  # these two are read before anything is fetched


@pytest.mark.parametrize("other", [WEIGHTS[:-1] + b"\x01", WEIGHTS + b"more", WEIGHTS[:-1], b""])
def test_a_registry_that_gives_something_else_is_refused(
    made: Bundle, fake: Fake, tmp_path: Path, other: bytes
) -> None:
    push(made, fake)
    fake.blobs[digest_of(WEIGHTS)] = other
    with pytest.raises(ArtifactError, match=r"main\.onnx\.data: "):
        pull(fake, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    fake.blobs[digest_of(WEIGHTS)] = WEIGHTS
    assert tree(pull(fake, tmp_path / "out").path) == tree(made.path)


def test_a_manifest_that_is_not_the_digest_asked_for_is_refused(
    made: Bundle, fake: Fake, tmp_path: Path
) -> None:
    pushed = push(made, fake)
    kind, data = fake.manifests[pushed.digest]
    fake.manifests[pushed.digest] = kind, data.replace(b"1.4.0", b"1.4.1")
    with pytest.raises(ArtifactError, match="gives something else than was asked for"):
        pull(fake, tmp_path / "out", pushed.digest)


def account(folder: Path, host: str, user: str = "me:hunter2") -> None:
    folder.mkdir(exist_ok=True)
    entry = {"auth": base64.b64encode(user.encode()).decode()}
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))


@pytest.mark.parametrize("token", [True, False])
def test_who_asks_is_said_as_docker_login_has_it(
    made: Bundle, fake: Fake, tmp_path: Path, token: bool
) -> None:
    fake.basic, fake.tokens = "me:hunter2", set() if token else None
    with pytest.raises(
        Denied, match=r"asks who you are; .* has no account for it; log in with `docker login 127"
    ):
        push(made, fake)
    assert fake.received == 0
    account(tmp_path / "docker", fake.host)
    push(made, fake)
    assert tree(pull(fake, tmp_path / "out").path) == tree(made.path)
    account(tmp_path / "docker", fake.host, "me:wrong-secret")
    with pytest.raises(Denied, match=r"refuse.*docker login") as error:
        pull(fake, tmp_path / "again")
    assert "wrong-secret" not in str(error.value)


def test_a_token_that_expires_half_way_is_asked_for_again(made: Bundle, fake: Fake, tmp_path: Path) -> None:
    fake.basic, fake.tokens = "me:hunter2", set()
    account(tmp_path / "docker", fake.host)

    def expires(method: str, path: str, headers: Any) -> Answer | None:
        if method == "PUT" and "/uploads/" in path and len(fake.blobs) == 3 and fake.tokens_asked == 1:
            assert fake.tokens is not None
            fake.tokens.clear()
        return None

    fake.hook = expires
    push(made, fake)
    assert fake.tokens_asked == 2


def test_an_account_that_is_closed_half_way_says_so_and_what_was_sent_is_kept(
    made: Bundle, fake: Fake, tmp_path: Path
) -> None:
    fake.basic, fake.tokens = "me:hunter2", set()
    account(tmp_path / "docker", fake.host)

    def closes(method: str, path: str, headers: Any) -> Answer | None:
        if len(fake.blobs) >= 3:
            assert fake.tokens is not None
            fake.tokens.clear()
            fake.basic = "me:other"
        return None

    fake.hook = closes
    with pytest.raises(
        Denied, match=r"it may have expired, so log in again with .*; what was sent or fetched is kept"
    ):
        push(made, fake)
    assert fake.tags() == []
    there = len(fake.blobs)
    fake.hook = lambda *_: None
    account(tmp_path / "docker", fake.host, "me:other")
    done = push(made, fake)
    assert done.blobs_sent == done.blobs - there


@pytest.mark.parametrize("table", [{"credsStore": "desktop"}, {"credHelpers": {"HOST": "ecr-login"}}])
def test_a_credential_helper_is_named_and_not_started(
    made: Bundle, fake: Fake, tmp_path: Path, table: dict[str, Any]
) -> None:
    fake.basic = "me:hunter2"
    (tmp_path / "docker").mkdir()
    text = json.dumps(table).replace("HOST", fake.host)
    (tmp_path / "docker/config.json").write_text(text)
    with pytest.raises(
        Denied, match=r"leaves that to the helper '(desktop|ecr-login)', and none is asked; write"
    ):
        push(made, fake)


@pytest.mark.parametrize(
    "text", ["[", "[]", '{"auths": {"HOST": {"auth": "%%"}}}', '{"auths": {"HOST": {"auth": "bWU="}}}']
)
def test_a_config_that_docker_did_not_write_is_said(
    made: Bundle, fake: Fake, tmp_path: Path, text: str
) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(text.replace("HOST", fake.host))
    with pytest.raises(UsageError, match=r"config\.json"):
        push(made, fake)


@pytest.mark.parametrize(
    "realm", ["http://example.com/token", "file:///etc/passwd", "ftp://example.com", "", "https://"]
)
def test_credentials_go_to_no_other_place_without_tls(
    made: Bundle, fake: Fake, tmp_path: Path, realm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a registry with TLS, that is; one that is asked without may log in so, too."""
    from pocketrec.package.registry.credentials import Account, Login

    turned = requests.Response()
    turned.status_code = 401
    turned.headers["WWW-Authenticate"] = f'Bearer realm="{realm}"'
    turned.request = requests.Request("GET", "https://example.com/v2/").prepare()
    asked: list[str] = []
    monkeypatch.setattr("requests.get", lambda url, **_: asked.append(url))
    login = Login("example.com", "a", Account(basic="bWU6aHVudGVyMg==", file="config.json"), secure=True)
    with pytest.raises(Denied, match="no place with https to log in at; its credentials are not sent"):
        login.authenticate_request(turned, {})
    assert asked == []
    assert "bWU6" not in repr(login)


@pytest.mark.parametrize(
    "location", ["http://example.com/upload", "file:///etc/passwd", "//example.com/x", ""]
)
def test_an_upload_that_is_led_elsewhere_is_refused(made: Bundle, fake: Fake, location: str) -> None:
    def leads(method: str, path: str, headers: Any) -> Answer | None:
        return (202, {"Location": location}, b"") if method == "POST" else None

    fake.hook = leads
    with pytest.raises(RegistryError, match="leads to another place, which would get its credentials"):
        push(made, fake)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/"])
def test_a_blob_that_is_led_to_a_file_is_refused(
    made: Bundle, fake: Fake, tmp_path: Path, location: str
) -> None:
    push(made, fake)

    def leads(method: str, path: str, headers: Any) -> Answer | None:
        found = method == "GET" and digest_of(WEIGHTS) in path
        return (307, {"Location": location}, b"") if found else None

    fake.hook = leads
    with pytest.raises(RegistryError, match="leads to an address that is not http"):
        pull(fake, tmp_path / "out")


def test_a_blob_that_is_led_to_another_host_is_fetched_there_without_our_credentials(
    made: Bundle, fake: Fake, tmp_path: Path
) -> None:
    fake.basic = "me:hunter2"
    account(tmp_path / "docker", fake.host)
    push(made, fake)
    with fake_registry() as other:
        other.blobs = dict(fake.blobs)
        seen: list[str | None] = []

        def notes(method: str, path: str, headers: Any) -> Answer | None:
            seen.append(headers.get("Authorization"))
            return None

        def leads(method: str, path: str, headers: Any) -> Answer | None:
            found = method == "GET" and "/blobs/" in path
            place = f"http://localhost:{other.port}{path}"
            return (307, {"Location": place}, b"") if found else None

        other.hook, fake.hook = notes, leads
        pull(fake, tmp_path / "out")
    assert seen
    assert set(seen) == {None}


@pytest.mark.parametrize("challenge", ['Bearer realm="http://{host}/token"', 'Basic realm="x"'])
def test_who_holds_the_blobs_and_asks_who_we_are_is_not_told(
    made: Bundle, fake: Fake, tmp_path: Path, challenge: str
) -> None:
    """A registry that asks nobody leads to a place that does, and that names where to log in."""
    push(made, fake)
    account(tmp_path / "docker", fake.host)
    with fake_registry() as other:
        seen: list[str | None] = []

        def asks(method: str, path: str, headers: Any) -> Answer | None:
            seen.append(headers.get("Authorization"))
            return 401, {"WWW-Authenticate": challenge.format(host=other.host)}, b""

        def leads(method: str, path: str, headers: Any) -> Answer | None:
            found = method == "GET" and "/blobs/" in path
            return (307, {"Location": f"http://{other.host}{path}"}, b"") if found else None

        other.hook, fake.hook = asks, leads
        with pytest.raises(Denied, match=f"leads to {other.host}, which asks who you are; its credentials"):
            pull(fake, tmp_path / "out")
    assert set(seen) == {None}


def test_who_holds_the_blobs_gets_no_password_of_netrc(
    made: Bundle, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(made, fake)
    (tmp_path / "netrc").write_text("machine localhost login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with fake_registry() as other:
        other.blobs = dict(fake.blobs)
        seen: list[str | None] = []

        def notes(method: str, path: str, headers: Any) -> Answer | None:
            seen.append(headers.get("Authorization"))
            return None

        def leads(method: str, path: str, headers: Any) -> Answer | None:
            found = method == "GET" and "/blobs/" in path
            return (307, {"Location": f"http://localhost:{other.port}{path}"}, b"") if found else None

        other.hook, fake.hook = notes, leads
        pull(fake, tmp_path / "out")
    assert seen
    assert set(seen) == {None}


NO_ADDRESSES = ("http://[::1", f"http://{'a' * 300}.com/", "http://.example../", "http://\xff\xfe/")


@pytest.mark.parametrize("location", NO_ADDRESSES)
@pytest.mark.parametrize("header", ["Location", "upload", "Link", "WWW-Authenticate"])
def test_what_a_registry_gives_for_an_address_and_is_none_is_no_defect(
    made: Bundle, fake: Fake, tmp_path: Path, header: str, location: str
) -> None:
    """Wherever it stands: where a blob is, where one goes, more tags, where to log in."""

    def leads(method: str, path: str, headers: Any) -> Answer | None:
        if header == "upload":
            return (202, {"Location": location}, b"") if method == "POST" else None
        if header == "Link":
            return 200, {"Link": f'<{location}>; rel="next"'}, b'{"tags": ["1.4.0"]}'
        if header == "WWW-Authenticate":
            return 401, {header: f'Bearer realm="{location}"'}, b""
        return 307, {header: location}, b""

    fake.hook = leads
    asked: dict[str, Callable[[], object]] = {
        "upload": lambda: push(made, fake),
        "Link": lambda: list(releases(reference(fake, ""))),
    }
    said = "no address|another place|no place with https|logging in"
    with pytest.raises(RegistryError, match=said) as told:
        asked.get(header, lambda: pull(fake, tmp_path / "out"))()
    assert "\n" not in str(told.value)


def test_a_token_that_cannot_be_unpacked_is_no_defect(fake: Fake, tmp_path: Path) -> None:
    packed = 200, {"Content-Encoding": "gzip"}, b"this was never packed"
    fake.tokens = set()
    fake.hook = lambda method, path, headers: packed if path.startswith("/token") else None
    with pytest.raises(RegistryError, match="DecodeError when logging in; try it again"):
        pull(fake, tmp_path / "out")


def test_a_registry_with_no_end_of_tags_is_left(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketrec.package.registry.remote._MOST_TAGS", 4)
    page = iter(range(1000))

    def endless(method: str, path: str, headers: Any) -> Answer | None:
        tags = [f"{next(page)}", f"{next(page)}"]
        return 200, {"Link": '</v2/a/tags/list>; rel="next"'}, json.dumps({"tags": tags}).encode()

    fake.hook = endless
    with pytest.raises(RegistryError, match="gives more than 4 tags; ask for one tag"):
        list(releases(reference(fake, "")))
    assert next(page) == 6  # and no further page was asked for


@pytest.mark.parametrize("said", ["bytes 7-109/110", "", "nonsense"])
def test_a_registry_that_gives_another_range_is_asked_for_the_whole(
    made: Bundle, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setattr("pocketrec.package.registry.remote.PIECE", 50)
    push(made, fake)
    fake.cut[digest_of(WEIGHTS)] = 110
    with pytest.raises(RegistryError):
        pull(fake, tmp_path / "out")

    def lies(method: str, path: str, headers: Any) -> Answer | None:
        return (206, {"Content-Range": said}, b"x" * 103) if headers.get("Range") else None

    fake.hook = lies
    pull(fake, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(made.path)


def test_of_two_who_push_one_tag_at_once_one_is_told(made: Bundle, fake: Fake, tmp_path: Path) -> None:
    """The other's tag comes between our look and ours, and between ours and our second look."""
    rival = push(toy(tmp_path / "rival", files={"vocabularies/item.txt": b"z\n"}), fake)
    theirs = fake.manifests[rival.digest]
    for moment in (2, 4):
        fake.manifests.pop("1.4.0", None)
        looks: list[str] = []

        def comes(
            method: str, path: str, headers: Any, moment: int = moment, looks: list[str] = looks
        ) -> None:
            if method == "GET" and path.endswith("/manifests/1.4.0"):
                looks.append(path)
                if len(looks) == moment:
                    fake.manifests["1.4.0"] = theirs

        fake.hook = comes
        said = "is another release" if moment == 2 else "somebody pushed it at the same time"
        with pytest.raises(TagTaken, match=said):
            push(made, fake)
        assert fake.manifests["1.4.0"] == theirs


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((403, {}, b""), Denied, r"may not do that \(403\)"),
        ((404, {"Content-Type": "text/html"}, b"<html>"), RegistryError, "is no OCI registry"),
        ((429, {}, b""), RegistryError, "answers 429; run it again"),
        (
            (400, {}, b'{"errors": [{"code": "NAME\\u001bINVALID"}]}'),
            RegistryError,
            "answers 400 NAMEINVALID;",
        ),
        ((412, {}, b'{"errors": [{"code": "PRECONDITION"}]}'), Denied, "refuses that .412 PRECONDITION."),
        ((200, {}, b"x" * (5 << 20)), ArtifactError, "has more than 4194304 bytes"),
        ((200, {}, b"[" * 100_000), ArtifactError, "not valid JSON"),
        ((200, {}, b"{}"), ArtifactError, "is no OCI image manifest"),
        ((301, {"Location": "file:///etc/passwd"}, b""), RegistryError, "not http"),
    ],
)
def test_every_answer_is_one_line(
    fake: Fake, tmp_path: Path, answer: Answer, error: type[Exception], said: str
) -> None:
    fake.hook = lambda *_: answer
    with pytest.raises(error, match=said) as raised:
        pull(fake, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_registry_that_is_not_there_is_said(tmp_path: Path, made: Bundle, fake: Fake) -> None:
    nobody = parse_reference("127.0.0.1:1/models/toy:1")
    with pytest.raises(
        RegistryError, match=r"127\.0\.0\.1:1: cannot be reached, or broke off; see that it runs"
    ):
        pull_reference(nobody, out=tmp_path / "out")


def test_a_full_disk_installs_nothing_and_says_what_to_free(
    made: Bundle, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from pocketrec.package.registry import fetching

    push(made, fake)
    real = fetching._write

    def full(part: Path, blob: Any, start: int, pieces: Any) -> tuple[int, str]:
        if blob.digest == digest_of(WEIGHTS):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(part, blob, start, pieces)

    monkeypatch.setattr(fetching, "_write", full)
    with pytest.raises(StorageError, match="No space left on device; free 320 bytes or pass another --out"):
        pull(fake, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    assert tree(pull(fake, tmp_path / "out").path) == tree(made.path)


def test_two_pulls_to_one_place_do_not_meet(made: Bundle, fake: Fake, tmp_path: Path) -> None:
    from pocketrec.package.registry.fetching import fetching_folder

    push(made, fake)
    with fetching_folder(tmp_path / "out"), pytest.raises(UsageError, match="another pull writes there"):
        pull(fake, tmp_path / "out")
    shutil.rmtree(tmp_path / ".out.pulling", ignore_errors=True)
    pull(fake, tmp_path / "out")


@pytest.mark.parametrize("token", [True, False])
def test_no_output_holds_a_secret_whatever_goes_wrong(
    made: Bundle, fake: Fake, tmp_path: Path, token: bool
) -> None:
    """Refused, led elsewhere with a signed address, broken off: with --debug and --json."""
    fake.basic, fake.tokens = "me:hunter2", set() if token else None
    account(tmp_path / "docker", fake.host)
    push(made, fake)
    secrets = ("hunter2", base64.b64encode(b"me:hunter2").decode(), "token-1", "X-Signature")

    def leads(method: str, path: str, headers: Any) -> Answer | None:
        address = "http://127.0.0.1:1/blob?X-Signature=hunter2"
        return (307, {"Location": address}, b"") if method == "GET" and "/blobs/" in path else None

    def refuses(method: str, path: str, headers: Any) -> Answer | None:
        return 401, {"WWW-Authenticate": "Basic"}, b""

    for hook in (leads, refuses):
        fake.hook = hook
        words = ["--debug", "pull", f"{fake.host}/models/toy:1.4.0", "--out", str(tmp_path / "out"), "--json"]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 5, done.output
        assert not [each for each in secrets if each in done.output]
