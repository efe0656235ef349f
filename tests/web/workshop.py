"""A bundle as a package that Chromium runs: generated, compiled, served on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.contract import Contract
from pocketrec.package.bundle import Bundle
from pocketrec.package.manifest import read_json
from pocketrec.package.web.generate import WebPackage, write_web_package
from pocketrec.validate.runtimes.runtime import Array, Description, contract_spec
from pocketrec.validate.runtimes.web_browser import QUIET, SOFTWARE, WEBGPU
from pocketrec.validate.runtimes.web_places import find_places

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "package" / "web" / "templates" / "package" / "package-lock.json"
HARNESS = Path(__file__).with_name("harness.mjs")
FLAGS = ("--no-sandbox", *QUIET, *WEBGPU, *SOFTWARE)


def install_tools(place: Path) -> Path:
    """The `node_modules` that the committed lock file names, installed where they are not yet."""
    done = place / "installed.json"
    if done.is_file() and done.read_bytes() == LOCK.read_bytes():
        return place / "node_modules"
    place.mkdir(parents=True, exist_ok=True)
    (place / "package.json").write_text(json.dumps(json.loads(LOCK.read_text())["packages"][""]))
    shutil.copyfile(LOCK, place / "package-lock.json")
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=place, check=True, stdout=subprocess.DEVNULL)
    shutil.copyfile(LOCK, done)
    return place / "node_modules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A package, compiled, with its bundle."""

    bundle: Bundle
    contract: Contract
    package: WebPackage


def build_package(bundle: Bundle, out: Path, tools: Path) -> Built:
    """The bundle's package in `out`, its vectors with it, compiled."""
    shutil.rmtree(out, ignore_errors=True)
    package = write_web_package(bundle, out, vectors=True)
    (out / "node_modules").symlink_to(tools.resolve())
    subprocess.run(["npx", "--no-install", "tsc"], cwd=out, check=True)
    shutil.copyfile(HARNESS, out / "harness.mjs")
    (out / "harness.html").write_text("<!doctype html><title>harness</title>")
    return Built(bundle=bundle, contract=read_json(bundle.path, "contract.json", Contract), package=package)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a package, served by its own example server."""
    command = ["node", str(folder / "example" / "serve.mjs"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip().removesuffix("/example/index.html")
        try:
            yield address
        finally:
            server.kill()


@contextmanager
def chromium() -> Iterator[Any]:
    """The system's Chromium, with WebGPU in software where there is no device."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=str(find_places().chromium), args=[*FLAGS])
        try:
            yield browser
        finally:
            browser.close()


class Harness:
    """A fresh profile with the harness's page open, whose functions are called by their names."""

    def __init__(self, browser: Any, address: str) -> None:
        self._context, self._address = browser.new_context(), address
        self.open()

    def open(self) -> None:
        """A new page of the same profile."""
        self._page = self._context.new_page()
        self._page.set_default_timeout(600_000)
        self._page.goto(f"{self._address}/harness.html")

    def call(self, name: str, *arguments: Any) -> Any:
        """What a function of the harness gives."""
        script = "async ([name, given]) => (await import('/harness.mjs'))[name](...given)"
        return self._page.evaluate(script, [name, list(arguments)])

    def close(self) -> None:
        """Ends the profile."""
        self._context.close()


class PackageRuntime:
    """A function of a loaded package behind the protocol of runtimes, so that golden vectors reach it."""

    def __init__(self, harness: Harness, contract: Contract, function: str, provider: str) -> None:
        self._harness, self._contract, self._function = harness, contract, function
        signature = contract.functions[function]
        self._description = Description(
            runtime=f"package on {provider}",
            version="",
            precision="float32",
            compute_units=provider,
            inputs=tuple(contract_spec(each, contract) for each in signature.inputs),
            outputs=tuple(contract_spec(each, contract) for each in signature.outputs),
        )

    def describe(self) -> Description:
        """What the contract says of the function."""
        return self._description

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs that the package's own run gives."""
        asked = {name: tensor_of(each) for name, each in inputs.items()}
        given = self._harness.call("run", self._function, asked)
        return {
            name: np.array(each["data"], each["dtype"]).reshape(each["shape"]) for name, each in given.items()
        }

    def close(self) -> None:
        """The harness closes the page."""

    def __enter__(self) -> PackageRuntime:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def tensor_of(array: Array) -> dict[str, Any]:
    """An array as the harness takes it."""
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": array.reshape(-1).tolist()}
