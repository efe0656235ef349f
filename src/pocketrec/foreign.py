"""Other libraries, changed for a while: under one lock, for the releases that a change was written for.

Each folder that changes one has a `patches.py`, and nothing else does. A change lasts as long as a `with`;
afterwards the user's process is as it was. The lock is one for all of them, so that two threads never see
each other's changes; a thread that has it may take it again.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from threading import RLock
from typing import Any

from pocketrec.errors import WrongVersion

LOCK = RLock()
_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """The releases of a library that a patch was written for.

    Attributes:
        library: its name in a registry of packages.
        first: the lowest, such as `2.9`.
        below: the lowest that is too new, such as `2.14`.
    """

    library: str
    first: str
    below: str

    def hold(self) -> bool:
        """Whether the installed release is one of them."""
        return _numbers(self.first) <= _numbers(_installed(self.library)) < _numbers(self.below)

    def check(self, what: str) -> None:
        """Checks that the installed release is one of them; WrongVersion names both and what is patched."""
        if not self.hold():
            raise WrongVersion(
                f"{self.library} {_installed(self.library)} is installed; {what} is known of releases from "
                f"{self.first} to below {self.below}; run pip install '{self.requirement}'"
            )

    @property
    def requirement(self) -> str:
        """What pip is told."""
        return f"{self.library}>={self.first},<{self.below}"


@lru_cache
def _installed(library: str) -> str:
    return version(library)


def _numbers(release: str) -> tuple[int, ...]:
    """The leading numbers of a release: 9.1.dev1 counts as 9.1."""
    found = re.match(r"\d+(\.\d+)*", release)
    return tuple(int(each) for each in found.group().split(".")) if found else ()


@contextmanager
def replaced(owner: Any, changes: Mapping[str, Any], *, releases: Releases) -> Iterator[None]:
    """Replaces attributes of another library while it lasts; its own are back afterwards.

    Args:
        owner: a module, class or object of the library.
        changes: attribute to what stands in for it.
        releases: that the library may have.

    Raises:
        WrongVersion: it has another.
    """
    name = getattr(owner, "__name__", type(owner).__name__)
    releases.check(f"{name}.{next(iter(changes))}")
    with LOCK:
        before = {each: vars(owner).get(each, _ABSENT) for each in changes}
        for each, value in changes.items():
            setattr(owner, each, value)
        try:
            yield
        finally:
            for each, value in before.items():
                if value is _ABSENT:
                    delattr(owner, each)
                else:
                    setattr(owner, each, value)


@contextmanager
def registered(registry: dict[str, Any], entries: Mapping[str, Any], *, releases: Releases) -> Iterator[None]:
    """Puts entries into a registry of another library while it lasts; WrongVersion as for `replaced`."""
    releases.check(f"a registry with {next(iter(entries))}")
    with LOCK:
        before = dict(registry)
        registry.update(entries)
        try:
            yield
        finally:
            registry.clear()
            registry.update(before)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Sets variables of the environment while it lasts; others that are set meanwhile go too."""
    with LOCK:
        before = dict(os.environ)
        os.environ.update(variables)
        try:
            yield
        finally:
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)


@contextmanager
def generators_kept(seed: int | None = None) -> Iterator[None]:
    """Keeps the states of Python's, NumPy's and PyTorch's global generators; `seed` sets them meanwhile.

    It takes no lock, so that what waits for other threads can be within it.
    """
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    own = random.getstate()
    legacy = None if numpy is None else numpy.random.get_state()
    tensor = None if torch is None else torch.random.get_rng_state()
    if seed is not None:
        _seed(seed, numpy, torch)
    try:
        yield
    finally:
        random.setstate(own)
        if numpy is not None:
            numpy.random.set_state(legacy)
        if torch is not None:
            torch.random.set_rng_state(tensor)


def _seed(seed: int, numpy: Any, torch: Any) -> None:
    random.seed(seed)
    if numpy is not None:
        numpy.random.seed(seed)
    if torch is not None:
        torch.random.default_generator.manual_seed(seed)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Runs PyTorch on that many threads; changes nothing where it is not loaded, or for 0 threads."""
    torch = sys.modules.get("torch")
    if torch is None or not threads:
        yield
        return
    with LOCK:
        before = torch.get_num_threads()
        if before != threads:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if before != threads:
                torch.set_num_threads(before)


_SELDOM = 10_000  # allocations between two looks; Python's own is 700 to 2,000


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Lets Python look for cycles seldom: graphs are many small objects that live as long as the work does.

    A threshold that is higher, and a collector that is off, stay so.
    """
    before = gc.get_threshold()
    changes = 0 < before[0] < _SELDOM
    if changes:
        gc.set_threshold(_SELDOM, *before[1:])
    try:
        yield
    finally:
        if changes:
            gc.set_threshold(*before)


@contextmanager
def older_kept() -> Iterator[None]:
    """Has the collector look only at what is made from now on, unless someone else does so already."""
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def silent_log(name: str | None) -> Iterator[None]:
    """Silences a log; None is the root's: what goes wrong is raised, and told in one line."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
