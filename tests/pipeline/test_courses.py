"""The file of a distillation: what was written is read, and what was cut, edited or is hostile is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.errors import StorageError
from pocketrec.kept import write_checked
from pocketrec.pipeline.courses import CourseFile, course_key
from pocketrec.quantize import Plan, compress
from pocketrec.quantize.course import Course
from pocketrec.quantize.distillation import Lesson
from pocketrec.quantize.schemes.linear import Linear

NAME = "item.weight/latent"
COURSE = Course(
    before=torch.inf,
    best=0.1,
    step=50,
    gained=50,
    rate=0.008,
    state={NAME: torch.tensor([[0.1, -0.0, 3e-40]])},
    moments={NAME: {"step": torch.tensor(50.0), "exp_avg": torch.rand(1, 3), "exp_avg_sq": torch.rand(1, 3)}},
    lengths={NAME: 0.1 + 0.2},
)


def bits(course: Course) -> list[object]:
    """All of a course, so that what differs in one bit differs."""
    tensors = {
        **course.state,
        **{f"{name} {kind}": it for name, of in course.moments.items() for kind, it in of.items()},
    }
    bytes_of = {name: (each.shape, each.numpy().tobytes()) for name, each in sorted(tensors.items())}
    numbers = course.before, course.best, course.step, course.gained, course.rate, dict(course.lengths)
    return [bytes_of, numbers]


@pytest.fixture
def file(tmp_path: Path) -> CourseFile:
    return CourseFile(folder=tmp_path / "kept", key="a" * 64)


def place_of(file: CourseFile) -> Path:
    (place,) = file.folder.iterdir()
    return place


def test_what_was_written_last_is_read_to_the_bit(file: CourseFile) -> None:
    assert file.read() is None
    file.write(COURSE)
    last = replace(COURSE, step=100, moments={}, lengths={})
    for each in (COURSE, last):
        file.write(each)
        read = file.read()
        assert read is not None
        assert bits(read) == bits(each)
    assert replace(file, key="b" * 64).read() is None


def cut(data: bytes) -> bytes:
    return data[:-1]


def edited(data: bytes) -> bytes:
    return data.replace(b'"step": 50', b'"step": 99')


def emptied(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [cut, edited, emptied])
def test_a_file_that_was_cut_or_edited_is_none(file: CourseFile, damage: Callable[[bytes], bytes]) -> None:
    file.write(COURSE)
    place = place_of(file)
    place.write_bytes(damage(place.read_bytes()))
    assert file.read() is None
    file.write(COURSE)
    assert file.read() is not None


HEAD = {"before": 1.0, "best": 0.1, "step": 50, "gained": 50, "rate": 0.008, "lengths": {}}
TENSORS = save({f"state {NAME}": torch.ones(1, 3)})
HOSTILE = {
    "nothing": b"",
    "no line": TENSORS,
    "no JSON": b"{\n" + TENSORS,
    "a list": b"[]\n" + TENSORS,
    "deep": b"[" * 100_000 + b"\n" + TENSORS,
    "a key more": json.dumps({**HEAD, "code": "x"}).encode() + b"\n" + TENSORS,
    "a key less": json.dumps({"step": 50}).encode() + b"\n" + TENSORS,
    "a NaN": json.dumps({**HEAD, "best": float("nan")}).encode() + b"\n" + TENSORS,
    "a text": json.dumps({**HEAD, "step": "50"}).encode() + b"\n" + TENSORS,
    "no tensors": json.dumps(HEAD).encode() + b"\n",
    "half of the tensors": json.dumps(HEAD).encode() + b"\n" + TENSORS[:-4],
    "an endless header": json.dumps(HEAD).encode() + b"\n" + b"\xff" * 16,
    "an unknown dtype": json.dumps(HEAD).encode() + b"\n" + TENSORS.replace(b"F32", b"F99"),
    "a pickle": json.dumps(HEAD).encode() + b"\n" + b"\x80\x04K\x01.",
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_file_of_anyone_with_a_right_digest_is_none(file: CourseFile, hostile: str) -> None:
    file.write(COURSE)
    write_checked(place_of(file), HOSTILE[hostile])
    assert file.read() is None


def test_a_folder_in_place_of_the_file_is_told(file: CourseFile) -> None:
    file.write(COURSE)
    place = place_of(file)
    place.unlink()
    place.mkdir()
    assert file.read() is None
    with pytest.raises(StorageError, match=r"a distillation keeps how far it came in .*kept: move what is"):
        file.write(COURSE)


def test_of_many_the_latest_stay_and_what_a_kill_left_goes(file: CourseFile) -> None:
    file.folder.mkdir()
    (file.folder / ".partial-cut").write_bytes(b"half")
    (file.folder / "measurements.jsonl").write_text("")
    for number in range(6):
        one = replace(file, key=f"{number:064}"[::-1])
        one.write(COURSE)
        (place,) = file.folder.glob(f"{one.key[:32]}*")
        os.utime(place, (number, number))
    names = sorted(each.name for each in file.folder.iterdir())
    assert [each[0] for each in names] == ["2", "3", "4", "5", "m"]


def test_what_another_process_is_writing_stays(file: CourseFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would else have to begin anew, or fail."""
    replace_file, seen = Path.replace, list[bool]()

    def late(partial: Path, place: Path) -> Path:
        if not seen:
            seen.append(True)
            replace(file, key="b" * 64).write(COURSE)
            seen.append(partial.exists())
        return replace_file(partial, place)

    monkeypatch.setattr(Path, "replace", late)
    file.write(COURSE)
    assert seen == [True, True]
    assert len([*file.folder.iterdir()]) == 2


def test_what_is_in_the_way_of_a_course_is_named(file: CourseFile) -> None:
    file.write(COURSE)
    place_of(file).unlink()
    (file.folder / f"{file.key[:32]}.course").mkdir()
    with pytest.raises(StorageError, match=rf"{place_of(file).name}: Is a directory; .*in the way"):
        file.write(COURSE)
    assert [*file.folder.iterdir()] == [place_of(file)]


CONTRACT = Contract(
    functions={
        "main": Signature(
            inputs=(Feature(name="x", kind="dense", dtype="float32", shape=("batch",)),),
            outputs=(Output(name="y", meaning="score", shape=("batch",)),),
        )
    },
    dims={"batch": Dim(max=8)},
)


class Net(nn.Module):
    """One table, and a number that is code."""

    factor = 1.0

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(8, 4)

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.item(ids).sum(1) * self.factor,)


def test_a_key_is_of_module_codes_inputs_and_steps() -> None:
    net = Net().eval()
    _, codes = compress(net, Plan(tensors={"item.weight": Linear(bits=4)}))
    _, others = compress(net, Plan(tensors={"item.weight": Linear(bits=8)}))
    ids = [(torch.zeros(2, 3, dtype=torch.long),)]
    lesson = Lesson(function=net, batches=ids, held_out=ids, lists=(False,))

    def key(steps: int = 50, codes: object = codes, lesson: Lesson = lesson, net: Net = net) -> str | None:
        return course_key(net, codes, ["item.weight"], [lesson], contract=CONTRACT, steps=steps)  # type: ignore[arg-type]

    one = key()
    assert one is not None
    assert one == key()
    more = [key(51), key(codes=others), key(lesson=replace(lesson, lists=(True,)))]
    more.append(key(lesson=replace(lesson, batches=[(ids[0][0] + 1,)])))
    net.factor = 2.0
    more.append(key())
    with torch.no_grad():
        net.item.weight[7] += 1  # a row that no input reads
    more.append(key())
    assert len({one, *more}) == 7


def test_a_module_of_which_no_digest_can_be_taken_or_that_fails_has_no_key() -> None:
    net = Net().eval()
    _, codes = compress(net, Plan(tensors={"item.weight": Linear(bits=4)}))
    right, beyond = ([(torch.full((2, 3), each),)] for each in (0, 99))
    for held_out, thing in ((beyond, None), (right, iter(()))):
        net.thing = thing  # type: ignore[assignment]
        lesson = Lesson(function=net, batches=right, held_out=held_out, lists=(False,))
        assert course_key(net, codes, ["item.weight"], [lesson], contract=CONTRACT, steps=50) is None
