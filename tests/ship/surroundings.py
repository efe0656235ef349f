"""Commands in surroundings that may not matter: folder, hash seed, umask, time zone, locale, home, cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TOOL = str(Path(sys.executable).with_name("pocketrec"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a command runs.

    Attributes:
        folder: holds what it reads and writes, its home and its temporary files.
        umask: of new files.
        cores: how many processors it may use; None for all.
        environment: variables beside those that name folders.
    """

    folder: Path
    umask: int
    cores: int | None
    environment: dict[str, str]

    def run(self, *words: object, tool: str = _TOOL) -> str:
        """What a command printed, which must end well."""
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [tool, *map(str, words)],
            cwd=self.folder,
            env=self._environment(),
            umask=self.umask,
            preexec_fn=self._pin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-500:]}{done.stderr[-2000:]}"
        return done.stdout

    def told(self, *words: object) -> Any:
        """What a command printed as JSON."""
        return json.loads(self.run(*words, "--json"))

    def _environment(self) -> dict[str, str]:
        folders = {"HOME": self.folder / "home", "TMPDIR": self.folder / "tmp"}
        return {
            "PATH": os.environ["PATH"],
            **{key: str(each) for key, each in folders.items()},
            **self.environment,
        }

    def _pin(self) -> None:
        if self.cores is not None:
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: self.cores])


def two(folder: Path) -> Sequence[Surroundings]:
    """Two that have little in common."""
    return (
        Surroundings(
            folder=folder / "one",
            umask=0o022,
            cores=1,
            environment={
                **{"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C", "LANG": "C"},
                **{"OMP_NUM_THREADS": "1", "USER": "one", "COLUMNS": "80"},
            },
        ),
        Surroundings(
            folder=folder / "an\u00f6ther place" / "deeper",
            umask=0o077,
            cores=None,
            environment={
                **{
                    "PYTHONHASHSEED": "4242",
                    "TZ": "Pacific/Kiritimati",
                    "LC_ALL": "C.UTF-8",
                    "LANG": "tr_TR.UTF-8",
                },
                **{"OMP_NUM_THREADS": "2", "USER": "two", "COLUMNS": "200", "PYTHONUTF8": "1"},
            },
        ),
    )
