"""A layout's files in a folder of this machine."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pocketrec.errors import ArtifactError, StorageError, UsageError
from pocketrec.files import alone_in, whole_file
from pocketrec.outside import exists, open_file, read_file
from pocketrec.package.registry.store import PIECE

_REMEDY = "push the release again, or pass another folder"


class Disk:
    """Files under a folder, which is made when the first is written."""

    def __init__(self, root: Path) -> None:
        self.root, self.where = root, str(root)

    def size(self, name: str) -> int | None:
        """See `Files`."""
        try:
            return (self.root / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._closed(error) from None

    def read(self, name: str, largest: int) -> bytes | None:
        """See `Files`."""
        path = self.root / name
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._closed(error) from None
        return read_file(path, largest=largest, remedy=_REMEDY)

    @contextmanager
    def pieces(self, name: str, start: int) -> Iterator[Iterator[bytes]]:
        """See `Files`."""
        if self.size(name) is None:
            raise ArtifactError(f"{self.where}: {name} is missing, which a manifest lists; {_REMEDY}")
        with open_file(self.root / name, remedy=_REMEDY) as file:
            file.seek(start)
            yield iter(lambda: file.read(PIECE), b"")

    def write(self, name: str, chunks: Iterator[bytes]) -> None:
        """See `Files`."""
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{path.parent}: cannot be made ({error.strerror}); pass another folder"
            ) from None
        with whole_file(path) as partial, partial.open("wb") as file:
            for piece in chunks:
                file.write(piece)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See `Files`."""
        with ExitStack() as held:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                held.enter_context(alone_in(self.root))
            except OSError as error:
                raise UsageError(
                    f"{self.where}: cannot be written ({error.strerror}); pass another place"
                ) from None
            yield

    def others(self, names: Container[str]) -> bool:
        """See `Files`."""
        if not exists(self.root):
            return False
        if not self.root.is_dir():
            raise UsageError(f"{self.where}: a file is there; pass another folder")
        try:
            found = [each.name for each in self.root.iterdir()]
        except OSError as error:
            raise self._closed(error) from None
        return any(each not in names and not each.startswith(".") for each in found)

    def _closed(self, error: OSError) -> UsageError:
        return UsageError(f"{self.where}: cannot be read ({error.strerror}); check its permissions")
