"""A layout's files at a URL that fsspec reads: a bucket, a share, a web server.

Such places have no lock: two who push to one at once may lose a line of its index, which the next push of
the same release puts back.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pocketrec.errors import ArtifactError, MissingExtra, PocketrecError, RegistryError, UsageError
from pocketrec.package.registry.store import PIECE

T = TypeVar("T")


class Bucket:
    """Files under a URL."""

    def __init__(self, url: str) -> None:
        self.where = url
        try:
            import fsspec.core
        except ModuleNotFoundError:
            raise MissingExtra("fsspec", "registry") from None
        scheme = url.partition("://")[0]
        try:
            self._system, root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise UsageError(
                f"{scheme}: its driver is missing ({_first(error)}); install it with pip"
            ) from None
        except ValueError:
            raise UsageError(
                f"{scheme}:// is no scheme that fsspec knows; pass another, such as s3://"
            ) from None
        except (TypeError, AttributeError):  # what it is made of has no place in an address
            raise UsageError(
                f"{scheme}: its driver needs more than an address; pass another place, such as s3://"
            ) from None
        except Exception as error:  # some ask their server at once
            raise self._failed(error) from None
        self._root = str(root).rstrip("/")

    def size(self, name: str) -> int | None:
        """See `Files`."""
        found = self._ask(lambda: self._system.info(self._path(name)))
        return None if found is None else int(found.get("size") or 0)

    def read(self, name: str, largest: int) -> bytes | None:
        """See `Files`."""
        size = self.size(name)
        if size is None:
            return None
        if size > largest:
            raise ArtifactError(f"{self.where}: {name}: {size} bytes, expected at most {largest}; refuse it")
        data = self._ask(lambda: self._system.cat_file(self._path(name), 0, largest + 1))
        return None if data is None else bytes(data)

    @contextmanager
    def pieces(self, name: str, start: int) -> Iterator[Iterator[bytes]]:
        """See `Files`."""
        file: Any = self._ask(lambda: self._system.open(self._path(name), "rb", block_size=PIECE))
        if file is None:
            raise ArtifactError(
                f"{self.where}: {name} is missing, which a manifest lists; push the release again"
            )
        try:
            self._ask(lambda: file.seek(start))
            yield iter(lambda: self._ask(lambda: file.read(PIECE)) or b"", b"")
        finally:
            self._ask(file.close)

    def write(self, name: str, chunks: Iterator[bytes]) -> None:
        """See `Files`."""
        self._ask(lambda: self._write(self._path(name), chunks))

    def _write(self, path: str, chunks: Iterator[bytes]) -> None:
        self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with self._system.open(path, "wb") as file:
            for piece in chunks:
                file.write(piece)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Locks nothing, see above."""
        yield

    def others(self, names: Container[str]) -> bool:
        """See `Files`."""
        found = self._ask(lambda: self._system.ls(self._root, detail=False)) or ()
        return any(str(each).rstrip("/").rpartition("/")[2] not in names for each in found)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _ask(self, what: Callable[[], T]) -> T | None:
        """What the place says; None where there is no such file. Drivers raise whatever they like."""
        try:
            return what()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PocketrecError:
            raise
        except PermissionError:
            raise RegistryError(
                f"{self.where}: access is denied; check the credentials of its driver"
            ) from None
        except NotImplementedError:
            raise UsageError(f"{self.where}: its driver cannot write; push to another place") from None
        except Exception as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> RegistryError:
        return RegistryError(f"{self.where}: {type(error).__name__}; check the address and try it again")


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120]
