"""`pocketrec doctor`: what this machine can run, and what to install for the rest."""

from __future__ import annotations

from dataclasses import dataclass

import click

from pocketrec.cli.console import examples, print_json, print_table

# Module's distribution, and the extra that brings it; none for what always comes along.
PACKAGES = {
    "numpy": "",
    "onnx": "",
    "onnxruntime": "",
    "coremltools": "",
    "torch": "build",
    "onnxscript": "build",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A package that pocketrec uses; `version` is empty where it is not installed."""

    name: str
    version: str
    remedy: str = ""


@click.command(epilog=examples("pocketrec doctor"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Show the runtimes of this machine, the versions in use, and what to install."""
    from dataclasses import asdict

    from pocketrec.validate.measure.machine import this_machine
    from pocketrec.validate.open import available_runtimes

    runtimes, packages = available_runtimes(), installed()
    if as_json:
        print_json(
            {
                "schema": 1,
                "machine": asdict(this_machine()),
                "runtimes": [asdict(r) for r in runtimes],
                "packages": [asdict(p) for p in packages],
            }
        )
        return
    rows = [[r.name, "yes" if r.available else "no", r.version or "-", r.reason] for r in runtimes]
    print_table("Runtimes", ["name", "here", "version", "why not"], rows)
    print_table(
        "Packages",
        ["name", "version", "to install"],
        [[p.name, p.version or "-", p.remedy] for p in packages],
    )


def installed() -> list[Installed]:
    """The packages that pocketrec uses, found without importing them."""
    from importlib import metadata

    found = []
    for name, extra in PACKAGES.items():
        try:
            found.append(Installed(name=name, version=metadata.version(name)))
        except metadata.PackageNotFoundError:
            wanted = f"pocketrec[{extra}]" if extra else "pocketrec"
            found.append(Installed(name=name, version="", remedy=f"pip install '{wanted}'"))
    return found
