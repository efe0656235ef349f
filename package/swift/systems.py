"""The systems that open a package's model: each version of Core ML's programs begins with one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pocketrec.errors import ArtifactError
from pocketrec.outside import open_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Systems:
    """The lowest versions: `ios` that of tvOS and Mac Catalyst, too."""

    ios: int = 16  # what the sources themselves need
    macos: int = 13
    visionos: int = 1


# By the specification's version, which a build's minimum_deployment_target decides.
_SINCE = {
    8: Systems(ios=17, macos=14, visionos=1),
    9: Systems(ios=18, macos=15, visionos=2),
    10: Systems(ios=26, macos=26, visionos=26),
}
_FIRST_FIELD = 0x08  # specificationVersion, the first field of a program, is field 1 and a number below 128


def systems_of(folder: Path) -> Systems:
    """The systems that open every program of a model folder; those of the newest one.

    Raises:
        ArtifactError: a program begins with no version, or with a newer one than is known; names it.
    """
    programs = sorted(folder.glob("*.mlpackage/Data/com.apple.CoreML/*.mlmodel"))
    newest = max(map(_specification, programs), default=0)
    return _SINCE.get(newest, Systems())


def _specification(program: Path) -> int:
    with open_file(program) as file:
        start = file.read(2)
    if len(start) < 2 or start[0] != _FIRST_FIELD or not 1 <= start[1] <= max(_SINCE):
        raise ArtifactError(
            f"{program.parents[2].name}: its program begins with {start.hex() or 'nothing'}; expected a "
            f"specification version of at most {max(_SINCE)}; build the bundle again"
        )
    return start[1]
