"""A reference says where and which one; what cannot be one is said without showing a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketrec.errors import UsageError
from pocketrec.package.registry.references import is_reference, parse_reference, tag_of_version

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "kind", "place", "repository", "tag", "digest"),
    [
        ("example.com/models/sasrec:1.4.0", "registry", "example.com", "models/sasrec", "1.4.0", ""),
        ("localhost/sasrec", "registry", "localhost", "sasrec", "", ""),
        ("localhost:5000/sasrec:a", "registry", "localhost:5000", "sasrec", "a", ""),
        ("[::1]:5000/sasrec:a", "registry", "[::1]:5000", "sasrec", "a", ""),
        (f"127.0.0.1:5000/a/b__c@{DIGEST}", "registry", "127.0.0.1:5000", "a/b__c", "", DIGEST),
        (f"example.com/a:1@{DIGEST}", "registry", "example.com", "a", "1", DIGEST),
        ("oci://registry/a/b:1", "registry", "registry", "a/b", "1", ""),
        ("build/releases:1.4.0", "folder", "build/releases", "", "1.4.0", ""),
        ("./example.com/a:1", "folder", "./example.com/a", "", "1", ""),
        ("../releases", "folder", "../releases", "", "", ""),
        ("/mnt/a.b/releases:1", "folder", "/mnt/a.b/releases", "", "1", ""),
        (f"releases@{DIGEST}", "folder", "releases", "", "", DIGEST),
        ("file:///mnt/releases:1", "folder", "/mnt/releases", "", "1", ""),
        ("s3://bucket/releases:1.4.0", "url", "s3://bucket/releases", "", "1.4.0", ""),
        ("memory://releases", "url", "memory://releases", "", "", ""),
    ],
)
def test_what_a_reference_says(
    text: str, kind: str, place: str, repository: str, tag: str, digest: str
) -> None:
    found = parse_reference(text)
    assert (found.kind, found.place, found.repository, found.tag, found.digest) == (
        *(kind, place, repository, tag, digest),
    )
    assert found.wanted == (digest or tag)
    assert parse_reference(str(found)) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no reference"),
        ("a\nb", "is no reference"),
        ("a\0b", "is no reference"),
        ("x" * 3000, "is no reference"),
        ("example.com/Upper:1", "'Upper' is no repository"),
        ("example.com/a/../b:1", "is no repository"),
        ("example.com//a", "is no repository"),
        ("example.com/" + "a" * 256, "is no repository"),
        ("example.com/a:.hidden", "'.hidden' is no tag"),
        ("example.com/a:" + "t" * 129, "is no tag"),
        ("example.com/a@sha256:12", "'sha256:12' is no digest"),
        ("example.com/a@md5:" + "0" * 32, "is no digest"),
        ("exa_mple.com:port/a", "is no host"),
        ("./folder:a b", "is no tag"),
        (":1", "names no folder"),
    ],
)
def test_what_is_none_says_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_reference(text)
    assert said in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        "user:hunter2@example.com/a:1",
        "oci://user:hunter2@example.com/a:1",
        "ftp://user:hunter2@example.com/a",
        "https://example.com/a?token=hunter2",
        "https://example.com/a#hunter2",
    ],
)
def test_a_secret_in_a_reference_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_reference(text)
    assert "hunter2" not in str(error.value)


def test_a_version_is_a_tag_with_its_plus_replaced() -> None:
    assert tag_of_version("1.4.0+build.7") == "1.4.0_build.7"
    with pytest.raises(UsageError, match="is no tag"):
        tag_of_version("1 4")


def test_a_path_that_is_there_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_reference("example.com/a:1")
    (tmp_path / "example.com").mkdir()
    (tmp_path / "example.com" / "a:1").mkdir()
    assert not is_reference("example.com/a:1")
    assert not is_reference("build/missing")
    assert not is_reference("missing:1")
    (tmp_path / "releases").mkdir()
    assert is_reference("releases:1")
    assert is_reference("s3://bucket/a")
