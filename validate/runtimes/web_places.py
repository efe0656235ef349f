"""What a browser as a runtime needs of this machine, and where it is.

Chromium       POCKETREC_CHROMIUM, else the usual names on the PATH
ONNX Runtime   POCKETREC_ONNXRUNTIME_WEB (the npm package's folder), else `node_modules/onnxruntime-web` in
               the current folder or one above it
playwright     with brotli, of the extra `web`
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from pocketrec.errors import ArtifactError
from pocketrec.outside import exists, read_json
from pocketrec.validate.runtimes.runtime import RuntimeUnavailable

CHROMIUM, ONNXRUNTIME_WEB = "POCKETREC_CHROMIUM", "POCKETREC_ONNXRUNTIME_WEB"
WEBGPU = "POCKETREC_WEBGPU"  # `software` or `hardware`, where what is found out here is wrong
RELEASE = "1.30.0"  # of onnxruntime-web: what the table of operators was measured on
BUILDS = {"wasm": "ort.wasm.min.mjs", "webgpu": "ort.webgpu.min.mjs"}
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_MAC = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
INSTALL_ORT = f"run: npm install onnxruntime-web@{RELEASE}, or set {ONNXRUNTIME_WEB} to the package's folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPlaces:
    """Where the browser and ONNX Runtime's files are.

    Attributes:
        chromium: the browser's program.
        dist: the folder of onnxruntime-web's modules and their WASM.
        version: of onnxruntime-web.
    """

    chromium: Path
    dist: Path
    version: str


def find_places() -> WebPlaces:
    """What there is; RuntimeUnavailable names the first thing that is not, and how to get it."""
    for name in ("playwright", "brotli"):
        if util.find_spec(name) is None:
            raise RuntimeUnavailable(f"{name} is not installed; run: pip install 'pocketrec[web]'")
    chromium, package = _chromium(), _package()
    missing = [each for each in BUILDS.values() if not (package / "dist" / each).is_file()]
    if missing:
        raise RuntimeUnavailable(f"onnxruntime-web: {package} has no dist/{missing[0]}; {INSTALL_ORT}")
    return WebPlaces(chromium=chromium, dist=package / "dist", version=_version(package))


def found_here() -> tuple[str, str]:
    """The versions of what there is, and why it cannot run; one of both is empty."""
    try:
        places = find_places()
    except RuntimeUnavailable as error:
        return "", str(error)
    return f"onnxruntime-web {places.version}, playwright {metadata.version('playwright')}", ""


def wants_software() -> bool:
    """Whether WebGPU must be computed by the CPU: on Linux, where there is no device to render with."""
    asked = os.environ.get(WEBGPU, "")
    if asked not in ("", "software", "hardware"):
        raise RuntimeUnavailable(f"{WEBGPU} is {asked!r}; expected 'software' or 'hardware'")
    if asked:
        return asked == "software"
    return sys.platform.startswith("linux") and not any(Path("/dev/dri").glob("renderD*"))


def _chromium() -> Path:
    stated = os.environ.get(CHROMIUM)
    if stated is not None:
        found = shutil.which(stated)
        if found is None:
            raise RuntimeUnavailable(
                f"{CHROMIUM} is {stated!r}, which is no program; set it to Chromium's path"
            )
        return Path(found)
    found = next((path for name in (*_NAMES, *_MAC) if (path := shutil.which(name))), None)
    if found is None:
        raise RuntimeUnavailable(
            f"no Chromium on the PATH; run: apt-get install chromium, or set {CHROMIUM} to its path"
        )
    return Path(found)


def _package() -> Path:
    stated = os.environ.get(ONNXRUNTIME_WEB)
    if stated is not None:
        return Path(stated)
    here = Path.cwd()
    for folder in (here, *here.parents):
        package = folder / "node_modules/onnxruntime-web"
        if exists(package / "package.json"):
            return package
    raise RuntimeUnavailable(f"onnxruntime-web's files are not here; {INSTALL_ORT}")


def _version(package: Path) -> str:
    try:
        said = read_json(package / "package.json")
    except ArtifactError as error:
        raise RuntimeUnavailable(f"onnxruntime-web: {error}; {INSTALL_ORT}") from None
    version = said.get("version") if isinstance(said, dict) else None
    if not isinstance(version, str) or not version:
        raise RuntimeUnavailable(f"onnxruntime-web: its package.json states no version; {INSTALL_ORT}")
    return version
