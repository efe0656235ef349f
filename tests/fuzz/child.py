"""One target under the fuzzer: `python tests/fuzz/child.py TARGET CORPUS [libFuzzer options]`.

A crash, an exception that is no PocketrecError (exit 4 of a command), a write, 20 s for an input or 2 GB
end the process with the input in a file beside the corpus.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


def main() -> None:
    """Runs the target until the options say that it is enough."""
    name, corpus, *options = sys.argv[1:]
    sys.path.insert(0, str(ROOT))
    import atheris

    import_heavy()
    with atheris.instrument_imports(include=["pocketrec"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    folder = Path(tempfile.mkdtemp(prefix="pocketrec-fuzz-"))
    target.prepare(folder)
    for number, data in enumerate(target.inputs()):
        (Path(corpus) / f"seed-{number}").write_bytes(data)
        with atheris.instrument_imports(include=["pocketrec"]):
            target.run(data)  # what readers import when they are called is imported here

    def one_input(data: bytes) -> None:
        target.run(data)

    atheris.Setup([sys.argv[0], *options, corpus], one_input)
    atheris.Fuzz()


def import_heavy() -> None:
    """Imports what is not ours before instrumentation, and silences it."""
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    modules: list[Any] = [__import__(each) for each in ("numpy", "onnx", "torch", "coremltools")]
    assert modules


main()
