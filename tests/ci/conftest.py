"""A toy bundle, and one machine on which everything is installed as the workflow installs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.ci import rehearsal
from tests.ci.rehearsal import Machine
from tests.mean import write_mean

import pocketrec


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    built = pocketrec.build(write_mean(folder, "[targets.onnx]\n[targets.coreml]\n"), out=folder / "mean")
    assert built.passed
    return built.path


@pytest.fixture(scope="session")
def machine(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    if shutil.which("jq") is None:
        pytest.skip("jq is not here, so the workflow was not rehearsed")
    return rehearsal.set_up(made, tmp_path_factory.mktemp("machine"))
