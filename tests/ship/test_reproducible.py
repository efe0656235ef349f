"""Two builds in surroundings that may not matter are the same bytes, and so is all that is made of them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.package.sign.signing import pair as key_pair
from tests.package.sign.signing import payload
from tests.saboteurs import world
from tests.ship.bases import LINES, NUMBER
from tests.ship.surroundings import Surroundings, two
from tests.ship.watching import content

pytestmark = pytest.mark.ship

COMPRESSED = """
[compress.tensors]
"item.weight" = {scheme = "float16"}
"watch.weight" = {scheme = "linear"}
"""
RELEASES = {"1.0.0": 0, "1.1.0": 1}  # and the seed of each one's weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one of the two made: its two releases, both signed, and where it works."""

    around: Surroundings
    releases: tuple[Path, ...]

    @property
    def bundle(self) -> Path:
        """The first release."""
        return self.releases[0]

    def place(self, name: str) -> Path:
        """A path in the folder."""
        return self.around.folder / name


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Made]:
    one, other = (made(each) for each in two(tmp_path_factory.mktemp("reproducible")))
    return one, other


def made(around: Surroundings) -> Made:
    around.folder.mkdir(parents=True)
    key = key_pair(around.folder, number=NUMBER)
    releases = []
    for version, seed in RELEASES.items():
        recipe = world.write(
            around.folder / f"recipe-{version}",
            model=world.changed(world.MODEL, ("SEED = 41, 6, 64, 0", f"SEED = 41, 6, 64, {seed}")),
            recipe=world.changed(world.RECIPE, ('version = "1.0"', f'version = "{version}"')),
            lines=f"{LINES}{COMPRESSED}",
        )
        out = around.folder / f"bundle-{version}"
        around.run("build", recipe, "--out", out)
        around.run("sign", out, "--key", key.private, "--expires", "2099-01-01")
        releases.append(out)
    return Made(around=around, releases=tuple(releases))


def differences(one: Path, other: Path, *, without: str = "") -> list[str]:
    """Files and modes that are not the same in both, by name."""
    return [
        name
        for name, each in _merged(_seen(one), _seen(other))
        if not (without and name.startswith(without)) and each
    ]


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    for name in sorted({*one, *other}):
        yield name, one.get(name) != other.get(name)


def _seen(folder: Path) -> dict[str, tuple[str, int]]:
    found = content(folder)
    return {name: (digest, (folder / name).stat().st_mode & 0o777) for name, digest in found.items()}


def test_a_difference_of_a_byte_a_mode_or_a_name_is_found(tmp_path: Path) -> None:
    for name, text, mode in (("one", "1", 0o644), ("two", "2", 0o644), ("three", "1", 0o600)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(text)
        (tmp_path / name / "f").chmod(mode)
    assert differences(tmp_path / "one", tmp_path / "two") == ["f"]
    assert differences(tmp_path / "one", tmp_path / "three") == ["f"]
    (tmp_path / "two" / "g").touch()
    assert differences(tmp_path / "one", tmp_path / "two") == ["f", "g"]
    assert differences(tmp_path / "one", tmp_path / "one") == []


def test_two_builds_have_one_tree_and_the_same_bytes_and_modes(both: tuple[Made, Made]) -> None:
    """All but what timings stand in: the evidence, its digests, and the statement that names it."""
    trees = {json.loads((each.bundle / "manifest.json").read_bytes())["tree_sha256"] for each in both}
    assert len(trees) == 1
    timed = [each for each in differences(both[0].bundle, both[1].bundle) if not each.startswith("evidence/")]
    assert timed == ["manifest.sha256", "signatures/test-result.intoto.jsonl"]
    stored = json.loads((both[0].bundle / "recipe.json").read_bytes())
    schemes = {name: each["scheme"] for name, each in stored["compress"]["tensors"].items()}
    assert schemes == {"item.weight": "float16", "watch.weight": "linear"}


def test_the_bill_of_materials_and_what_signatures_say_are_the_same(both: tuple[Made, Made]) -> None:
    names = ("model.sig", "provenance.intoto.jsonl", "bom.cdx.json")
    one, other = ([(each.bundle / "signatures" / name).read_bytes() for name in names] for each in both)
    assert one == other
    said = [
        payload(json.loads((each.bundle / "signatures/test-result.intoto.jsonl").read_bytes()))
        for each in both
    ]
    digests = [each["predicate"].pop("evidence") for each in said]
    assert said[0] == said[1]
    assert digests[0] != digests[1]


def test_evidence_differs_in_what_was_measured_only(both: tuple[Made, Made]) -> None:
    one, other = (json.loads((each.bundle / "evidence/evidence.json").read_bytes()) for each in both)
    assert sorted(key for key, same in _merged(one, other) if same) == ["machine", "results"]
    statuses = [[gate["status"] for gate in each["gates"]] for each in (one, other)]
    assert statuses[0] == statuses[1]


def test_a_pushed_release_has_one_digest(both: tuple[Made, Made]) -> None:
    """Whoever pushed it, and with every blob of it; referrers name the evidence, which is another."""
    told = [
        [each.around.told("push", release, each.place("releases")) for release in each.releases]
        for each in both
    ]
    digests = [[pushed["digest"] for pushed in each] for each in told]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 2
    blobs = [{path.name for path in (each.place("releases") / "blobs/sha256").iterdir()} for each in both]
    listed = json.loads((both[0].place("releases") / "blobs/sha256" / digests[0][0][7:]).read_bytes())
    of_release = {each["digest"][7:] for each in (listed["config"], *listed["layers"])}
    assert len(of_release) > 10
    assert all(of_release <= each for each in blobs)


def test_a_pulled_release_is_the_built_one(both: tuple[Made, Made]) -> None:
    """Pulled by one, from where the other has pushed it."""
    one, other = both
    if not one.place("releases").exists():
        one.around.run("push", one.bundle, one.place("releases"))
    other.around.run("pull", f"{one.place('releases')}:1.0.0", "--out", other.place("pulled"))
    assert differences(one.bundle, other.place("pulled")) == []


@pytest.mark.parametrize("kind", ["web", "swift"])
def test_a_generated_package_is_the_same(kind: str, both: tuple[Made, Made]) -> None:
    for each in both:
        each.around.run("package", kind, each.bundle, "--out", each.place(kind), "--with-vectors")
    assert differences(both[0].place(kind), both[1].place(kind)) == []


def test_an_npm_tarball_is_the_same(both: tuple[Made, Made]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("not run: no npm is here")
    digests = set()
    for each in both:
        package, place = each.place("packed-from"), each.place("packed")
        each.around.run("package", "web", each.bundle, "--out", package)
        place.mkdir()
        each.around.run(
            "pack", package, "--ignore-scripts", "--offline", "--pack-destination", place, tool=npm
        )
        (tarball,) = place.iterdir()
        digests.add((tarball.name, hashlib.sha256(tarball.read_bytes()).hexdigest()))
    assert len(digests) == 1


def test_a_swift_registry_is_the_same(both: tuple[Made, Made]) -> None:
    """Documents, archives and the server's configuration, but for the folder that it names."""
    for each in both:
        for release in each.releases:
            words = ("--registry", each.place("swift-registry"), "--id", "shop.small")
            each.around.run("package", "swift", release, *words)
    one, other = (each.place("swift-registry") for each in both)
    changed = differences(one, other)
    assert [each for each in changed if not each.endswith("nginx.conf")] == []
    archives = sorted(one.rglob("*.zip"))
    assert len(archives) == 2
    for name in changed:
        texts = [(each / name).read_text().replace(str(each), "") for each in (one, other)]
        assert texts[0] == texts[1]


def test_a_delta_is_the_same_but_for_evidence(both: tuple[Made, Made]) -> None:
    """Each brings its own older release to its own newer one, and one's files are the other's."""
    for each in both:
        each.around.run("delta", *each.releases, "--out", each.place("d.delta"))
        each.around.run("apply", each.bundle, each.place("d.delta"), "--out", each.place("applied"))
        assert differences(each.place("applied"), each.releases[1]) == []
    assert differences(both[0].place("applied"), both[1].place("applied"), without="evidence/") == [
        "manifest.sha256",
        "signatures/test-result.intoto.jsonl",
    ]


def test_surroundings_reach_the_command(tmp_path: Path) -> None:
    """Else the two would be one."""
    script = "import os, time; print(hash('a'), time.tzname[0], len(os.sched_getaffinity(0)), end=' ');" + (
        "open('f', 'w').close(); print(oct(os.stat('f').st_mode & 0o777), os.getcwd(), os.environ['HOME'])"
    )
    one, other = two(tmp_path)
    said = []
    for each in (one, other):
        each.folder.mkdir(parents=True)
        said.append(each.run("-c", script, tool=shutil.which("python3") or "python3").split(" ", 5))
    pairs = list(zip(*said, strict=True))
    same = [number for number, (first, second) in enumerate(pairs) if first == second]
    assert same == ([2] if len(os.sched_getaffinity(0)) == 1 else [])
