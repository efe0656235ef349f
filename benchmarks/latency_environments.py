"""Virtual environments for the rivals of `latency.py`: one for each tool, made once and kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parent / ".rivals"
# Installed first and alone, and held fast afterwards: every other request may bring another build.
TORCH = "torch==2.13.0"
PACKAGES: dict[str, list[str]] = {
    "pytorch": ["numpy"],
    "onnxruntime": ["onnx", "onnxruntime", "onnxscript"],
    "openvino": ["openvino", "nncf"],
    "executorch": ["executorch"],
    "litert": ["litert-torch"],
}


def python_of(name: str) -> Path:
    """The interpreter of environment `name`, which is made where it is missing or asks for other packages.

    Raises:
        RuntimeError: a package cannot be installed; says what pip said last.
    """
    folder = HOME / name
    python, stamp = folder / "bin" / "python", folder / "installed.json"
    wanted = json.dumps([TORCH, *PACKAGES[name]])
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making {folder.relative_to(Path(__file__).parent)}", file=sys.stderr)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    held = folder / "held.txt"
    held.write_text(f"{TORCH}\n")
    for packages in ([TORCH], PACKAGES[name]):
        _run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "-c",
                str(held),
                *packages,
            ]
        )
    stamp.write_text(wanted)
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise RuntimeError(f"{' '.join(command[1:4])} ...: {lines[-1][:300]}")
