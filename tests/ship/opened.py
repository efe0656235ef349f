"""What readers answer to honest things, and what runs a case in a new process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ship.cases import Honest, Workshop
from tests.ship.readers import READERS
from tests.ship.watching import Watch
from tests.ship.workers import Line, Run, run_all


def load() -> None:
    """Imports what commands import when they are called, so that forked processes have it."""
    import coremltools
    import onnx
    import onnxruntime
    import torch

    import pocketrec.package.sign.check
    import pocketrec.package.swift.generate
    import pocketrec.package.web.generate
    import pocketrec.pipeline.compare.diff
    import pocketrec.pipeline.verify

    assert all((coremltools, onnx, onnxruntime, torch, pocketrec))


def honest_answers(place: Path) -> Honest:
    """The answers of every reader to what it opens as it was made, asked in a process of their own."""
    load()
    pairs = [(reader, thing) for reader in READERS for thing in reader.opens]

    def prepare(slot: int) -> Run:
        workshop = Workshop(place / "honest", place / "open-h", Watch())

        def run(number: int) -> Line:
            reader, thing = pairs[number]
            done = workshop.answer(reader, thing)
            said = {"code": done.code, "answer": done.answer, "wrote": done.wrote, "told": done.told[-2000:]}
            return {"number": number, **said}

        return run

    answers: dict[str, list[Any]] = {}
    for line in run_all(range(len(pairs)), prepare, place):
        reader, thing = pairs[line["number"]]
        if line.get("code") == 0 and not line["wrote"]:
            answers[f"{reader.name} {thing}"] = [line["answer"]]
        elif thing == reader.opens[-1]:
            raise AssertionError(f"{reader.name}: does not open {thing} as it was made: {line}")
    for reader, thing in pairs:
        if reader.likewise:
            answers[f"{reader.name} {thing}"] += answers[f"{reader.likewise} {thing}"]
    return answers


def prepared(place: Path, seed: int, answers: Honest) -> Callable[[int], Run]:
    """What runs a case in a new process."""

    def prepare(slot: int) -> Run:
        workshop = Workshop(place / "honest", place / f"open-{slot}", Watch())

        def run(number: int) -> Any:
            # As a line of JSON has it: tuples are lists, so that what is kept and what is new are one.
            return json.loads(json.dumps(workshop.run(number, seed, answers).to_dict()))

        return run

    return prepare
