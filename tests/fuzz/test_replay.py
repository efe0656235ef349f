"""The seeds of every fuzz target and some mutations of them: a result or a PocketrecError, and no write."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from tests.fuzz.mutate import mutated
from tests.fuzz.run import judge
from tests.fuzz.targets import TARGETS, Target

from pocketrec.errors import ArtifactError

MUTATIONS = 60  # a target; the fuzzer makes millions


@pytest.mark.parametrize("name", TARGETS)
def test_no_mutation_of_a_seed_is_a_defect_or_writes(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    target.prepare(tmp_path)
    seeds = target.inputs()
    assert [target.run(each) for each in seeds] == [None] * len(seeds), "a seed is whole"
    first = zlib.crc32(name.encode())
    for number in range(MUTATIONS):
        target.run(mutated(seeds[number % len(seeds)], first + number))
    assert [target.run(each) for each in seeds] == [None] * len(seeds), "a mutation stayed"


def toy(read: object) -> Target:
    return Target(
        make=lambda folder: (folder / "f").write_bytes(b"whole"),
        files=("f",),
        read=read,  # type: ignore[arg-type]
    )


def test_a_reader_that_raises_something_else_is_found(tmp_path: Path) -> None:
    def read(folder: Path) -> None:
        raise KeyError((folder / "f").read_bytes())

    target = toy(read)
    target.prepare(tmp_path)
    with pytest.raises(KeyError, match="damaged"):
        target.run(b"damaged")
    assert (tmp_path / "f").read_bytes() == b"whole"


def test_a_reader_that_writes_is_found(tmp_path: Path) -> None:
    target = toy(lambda folder: (folder / "new").write_text("x"))
    target.prepare(tmp_path)
    with pytest.raises(AssertionError, match="wrote into its folder"):
        target.run(b"whole")


def test_a_message_of_two_lines_is_found(tmp_path: Path) -> None:
    def read(folder: Path) -> None:
        raise ArtifactError("one\ntwo")

    target = toy(read)
    target.prepare(tmp_path)
    with pytest.raises(AssertionError, match="more than a line"):
        target.run(b"whole")


def test_the_same_number_gives_the_same_mutation_and_others_differ() -> None:
    data = bytes(range(200))
    assert mutated(data, 3) == mutated(data, 3) != data
    assert len({mutated(data, number) for number in range(50)}) > 40
    assert isinstance(mutated(b"", 1), bytes)


@pytest.mark.parametrize(
    ("code", "output", "faults"),
    [
        (0, "stat::number_of_executed_units: 12", ()),
        (0, "INFO: nothing", ("ended without running an input",)),
        (
            77,
            " === Uncaught Python exception: ===\nKeyError: 'x'\nstat::number_of_executed_units: 3",
            ("=== Uncaught Python exception: ===", "KeyError: 'x'"),
        ),
        (
            70,
            "==1== ERROR: libFuzzer: timeout after 20 seconds",
            ("==1== ERROR: libFuzzer: timeout after 20 seconds",),
        ),
        (-9, "Killed", ("ended with -9: Killed",)),
    ],
)
def test_the_verdict_on_a_run_names_what_ended_it(code: int, output: str, faults: tuple[str, ...]) -> None:
    assert judge("onnx", code, output).faults == faults
