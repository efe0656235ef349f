"""Where work is done that can be cut into pieces: one place for every search and every evaluation.

function, items ─▶ packed once ─▶ joblib on an engine ─▶ results in the items' order

The function travels as bytes, with the user's own file modules in it, which no worker could import.
A worker unpacks it once and keeps it, and what it has computed meanwhile, for its next items. An
error of the work travels as a result does, since engines wrap, reword or lose what is raised.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pocketrec.errors import MissingExtra, UsageError
from pocketrec.kept import Parts, Rows, Span
from pocketrec.places import exits_told

T = TypeVar("T")
R = TypeVar("R")

USER_MODULES = "_pocketrec_user_"  # how the names of modules begin that come from a user's file
BESIDE: dict[str, str] = {}  # modules that a user's file imported from beside itself: name to folder
_LOCAL = ("loky", "threading")
_MOST = 1024  # workers; one more costs memory and file handles, and no machine has so many cores
_AT_ONCE = 4  # items for each worker
# What the engines raise where a worker died, by name, as none of them is imported here.
_DEATHS = (
    "TerminatedWorkerError",
    "BrokenProcessPool",
    "KilledWorker",
    "WorkerCrashedError",
    "ActorDiedError",
    "Py4JJavaError",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """How many workers there are, and of which joblib backend.

    Attributes:
        count: None for this process alone, or for all that a cluster has.
        engine: `loky` or `threading` on this machine; `dask`, `ray` or `spark` on a cluster that is
            there already.
        address: of the cluster, as the engine writes it; None where the engine knows it from its
            environment.
        parts: where finished parts of `map_kept` are; None keeps none.
    """

    count: int | None = None
    engine: str = "loky"
    address: str | None = None
    parts: Parts | None = None

    def __post_init__(self) -> None:
        if self.count is not None and not 1 <= self.count <= _MOST:
            raise UsageError(f"{self.count} workers; expected 1 to {_MOST}, one for each core that is free")
        if self.engine not in (*_LOCAL, *_CLUSTERS):
            known = ", ".join((*_LOCAL, *_CLUSTERS))
            raise UsageError(f"engine {self.engine!r} is unknown; expected one of {known}")
        if self.engine in _LOCAL and self.address is not None:
            raise UsageError(f"engine {self.engine!r} has no address; leave {self.address!r} out")

    @property
    def alone(self) -> bool:
        """True where this process does everything itself."""
        return self.engine in _LOCAL and self.count in (None, 1)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """What the function gives for each item, in order, each as soon as the engine has it.

        Raises:
            UsageError: there is no cluster at the address, or a worker died.
            MissingExtra: the engine's package is not installed.
        """
        if self.alone or not items:
            yield from map(function, items)
            return
        with _CLUSTERS.get(self.engine, nullcontext)(self.address):
            try:
                yield from self._spread(_pack(function), items)
            except Exception as error:
                if type(error).__name__ not in _DEATHS:
                    raise
                raise UsageError(
                    f"engine {self.engine!r}: a worker ended in the middle, killed or out of memory; use "
                    "fewer workers"
                ) from error

    def map_kept(
        self, function: Callable[[Span], Rows], spans: Sequence[Span], key: str | None
    ) -> Iterator[Rows]:
        """What the function gives for each span, in order; parts that were finished before are not computed.

        Args:
            function: gives the rows of a span.
            spans: of all the work.
            key: of everything that decides the rows; None keeps nothing.

        Raises:
            StorageError: a part cannot be kept.
            UsageError: as of `map`.
            MissingExtra: as of `map`.
        """
        if self.parts is None or key is None:
            return self.map(function, spans)
        return self.parts.complete(key, spans, partial(self.map, function))

    def rest(self) -> None:
        """Ends this machine's worker processes and what they hold; new ones come with new work."""
        if self.engine == "loky" and not self.alone:
            from joblib.externals.loky import get_reusable_executor

            reusable: Any = get_reusable_executor  # whose default would be taken for its only type
            reusable(reuse=True).shutdown(kill_workers=True)

    def _spread(self, packed: npt.NDArray[np.uint8], items: Sequence[Any]) -> Iterator[Any]:
        import joblib

        digest = hashlib.sha256(packed.data).hexdigest()
        jobs = self.count or (-1 if self.engine in _CLUSTERS else 1)
        with joblib.parallel_config(backend=self.engine, n_jobs=jobs):
            streams = joblib.parallel.get_active_backend()[0].supports_return_generator
            parallel: Any = joblib.Parallel(return_as="generator" if streams else "list")
            # An engine that gives all results at once is asked for a few at a time, so that they can be kept.
            step = len(items) if streams else max(1, _AT_ONCE * joblib.effective_n_jobs(jobs))
        for start in range(0, len(items), step):
            given = items[start : start + step]
            for result in parallel(joblib.delayed(_call)(digest, packed, each) for each in given):
                if isinstance(result, _Failure):
                    raise result.error
                yield result


def user_modules() -> list[Any]:
    """The modules in `sys.modules` that are a user's files, which no other process could import."""
    found = (*(name for name in sys.modules if name.startswith(USER_MODULES)), *BESIDE)
    return [sys.modules[name] for name in found if name in sys.modules]


def _pack(function: Callable[..., Any]) -> npt.NDArray[np.uint8]:
    """The function's bytes; an array, which engines hand over once instead of with every item."""
    import cloudpickle

    own = user_modules()
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        return np.frombuffer(cloudpickle.dumps(function), np.uint8)
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


_unpacked: dict[str, Callable[[Any], Any]] = {}  # in a worker: the function that it was sent last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    error: Exception


def _call(digest: str, packed: npt.NDArray[np.uint8], item: Any) -> Any:
    try:
        if digest not in _unpacked:
            _unpacked.clear()
            _unpacked[digest] = pickle.loads(packed.data)  # noqa: S301  our own bytes, sent by `map`
        with exits_told():
            return _unpacked[digest](item)
    except Exception as error:
        error.add_note("In a worker:\n" + "".join(traceback.format_exception(error)))
        return _Failure(error=error)


@contextmanager
def _dask(address: str | None) -> Iterator[None]:
    try:
        from dask import config
        from distributed import Client
    except ModuleNotFoundError:
        raise MissingExtra("distributed", "dask") from None
    place: Any = address or config.get("scheduler-address", None)
    if place is None:
        raise UsageError("engine 'dask': no cluster is named; pass the address of its scheduler")
    try:
        client = Client(place)
    except (OSError, ValueError) as error:
        raise UsageError(f"engine 'dask': no scheduler at {place} ({_line(error)})") from None
    with client:
        yield


@contextmanager
def _ray(address: str | None) -> Iterator[None]:
    try:
        import ray
        from ray.util.joblib import register_ray
    except ModuleNotFoundError:
        raise MissingExtra("ray", "ray") from None
    register_ray()
    try:
        ray.init(address=address or "auto", log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise UsageError(f"engine 'ray': no cluster at {address or 'auto'} ({_line(error)})") from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _spark(address: str | None) -> Iterator[None]:
    try:
        import joblib
        from joblibspark.backend import SparkDistributedBackend
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "spark") from None

    def backend(**options: Any) -> Any:
        made = SparkDistributedBackend(**options)
        made.apply_async = partial(_start, made.apply_async)
        return made

    joblib.register_parallel_backend("spark", backend)
    builder = SparkSession.builder if address is None else SparkSession.builder.master(address)
    with builder.getOrCreate():
        yield


@dataclass(frozen=True, slots=True)
class _Job:
    """A job of Spark's backend, which gives the error of a lost worker as if it were a result."""

    job: Any

    def get(self, timeout: float | None = None) -> Any:
        """The result; raises what the job failed with."""
        result = self.job.get(timeout)
        error = getattr(result, "exc", None)
        if isinstance(error, BaseException):
            raise error
        return result


def _start(apply_async: Callable[..., Any], function: Any, callback: Any = None) -> _Job:
    return _Job(apply_async(function, callback))


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


_CLUSTERS: dict[str, Callable[[str | None], AbstractContextManager[None]]] = {
    "dask": _dask,
    "ray": _ray,
    "spark": _spark,
}
