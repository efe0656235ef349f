"""A delta beside a release spares who has the older one its files; a false one spares nobody anything."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.package.registry.fake import fake_registry
from tests.package.registry.toys import CREATED, layout, toy, tree

from pocketrec.errors import ArtifactError, RegistryError, UsageError
from pocketrec.package.bundle import Bundle
from pocketrec.package.delta.make import make_delta
from pocketrec.package.manifest import MANIFESTS
from pocketrec.package.registry import deltas as served
from pocketrec.package.registry.deltas import delta_image
from pocketrec.package.registry.image import digest_of, image, release_image
from pocketrec.package.registry.modelpack import EMPTY
from pocketrec.package.registry.places import open_place
from pocketrec.package.registry.pull import Pulled, pull_release
from pocketrec.package.registry.push import Pushed, push_release
from pocketrec.package.registry.references import Reference, parse_reference
from pocketrec.package.registry.store import Store
from pocketrec.progress import silent

NOW = datetime(2027, 3, 1, tzinfo=UTC)
WEIGHTS = "artifacts/onnx/main.onnx.data"
CODES = "artifacts/coreml/main.mlpackage/Data/com.apple.CoreML/weights/weight.bin"


def rows(changed: int) -> bytes:
    """200 rows of 32 numbers, the first of which are others."""
    found = np.random.default_rng(3).normal(size=(200, 32)).astype(np.float32)
    found[:changed] += 0.5
    return found.tobytes()


def release(folder: Path, version: str, changed: int = 0, **more: bytes) -> Bundle:
    files = {WEIGHTS: rows(changed), CODES: rows(changed)[::-1], **more}
    return toy(folder, version=version, files=files, evidence={"evidence/report.md": version.encode()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """Two releases, and the delta between them."""

    old: Bundle
    new: Bundle
    delta: Path


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    folder = tmp_path_factory.mktemp("two")
    old, new = release(folder / "old", "1.4.0"), release(folder / "new", "1.5.0", changed=4)
    make_delta(old, new, folder / "d.delta", silent)
    return Two(old=old, new=new, delta=folder / "d.delta")


@contextmanager
def place_of(kind: str, folder: Path) -> Iterator[tuple[Store, Reference]]:
    """A place of each kind, and the reference of the newer release in it."""
    if kind == "folder":
        yield layout(folder / "place"), parse_reference(f"{folder / 'place'}:1.5.0")
    elif kind == "bucket":
        where = parse_reference(f"memory://{folder.name}:1.5.0")
        yield open_place(where, docker=folder), where
    else:
        with fake_registry() as fake:
            fake.referrers = kind == "registry"
            where = parse_reference(f"{fake.host}/models/toy:1.5.0")
            yield open_place(where, docker=folder), where


def push(store: Store, bundle: Bundle, *deltas: Path, **more: Any) -> Pushed:
    tag = bundle.manifest.version
    return push_release(bundle, store, tag, name="place", created=CREATED, deltas=deltas, **more)


def pull(store: Store, where: Reference, out: Path, base: Path | None = None, **more: Any) -> Pulled:
    store.traffic.received = 0
    return pull_release(store, where, out=out, base=base, now=NOW, **more)


@pytest.mark.parametrize("kind", ["folder", "bucket", "registry", "registry without a list"])
def test_who_has_the_older_release_gets_the_newer_by_the_delta_alone(
    two: Two, tmp_path: Path, kind: str
) -> None:
    with place_of(kind, tmp_path) as (store, where):
        push(store, two.old)
        assert push(store, two.new, two.delta).deltas == 1
        whole = pull(store, where, tmp_path / "whole")
        done = pull(store, where, tmp_path / "out", two.old.path)
    assert tree(tmp_path / "out") == tree(two.new.path) == tree(tmp_path / "whole")
    size = two.delta.stat().st_size
    assert done.by_delta.base == "toy 1.4.0"
    assert (done.by_delta.size_bytes, done.by_delta.why, done.fetched) == (size, "", 0)
    assert done.by_delta.instead_of_bytes > 2 * len(rows(0)) > 8 * size
    assert whole.bytes_received - done.bytes_received > 2 * len(rows(0)) - size
    assert whole.by_delta == type(whole.by_delta)()
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


def test_a_second_push_adds_a_delta_and_leaves_the_releases_digest(two: Two, tmp_path: Path) -> None:
    with place_of("folder", tmp_path) as (store, where):
        first = push(store, two.new)
        assert pull(store, where, tmp_path / "no", two.old.path).by_delta.base == ""
        again = push(store, two.new, two.delta)
        assert (again.digest, again.blobs_sent) == (first.digest, 1)
        assert push(store, two.new, two.delta).bytes_sent == 0
        assert pull(store, where, tmp_path / "out", two.old.path).by_delta.base == "toy 1.4.0"


def test_the_older_release_at_the_same_place_is_asked_without_being_named(two: Two, tmp_path: Path) -> None:
    shutil.copytree(two.old.path, tmp_path / "app")
    with place_of("folder", tmp_path) as (store, where):
        push(store, two.new, two.delta)
        assert pull(store, where, tmp_path / "app").by_delta.base == "toy 1.4.0"
        assert pull(store, where, tmp_path / "app").by_delta == served.ByDelta()  # it is the newer by now
    assert tree(tmp_path / "app") == tree(two.new.path)


def test_a_part_gets_its_part_of_the_newer_and_a_whole_gives_parts_too(two: Two, tmp_path: Path) -> None:
    with place_of("folder", tmp_path) as (store, where):
        push(store, two.old)
        push(store, two.new, two.delta)
        pull(store, where.at("1.4.0"), tmp_path / "part", only=("coreml",))
        wanted = tree(pull(store, where, tmp_path / "wanted", only=("coreml",)).path)
        for base in (tmp_path / "part", two.old.path):
            done = pull(store, where, tmp_path / "out", base, only=("coreml",))
            assert (done.by_delta.base, done.fetched) == ("toy 1.4.0", 0)
            assert tree(tmp_path / "out") == wanted
            shutil.rmtree(tmp_path / "out")


def test_what_a_part_lacks_comes_whole(two: Two, tmp_path: Path) -> None:
    with place_of("folder", tmp_path) as (store, where):
        push(store, two.old)
        push(store, two.new, two.delta)
        pull(store, where.at("1.4.0"), tmp_path / "part", only=("coreml",))
        done = pull(store, where, tmp_path / "out", tmp_path / "part")
    assert tree(tmp_path / "out") == tree(two.new.path)
    assert done.fetched == 4  # of the other target: its three files, and the evidence's report
    assert done.by_delta.base == "toy 1.4.0"


def test_a_delta_from_another_release_is_not_fetched_and_that_is_said(two: Two, tmp_path: Path) -> None:
    other = release(tmp_path / "other", "1.3.0", changed=1)
    with place_of("folder", tmp_path) as (store, where):
        push(store, two.new, two.delta)
        done = pull(store, where, tmp_path / "out", other.path)
    assert tree(tmp_path / "out") == tree(two.new.path)
    assert done.by_delta.size_bytes == 0
    assert "of 1 deltas none leads from toy 1.3.0 (tree " in done.by_delta.why


def test_a_delta_that_is_larger_than_what_is_missing_is_not_fetched(tmp_path: Path) -> None:
    """A part of what nothing changed misses small files, and what the other target needs is in the delta."""
    noise = np.random.default_rng(4).bytes(20_000)
    name = "artifacts/onnx/main.onnx.data"
    old = toy(tmp_path / "old", version="1.4.0", files={name: noise})
    new = toy(tmp_path / "new", version="1.5.0", files={name: noise[::-1]})
    make_delta(old, new, tmp_path / "d.delta", silent)
    with place_of("folder", tmp_path) as (store, where):
        push(store, new, tmp_path / "d.delta")
        done = pull(store, where, tmp_path / "out", old.path, only=("coreml",))
    assert re.fullmatch(r"the delta has 2\d{4} bytes, and all that is missing \d{4}", done.by_delta.why)
    assert done.bytes_received < len(noise)


def test_a_base_that_is_damaged_or_altered_gets_whole_files_and_is_told(two: Two, tmp_path: Path) -> None:
    shutil.copytree(two.old.path, tmp_path / "altered")
    (tmp_path / "altered" / WEIGHTS).write_bytes(rows(1))
    shutil.copytree(two.old.path, tmp_path / "damaged")
    (tmp_path / "damaged/manifest.json").write_text("{")
    with place_of("folder", tmp_path) as (store, where):
        push(store, two.new, two.delta)
        for name, said in (("altered", f"{WEIGHTS} is altered"), ("damaged", "damaged: manifest")):
            done = pull(store, where, tmp_path / "out", tmp_path / name)
            assert said in done.by_delta.why
            assert tree(tmp_path / "out") == tree(two.new.path)
            shutil.rmtree(tmp_path / "out")
        for name in ("nowhere", "place"):
            with pytest.raises(UsageError, match=r"no such folder|is no bundle"):
                pull(store, where, tmp_path / "out", tmp_path / name)
    assert not (tmp_path / "out").exists()


def test_a_delta_that_leads_elsewhere_or_is_none_is_not_pushed(two: Two, tmp_path: Path) -> None:
    (tmp_path / "cut.delta").write_bytes(two.delta.read_bytes()[:-1])
    with place_of("folder", tmp_path) as (store, _):
        with pytest.raises(
            UsageError, match=r"leads to toy 1\.5\.0 .*, and toy 1\.4\.0 .* is pushed; make one"
        ):
            push(store, two.old, two.delta)
        with pytest.raises(ArtifactError, match="it was written with"):
            push(store, two.new, tmp_path / "cut.delta")
        with pytest.raises(UsageError, match=r"none\.delta: no such file; pass the file of a delta"):
            push(store, two.new, tmp_path / "none.delta")
    assert not (tmp_path / "place").exists()


def test_a_delta_that_is_handed_over_twice_is_one(two: Two, tmp_path: Path) -> None:
    with place_of("folder", tmp_path) as (store, _):
        assert push(store, two.new, two.delta, two.delta).deltas == 1


def forged(two: Two, to: Bundle, delta: Path, store: Store) -> None:
    """Serves a delta to some other release as if it led to the newer one."""
    real, honest = (
        delta_image(delta, to, release_image(to, CREATED), CREATED),
        release_image(two.new, CREATED),
    )
    said = delta_image(two.delta, two.new, honest, CREATED)
    lie = image(said.artifact_type, EMPTY, real.config, real.layers, said.annotations, honest)
    (layer,) = lie.layers
    store.upload(layer, lambda: iter((delta.read_bytes(),)))
    store.refer(honest.digest, lie)


def test_a_delta_that_gives_something_else_installs_nothing_of_it(two: Two, tmp_path: Path) -> None:
    """One to other content under the same names, which a place lists as the newer release's."""
    evil = release(tmp_path / "evil", "1.5.0", changed=7)
    make_delta(two.old, evil, tmp_path / "evil.delta", silent)
    with place_of("folder", tmp_path) as (store, where):
        push(store, two.new)
        forged(two, evil, tmp_path / "evil.delta", store)
        done = pull(store, where, tmp_path / "out", two.old.path)
    assert "the delta gives manifest.json as no file of this release" in done.by_delta.why
    assert tree(tmp_path / "out") == tree(two.new.path)


def test_only_signatures_that_a_delta_gives_may_be_others(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the release may have been signed anew since; the release's own are fetched."""
    for name in ("then", "now"):
        shutil.copytree(two.new.path, tmp_path / name)
        (tmp_path / name / "signatures").mkdir()
        (tmp_path / name / "signatures/model.sig").write_text(name)
    then, now = (replace(two.new, path=tmp_path / name) for name in ("then", "now"))
    make_delta(two.old, then, tmp_path / "d.delta", silent)
    with place_of("folder", tmp_path) as (store, where):
        push(store, now, tmp_path / "d.delta")
        done = pull(store, where, tmp_path / "out", two.old.path)
        assert (done.by_delta.base, done.fetched) == ("toy 1.4.0", 1)
        assert tree(tmp_path / "out") == tree(now.path)
        monkeypatch.setattr(served, "LARGEST_SMALL", 3)
        again = pull(store, where, tmp_path / "again", two.old.path)
    assert "the delta gives signatures/model.sig as no file of this release" in again.by_delta.why
    assert tree(tmp_path / "again") == tree(now.path)


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "the place gives something else than was pushed"),
        (lambda data: data[:40], "40 of "),
        (lambda data: None, "is missing, which a manifest lists"),
    ],
)
def test_a_delta_that_was_altered_at_its_place_is_left_and_that_is_said(
    two: Two, tmp_path: Path, alter: Callable[[bytes], bytes | None], said: str
) -> None:
    with place_of("folder", tmp_path) as (store, where):
        push(store, two.new, two.delta)
        data = two.delta.read_bytes()
        blob = tmp_path / "place/blobs/sha256" / digest_of(data)[7:]
        changed = alter(data)
        blob.unlink() if changed is None else blob.write_bytes(changed)
        done = pull(store, where, tmp_path / "out", two.old.path)
    assert said in done.by_delta.why
    assert tree(tmp_path / "out") == tree(two.new.path)


def test_a_pull_that_breaks_off_in_the_delta_goes_on_in_it(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketrec.package.registry.remote.PIECE", 50)
    size, digest = two.delta.stat().st_size, digest_of(two.delta.read_bytes())
    with fake_registry() as fake:
        where = parse_reference(f"{fake.host}/models/toy:1.5.0")
        store = open_place(where, docker=tmp_path)
        push(store, two.new, two.delta)
        fake.cut[digest] = size // 2
        with pytest.raises(RegistryError):
            pull(store, where, tmp_path / "out", two.old.path)
        assert not (tmp_path / "out").exists()
        fake.cut.clear()
        fake.given.clear()
        assert pull(store, where, tmp_path / "out", two.old.path).by_delta.base == "toy 1.4.0"
        assert fake.given[digest] < size
    assert tree(tmp_path / "out") == tree(two.new.path)


def test_what_a_delta_image_says_depends_on_both_releases_only(two: Two) -> None:
    honest = release_image(two.new, CREATED)
    made = delta_image(two.delta, two.new, honest, CREATED)
    assert made.data == delta_image(two.delta, two.new, honest, CREATED).data
    assert made.annotations["pocketrec.from.version"] == "1.4.0"
    digests = [digest_of((two.old.path / name).read_bytes())[7:] for name in MANIFESTS[:2]]
    names = ("pocketrec.from.manifest_sha256", "pocketrec.from.evidence_sha256")
    assert [made.annotations[name] for name in names] == digests
    (layer,) = made.layers
    tops = [each.manifest.tree_sha256[:12] for each in (two.old, two.new)]
    assert layer.title == f"{tops[0]}-{tops[1]}.delta"
