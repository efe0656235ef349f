"""Everything that Core ML's framework does instead of answering has a name; the framework here is a fake.

Each process imports coremltools, about three quarters of a second, so few cases share one.
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from tests.validate.conftest import PROGRAM_TABLE
from tests.validate.runtimes.fake_mac import Mac

from pocketrec.errors import InputError, UsageError
from pocketrec.validate.open import open_artifact
from pocketrec.validate.runtimes.faults import FrameworkFault, TooOldMacOS
from pocketrec.validate.runtimes.framework_process import FrameworkProcess

IDS = {"ids": np.array([0, 1, 3], np.int32)}
SCORES = PROGRAM_TABLE[IDS["ids"]] @ PROGRAM_TABLE.T


@pytest.fixture
def package(packages: Path) -> Path:
    return packages / "float32.mlpackage"


def test_an_honest_framework_answers_and_says_that_it_is_a_rehearsal(mac: Mac, package: Path) -> None:
    mac.does("predict=print")
    with open_artifact(package, compute_units="cpu_only") as runtime:
        said = runtime.describe()
        assert (said.runtime, said.compute_units) == ("coreml-framework", "allowed: cpu_only")
        assert said.version == "macOS 15.5 (a rehearsal on Linux, no device)"
        assert np.allclose(np.asarray(runtime.run(IDS)["scores"], np.float64), SCORES, rtol=1e-6)
        assert isinstance(runtime, FrameworkProcess)
        assert runtime.clocked(IDS) > 0
        assert runtime.load_ms > 0
        with pytest.raises(InputError, match="input 'ids' is float32; expected int32"):
            runtime.run({"ids": IDS["ids"].astype(np.float32)})
        assert runtime.run(IDS)["scores"].shape == SCORES.shape  # what was refused here was sent nowhere
    assert runtime.printed.endswith("and Python, too")
    with pytest.raises(UsageError, match="the runtime is closed"):
        runtime.run(IDS)


CASES = [
    ("load=abort", "crashed", r"float32\.mlpackage: its process ended with SIGABRT while it was loaded with"),
    ("predict=segv", "crashed", r"ended with SIGSEGV in a call with cpu_and_gpu; try compute units cpu_only"),
    ("load=exit", "crashed", r"its process ended with exit code 0 while it was loaded"),
    ("load=refuse", "refused", r"float32\.mlpackage: Core ML cannot load it \(\{ NSLocalizedDescription"),
    ("predict=garble", "garbled", r"what came back in a call is no answer \(frame: a header of 4294967295"),
]


@pytest.mark.parametrize(("rules", "fault", "message"), CASES, ids=[each[0] for each in CASES])
def test_what_the_framework_does_instead_of_answering_has_a_name(
    mac: Mac, package: Path, rules: str, fault: str, message: str
) -> None:
    mac.does(f"{rules}@CPU_AND_GPU")
    with (
        pytest.raises(FrameworkFault, match=message) as found,
        FrameworkProcess(package, compute_units="cpu_and_gpu") as runtime,
    ):
        runtime.run(IDS)
    assert found.value.fault == fault


@pytest.mark.parametrize("rules", ["load=hang", "predict=hang"])
def test_a_framework_that_hangs_with_the_interpreters_lock_held_is_given_up(
    mac: Mac, package: Path, rules: str
) -> None:
    mac.does(rules)
    with pytest.raises(FrameworkFault, match=r"no answer within .* s .* with all; try") as found:
        _called_within(0.2, package, loading=rules.startswith("load"))
    assert found.value.fault == "hung"


def _called_within(seconds: float, package: Path, *, loading: bool) -> None:
    with FrameworkProcess(package, timeout=seconds if loading else None) as runtime:
        runtime._until = monotonic() + seconds
        runtime.run(IDS)


def test_a_package_of_a_later_macos_is_not_handed_to_this_one(mac: Mac, package: Path) -> None:
    mac.is_macos("14.6")
    message = r"its deployment target iOS18 needs macOS 15, and this is macOS 14\.6; use a later macOS"
    with pytest.raises(TooOldMacOS, match=message):
        FrameworkProcess(package)
    assert mac.compilations == 0


def test_units_that_there_are_not_are_named(mac: Mac, package: Path) -> None:
    with pytest.raises(UsageError, match="compute_units 'gpu': expected one of all, cpu_only"):
        FrameworkProcess(package, compute_units="gpu")
