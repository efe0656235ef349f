"""Core ML's framework as a runtime, in a process of its own that may hang, die or print.

read the package here ─▶ macOS new enough? ─▶ framework_child: load ─▶ call, call, …
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Self, cast

from pocketrec.errors import UsageError
from pocketrec.validate.runtimes.child import Child, TimeIsUp
from pocketrec.validate.runtimes.compiled import cache_folder
from pocketrec.validate.runtimes.coreml_framework import described
from pocketrec.validate.runtimes.faults import Fault, FrameworkFault, ended, one_line
from pocketrec.validate.runtimes.frames import BrokenFrame, Frame
from pocketrec.validate.runtimes.runtime import Array, Description, as_taken, check_inputs

_CHILD = "pocketrec.validate.runtimes.framework_child"
LONGEST = 600.0  # seconds for one answer; compiling for the Neural Engine takes minutes


class FrameworkProcess:
    """A Core ML package on Apple's framework in another process; where that does not answer, it is a fault.

    Args:
        path: of the package.
        compute_units: that the framework may use.
        function: of a package that holds several; by default the first.
        timeout: seconds from now in which everything has to be answered; None for `LONGEST` an answer.

    Attributes:
        load_ms: of the load, inside the process.
        cached: whether the model was compiled before.

    Raises:
        RuntimeUnavailable: the framework is not on this machine, or its macOS is too old for the package.
        ArtifactError: the package is damaged.
        FrameworkFault: it was not loaded.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        compute_units: str = "all",
        function: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self._path, self._units, self._timeout = Path(path), compute_units, timeout
        self._said = described(self._path, function, compute_units)
        self._until = None if timeout is None else monotonic() + timeout
        self._child = Child(_CHILD)
        order = {
            "path": str(self._path.resolve()),
            "function": function,
            "compute_units": compute_units,
            "compiled": str(cache_folder()),
        }
        try:
            header = self._ask(order, {}, "while it was loaded").header
        except BaseException:
            self.close()
            raise
        self.load_ms, self.cached = float(header["ms"]), bool(header["cached"])

    @property
    def printed(self) -> str:
        """The end of what the process wrote to stdout and stderr."""
        return self._child.printed

    def describe(self) -> Description:
        """Inputs and outputs as the package says; the units are those allowed, not those proved used."""
        return self._said

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name; FrameworkFault where the framework does not answer."""
        return self._called(inputs).arrays("tensors")

    def clocked(self, inputs: Mapping[str, Array]) -> float:
        """The milliseconds that a call of these inputs took inside the process."""
        return float(self._called(inputs).header["ms"])

    def close(self) -> None:
        """End the process; a second call does nothing."""
        self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _called(self, inputs: Mapping[str, Array]) -> Frame:
        inputs = as_taken(self._said.inputs, inputs)
        check_inputs(self._said.inputs, inputs, where=self._path.name)
        if not self._child.alive:
            raise UsageError(f"{self._path.name}: the runtime is closed; open the artifact again")
        return self._ask({}, inputs, "in a call")

    def _ask(self, header: Mapping[str, Any], tensors: Mapping[str, Array], doing: str) -> Frame:
        until = monotonic() + LONGEST
        if self._until is not None:
            until = self._until
        try:
            frame = self._child.ask(header, tensors, until=until)
        except TimeIsUp:
            limit = LONGEST if self._timeout is None else self._timeout
            raise self._fault("hung", f"no answer within {limit:g} s {doing}{self._advice()}") from None
        except BrokenFrame as error:
            raise self._fault("garbled", f"what came back {doing} is no answer ({error})") from None
        if frame is None:
            how = ended(self._child.code())
            raise self._fault("crashed", f"its process ended with {how} {doing}{self._advice()}")
        if not frame.header.get("ok"):
            fault = cast(Fault, frame.header.get("fault", "failed"))
            message = str(frame.header.get("message", "")).removeprefix(f"{self._path.name}: ")
            raise self._fault(fault, message)
        return frame

    def _fault(self, fault: Fault, message: str) -> FrameworkFault:
        if fault in ("hung", "crashed", "garbled"):
            self._child.close()
        printed = self._child.printed
        last = f"; it printed: {one_line(printed.splitlines()[-1])}" if printed and fault == "crashed" else ""
        return FrameworkFault(f"{self._path.name}: {message}{last}", fault=fault, printed=printed)

    def _advice(self) -> str:
        other = "cpu_and_gpu" if self._units == "cpu_only" else "cpu_only"
        return f" with {self._units}; try compute units {other}"
