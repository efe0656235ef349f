"""A registry's folder behind nginx: the headers that the specification asks for, and Swift's own client."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.package.swift.toys import make_bundle
from tests.swift.nginx import nginx, served
from tests.swift.toolchain import run_swift, swift_is_there, unzip_is_there

from pocketrec.package.swift.registry.release import add_release

ID = "shop.session-recommender"
PACKAGE = "/shop/session-recommender"
VERSIONS = ("1.3.0", "1.4.0", "1.5.0", "2.0.0")
APP = """// swift-tools-version: 5.9
import PackageDescription
let package = Package(
    name: "app",
    dependencies: [.package(id: "shop.session-recommender", from: "1.4.0")],
    targets: [
        .target(name: "App", dependencies: [.product(name: "ToyModel", package: "shop.session-recommender")])
    ]
)
"""

pytestmark = pytest.mark.ship


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registry that is served."""

    tree: Path
    address: str

    def ask(self, path: str, method: str = "GET", accept: str = "") -> Answer:
        """What the server says to a request."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc)
        connection.request(method, path, headers={"Accept": accept} if accept else {})
        said = connection.getresponse()
        return Answer(status=said.status, headers=dict(said.getheaders()), body=said.read())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    if nginx() is None:
        pytest.skip("not run: no nginx is here")
    folder = tmp_path_factory.mktemp("registry")
    for version in VERSIONS:
        add_release(make_bundle(folder / version, version=version), folder / "tree", ID)
    with served(folder / "tree", folder / "server") as address:
        yield Registry(tree=folder / "tree", address=address)


@pytest.mark.parametrize(
    ("path", "kind", "file"),
    [
        (PACKAGE, "application/json", "releases.json"),
        (f"{PACKAGE}.json", "application/json", "releases.json"),
        (f"{PACKAGE}/1.4.0", "application/json", "1.4.0/release.json"),
        (f"{PACKAGE}/1.4.0.json", "application/json", "1.4.0/release.json"),
        (f"{PACKAGE}/1.4.0.zip", "application/zip", "1.4.0/source-archive.zip"),
        (f"{PACKAGE}/1.4.0/Package.swift", "text/x-swift", "1.4.0/Package.swift"),
        (f"{PACKAGE}/1.4.0/Package.swift?swift-version=6", "text/x-swift", "1.4.0/Package@swift-6.0.swift"),
        (
            f"{PACKAGE}/1.4.0/Package.swift?swift-version=6.0.0",
            "text/x-swift",
            "1.4.0/Package@swift-6.0.swift",
        ),
    ],
)
def test_each_request_is_answered_with_its_file_and_type(
    registry: Registry, path: str, kind: str, file: str
) -> None:
    for method in ("GET", "HEAD"):
        said = registry.ask(path, method)
        assert (said.status, said.headers["Content-Type"], said.headers["Content-Version"]) == (
            200,
            kind,
            "1",
        )
        expected = (registry.tree / PACKAGE[1:] / file).read_bytes()
        assert said.headers["Content-Length"] == str(len(expected))
        assert said.body == (expected if method == "GET" else b"")


def test_manifests_and_archives_have_the_headers_of_the_specification(registry: Registry) -> None:
    manifest = registry.ask(f"{PACKAGE}/1.4.0/Package.swift").headers
    assert manifest["Link"] == (
        f"<{PACKAGE}/1.4.0/Package.swift?swift-version=6.0>; "
        'rel="alternate"; filename="Package@swift-6.0.swift"; swift-tools-version="6.0"'
    )
    assert manifest["Content-Disposition"] == 'attachment; filename="Package.swift"'
    archive = registry.ask(f"{PACKAGE}/1.4.0.zip").headers
    assert archive["Content-Disposition"] == 'attachment; filename="session-recommender-1.4.0.zip"'
    assert archive["Accept-Ranges"] == "bytes"
    older = registry.ask(f"{PACKAGE}/1.4.0/Package.swift?swift-version=5.9")
    assert (older.status, older.headers["Location"]) == (303, f"{PACKAGE}/1.4.0/Package.swift")


@pytest.mark.parametrize(
    ("method", "path", "accept", "status"),
    [
        *(("GET", path, "", 404) for path in ("/", "/nginx.conf", "/identifiers?url=x", f"{PACKAGE}/9.0.0")),
        *(
            ("GET", f"{PACKAGE}/{end}", "", 404)
            for end in ("9.0.0.zip", "9.0.0/Package.swift", "releases.json")
        ),
        ("GET", f"{PACKAGE}/9.0.0/Package.swift?swift-version=6.0", "", 404),
        ("GET", "/shop/../nginx.conf", "", 404),
        ("PUT", f"{PACKAGE}/3.0.0", "", 404),
        ("PUT", f"{PACKAGE}/1.4.0", "", 405),
        ("GET", PACKAGE, "application/vnd.swift.registry.v2+json", 415),
        ("GET", PACKAGE, "application/vnd.swift.registry.v1+json", 200),
    ],
)
def test_what_is_not_there_or_not_meant_is_said_as_a_problem(
    registry: Registry, method: str, path: str, accept: str, status: int
) -> None:
    said = registry.ask(path, method, accept)
    assert (said.status, said.headers["Content-Version"]) == (status, "1")
    if status != 200:
        assert said.headers["Content-Type"] == "application/problem+json"
        assert json.loads(said.body)["detail"]


@pytest.fixture
def app(registry: Registry, tmp_path: Path) -> Path:
    """An app that asks for the package, and knows the registry."""
    if not (swift_is_there() and unzip_is_there()):
        pytest.skip(
            "not run: no Swift is here, or no unzip beside it; python -m tests.swift.toolchain sets it up"
        )
    (tmp_path / "Sources" / "App").mkdir(parents=True)
    (tmp_path / "Sources" / "App" / "App.swift").write_text("import ToyModel\n")
    (tmp_path / "Package.swift").write_text(APP)
    refused = run_swift(tmp_path, "package-registry", "set", registry.address)
    assert (refused.returncode, "invalid URL" in refused.stdout) == (1, True), "http is not taken unasked"
    done = run_swift(tmp_path, "package-registry", "set", "--allow-insecure-http", registry.address)
    assert done.returncode == 0, done.stdout
    return tmp_path


def resolve(app: Path) -> tuple[int, str]:
    """How `swift package resolve` ends, with caches of its own; Core ML is not asked for."""
    own = [word for each in ("cache", "config", "security") for word in (f"--{each}-path", str(app / each))]
    done = run_swift(app, "package", *own, "resolve", environment={"POCKETREC_COREML_LINUX": ""})
    return done.returncode, done.stdout


def test_swift_resolves_a_release_by_its_id(registry: Registry, app: Path) -> None:
    """It takes the highest version below 2.0.0, in Swift 6's manifest, and unpacks the very package."""
    code, said = resolve(app)
    assert code == 0, said
    (pin,) = json.loads((app / "Package.resolved").read_text())["pins"]
    assert (pin["identity"], pin["kind"], pin["state"]["version"]) == (ID, "registry", "1.5.0")
    there = app / ".build/registry/downloads/shop/session-recommender/1.5.0"
    release = registry.tree / PACKAGE[1:] / "1.5.0"
    for name in ("Package.swift", "Package@swift-6.0.swift"):
        assert (there / name).read_bytes() == (release / name).read_bytes()
    model = there / "Sources/ToyModel/Resources/Model"
    listed = json.loads((model / "manifest.json").read_text())["files"]
    assert listed
    for name, each in listed.items():
        assert sha256((model / name).read_bytes()).hexdigest() == each["sha256"]


def test_swift_refuses_an_archive_that_is_not_what_its_release_says(
    registry: Registry, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = registry.tree / PACKAGE[1:] / "1.5.0" / "release.json"
    honest = document.read_text()
    checksum = json.loads(honest)["resources"][0]["checksum"]
    document.write_text(honest.replace(checksum, "0" * 64))
    try:
        code, said = resolve(app)
    finally:
        document.write_text(honest)
    assert code != 0
    assert f"invalid registry source archive checksum '{checksum}', expected '{'0' * 64}'" in said
