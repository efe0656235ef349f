"""Nothing but a regular file of sane size is read, and no name in a file leads out of its folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pocketrec.errors import ArtifactError, InputError, RecipeError
from pocketrec.outside import inside, open_file, parse_json, read_file, read_json, read_text, read_toml

Make = Callable[[Path], object]


def looped(path: Path) -> None:
    path.symlink_to(path.with_name("again"))
    path.with_name("again").symlink_to(path)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


PLACES: dict[str, tuple[Make, str]] = {
    "fifo": (os.mkfifo, "a FIFO, expected a regular file"),
    "folder": (Path.mkdir, "a folder, expected a regular file"),
    "zeros": (lambda path: path.symlink_to("/dev/zero"), "a device, expected a regular file"),
    "loop": (looped, "cannot be read"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "no such file"),
    "nothing": (lambda path: None, "no such file"),
}


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Path]:
    """A folder with a short name, as sockets need."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield Path()
    os.chdir(before)


@pytest.mark.parametrize("kind", PLACES)
def test_what_is_no_regular_file_is_an_error_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    make, message = PLACES[kind]
    make(tmp_path / "f")
    with pytest.raises(ArtifactError, match=message):
        open_file(tmp_path / "f")


def test_a_socket_is_an_error(short: Path) -> None:
    bound(short / "s")
    with pytest.raises(InputError, match="s: a socket, expected a regular file; do this"):
        open_file(short / "s", error=InputError, remedy="do this")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\ud800"])
def test_a_name_that_no_file_can_have_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match=r"cannot be|no such file") as caught:
        open_file(tmp_path / name)
    assert len(str(caught.value).encode()) < 800


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12")
    (tmp_path / "l").symlink_to("f")
    assert read_file(tmp_path / "l") == b"12"


def test_a_file_larger_than_any_real_one_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ArtifactError, match="1099511627776 bytes, expected at most 10;"):
        read_file(tmp_path / "f", largest=10)


def test_a_file_that_does_not_say_its_size_is_read_to_the_limit_only() -> None:
    with pytest.raises(ArtifactError, match="more than 3 bytes"):
        read_file(Path("/proc/self/status"), largest=3)


def test_text_that_is_not_utf_8_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"ab\xff")
    with pytest.raises(ArtifactError, match="invalid start byte at byte 2"):
        read_text(tmp_path / "f")


@pytest.mark.parametrize("text", ['"\\ud800"', '{"a\\udfff": 1}', "[" * 10_000, "9" * 5000, "{"])
def test_json_that_could_not_be_written_again_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"f\.json: "):
        read_json(tmp_path / "f.json")


def test_a_whole_pair_of_surrogates_is_a_character() -> None:
    assert parse_json('"\\ud83d\\ude00"', name="x") == "\U0001f600"


@pytest.mark.parametrize("text", ["a = ", "a = " + "9" * 5000, "a = " + "[" * 5000, "a = '\0'"])
def test_toml_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(RecipeError, match=r"f\.toml: not valid TOML"):
        read_toml(tmp_path / "f.toml", error=RecipeError)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../b", "/etc/passwd", "a/../../b", "a\0", "a\n", "x" * 5000, "loop/x", "out"]
)
def test_a_name_that_leads_out_of_its_folder_or_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to(tmp_path)
    looped(tmp_path / "in" / "loop")
    with pytest.raises(ArtifactError, match=r"m: refers to the file .*pull it again") as caught:
        inside(tmp_path / "in", name, where="m")
    assert len(str(caught.value)) < 300


def test_a_name_within_the_folder_is_its_path(tmp_path: Path) -> None:
    assert inside(tmp_path, "weights/w.bin", where="m") == tmp_path.resolve() / "weights/w.bin"
