"""ONNX Runtime in a browser: WebAssembly on the CPU, or WebGPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from pocketrec.errors import ArtifactError, ExecutionError, UnsupportedOp, UsageError
from pocketrec.recipe import Provider
from pocketrec.report import WebFacts
from pocketrec.validate.artifact.onnx import tensor_spec
from pocketrec.validate.artifact.onnx_file import all_tensors, load_onnx
from pocketrec.validate.artifact.wire import wire_sizes
from pocketrec.validate.runtimes.runtime import (
    Array,
    Description,
    RuntimeUnavailable,
    TensorSpec,
    check_inputs,
    float_precision,
)
from pocketrec.validate.runtimes.web_browser import Browser, Page, PageLost, shared_browser
from pocketrec.validate.runtimes.web_frames import DTYPES, from_frame, to_frame
from pocketrec.validate.runtimes.web_places import BUILDS, INSTALL_ORT, WEBGPU, find_places
from pocketrec.validate.runtimes.web_server import Exchange

_CPU = "CPU"  # what ONNX Runtime calls the provider that runs what no other takes


class WebRuntime:
    """An .onnx file in a page of its own, on `provider`, with `threads` threads of WebAssembly.

    Args:
        path: of the file; its external data lies beside it.
        provider: of ONNX Runtime.
        threads: of WebAssembly; on WebGPU of what stays on the CPU.
        browser: by default the one of this process.
        patience: how many seconds a load or a call may take.

    Raises:
        RuntimeUnavailable: there is no browser, no ONNX Runtime for it, or no WebGPU.
        ArtifactError: the file is damaged, or the engine cannot load it.
        UnsupportedOp: an input or output is no tensor that a page holds.
        ExecutionError: the page crashed or gave no answer while it loaded.
    """

    def __init__(
        self,
        path: str | Path,
        provider: Provider = "wasm",
        threads: int = 1,
        *,
        browser: Browser | None = None,
        patience: float = 600.0,
    ) -> None:
        self._path, self._provider, self._threads = Path(path), provider, threads
        self._patience, self._first_run_ms = patience, 0.0
        model = load_onnx(self._path)
        data = _external(model)
        self._files = (self._path, *(self._path.parent / each for each in data))
        places = find_places()
        self._browser = browser or shared_browser(places)
        self._exchange = Exchange(files=self._files, dist=places.dist)
        self._version = f"onnxruntime-web {places.version}, {self._browser.version}"
        self._page: Page | None = self._browser.open_page(self._exchange)
        try:
            self._loaded = self._load(data)
            self._description = self._describe(model)
        except BaseException:
            self.close()
            raise

    def _load(self, data: list[str]) -> dict[str, Any]:
        name, engine = self._path.name, f"ONNX Runtime in {self._browser.version}"
        options = {
            "build": BUILDS[self._provider],
            "provider": self._provider,
            "threads": self._threads,
            "data": data,
        }
        answer = self._call("load", options)
        if answer.get("absent"):
            raise RuntimeUnavailable(
                f"{name}: {self._browser.version} has no WebGPU adapter here; set {WEBGPU} to 'software', or "
                "use the runtime 'web-wasm'"
            )
        if "engine" in answer:
            raise RuntimeUnavailable(
                f"onnxruntime-web: {self._exchange.dist} does not start in {self._browser.version} "
                f"({answer['engine']}); {INSTALL_ORT}"
            )
        if "error" in answer:
            raise ArtifactError(
                f"{name}: {engine} cannot load it on {self._provider} ({answer['error']}); build it for "
                "format 'web', whose operators all have kernels there"
            )
        return answer

    def _describe(self, model: Any) -> Description:
        held = {each.name for each in model.graph.initializer}
        inputs = tuple(self._spec(each) for each in model.graph.input if each.name not in held)
        outputs = tuple(self._spec(each) for each in model.graph.output)
        metadata = {each.key: each.value for each in model.metadata_props}
        return Description(
            runtime=f"web-{self._provider}",
            version=self._version,
            precision=float_precision((*inputs, *outputs), metadata),
            compute_units=self._units(),
            inputs=inputs,
            outputs=outputs,
            metadata=metadata,
        )

    def _spec(self, value: Any) -> TensorSpec:
        kind = value.type.WhichOneof("value")
        spec = tensor_spec(value) if kind == "tensor_type" else None
        if spec is None or spec.dtype not in DTYPES:
            raise UnsupportedOp(
                f"{self._path.name}: {value.name!r} is {spec.dtype if spec else kind}, which no page holds; "
                "use the runtime 'onnxruntime'"
            )
        return spec

    def _units(self) -> str:
        if self._provider == "wasm":
            return f"wasm, {self._threads} thread{'' if self._threads == 1 else 's'}"
        adapter, placed = self._loaded["adapter"], dict(self._loaded["placed"])
        name = f"webgpu ({'software: ' if adapter['software'] else ''}{adapter['name']})"
        if not placed:
            return f"{name}; how many nodes ran on the CPU is not known"
        return f"{name}, {placed.pop(_CPU, 0)} of {sum(self._loaded['placed'].values())} nodes on the CPU"

    def describe(self) -> Description:
        """Inputs, outputs and metadata as the file says; where it ran as the engine says."""
        return self._description

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name; ExecutionError where the engine fails, or the page gives no answer."""
        self._put(inputs)
        milliseconds = self._answer("run")
        self._first_run_ms = self._first_run_ms or milliseconds
        return from_frame(self._exchange.outputs)

    def timer(self, inputs: Mapping[str, Array]) -> Callable[[], float]:
        """A call that runs these inputs and gives the milliseconds that passed inside the page.

        The inputs are there already and outputs stay there, so that no transport counts.
        """
        self._put(inputs)
        self._answer("prepare")
        return lambda: self._answer("time")

    def facts(self) -> WebFacts:
        """What only a browser has to say: creation, first run, adapter, and bytes over the wire."""
        adapter = self._loaded["adapter"] or {"name": "", "software": False}
        return WebFacts(
            creation_ms=self._loaded["creation_ms"],
            first_run_ms=self._first_run_ms,
            adapter=adapter["name"],
            software=adapter["software"],
            files=wire_sizes(self._files),
        )

    def _put(self, inputs: Mapping[str, Array]) -> None:
        check_inputs(self._description.inputs, inputs, where=self._path.name)
        self._exchange.inputs = to_frame(inputs)

    def _answer(self, name: str) -> float:
        answer = self._call(name)
        if "error" in answer:
            raise ExecutionError(
                f"{self._path.name}: ONNX Runtime failed in the page ({self._provider}): {answer['error']}"
            )
        return float(answer.get("ms", 0.0))

    def _call(self, name: str, argument: object = None) -> dict[str, Any]:
        if self._page is None:
            raise UsageError(f"{self._path.name}: the runtime is closed; open the artifact again")
        try:
            return self._page.call(name, argument, seconds=self._patience)
        except PageLost as error:
            self.close()
            raise ExecutionError(
                f"{self._path.name}: its page in {self._browser.version} was lost ({error}); open it again, "
                "with fewer rows a call where memory is short"
            ) from None

    def close(self) -> None:
        """Closes the page; a second call does nothing."""
        page, self._page = self._page, None
        if page is not None:
            page.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _external(model: Any) -> list[str]:
    """The names of the files beside the graph that hold its tensors, each once."""
    entries = (each for tensor in all_tensors(model) for each in tensor.external_data)
    return sorted({each.value for each in entries if each.key == "location"})
