"""Evidence of which reports are made, with nothing in it but what a test puts there."""

from __future__ import annotations

from pocketrec.report import Evidence, Machine

EMPTY = Evidence(
    recipe="toy",
    recipe_sha256="",
    contract_sha256="",
    machine=Machine(system="Linux", processor="x", cores=1, memory_gb=1.0, python="3"),
    versions={},
    results=(),
    sizes=(),
    rewrites=(),
    gates=(),
)
