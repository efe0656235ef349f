"""What a target's files hold besides the tensors that a plan can compress, and how large they are with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.convert.targets import plain_bytes, stored_bytes
from pocketrec.errors import BudgetMissed, ConversionError, Derived
from pocketrec.pipeline.attempts import Attempt
from pocketrec.pipeline.opening import open_graph
from pocketrec.pipeline.ways import Order, written_first
from pocketrec.progress import Progress
from pocketrec.recipe import Gates, Precision, Target

if TYPE_CHECKING:
    import torch

    from pocketrec.convert.lower.carry import ValueIndex
    from pocketrec.pipeline.plans import Planned
    from pocketrec.quantize import QuantizedTensor
    from pocketrec.source.model import Trials
    from pocketrec.source.streamed import Stubbed

Place = tuple[Precision, Precision]  # as which a tensor is held as it is; as which it is read, and codes held
Places = tuple[tuple[Place, ...], ...]  # in each file


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How the files of a target grow with what is in them.

    Attributes:
        target: its options.
        besides: bytes of its files that are none of the tensors.
        places: tensor name to the files that hold its numbers, and the places in each file. One that is held
            folded with others is taken for float32 in a file, where files are as large as that; else they
            hold a part of it, which counts as their graph.
    """

    target: Target
    besides: int
    places: Mapping[str, Places]

    def bytes_of(self, tensor: QuantizedTensor, *, looked_up: bool) -> int:
        """Bytes of the files for a tensor in a form, with what unpacks it; a file holds codes once."""
        counts = Counter(read for (_, read), *_ in self.places[tensor.name])
        return sum(
            count * stored_bytes(tensor, replace(self.target, precision=precision), looked_up=looked_up)
            for precision, count in counts.items()
        )

    def plain_bytes(self, name: str, shape: tuple[int, ...]) -> int:
        """Bytes of the files for a tensor as it is."""
        return sum(
            plain_bytes(name, shape, replace(self.target, precision=precision))
            for places in self.places[name]
            for precision, _ in places
        )


def check_room(
    attempt: Attempt,
    core: Stubbed,
    limits: Mapping[str, float],
    targets: Mapping[str, Target],
    read: Mapping[str, tuple[str, ...]],
    folder: Path,
    report: Progress,
) -> dict[str, Room]:
    """Target to what its files hold, those with most besides the tensors of a plan first.

    Found by lowering the model as it is; nothing where no size is asked for, or where tables are on disk,
    beside which graphs do not count.

    Args:
        attempt: of the model as it is, captured.
        core: the model's module under the user's names.
        limits: target to the budget of its files, of those that have one, in bytes.
        targets: by name, resolved.
        read: tensor name to the functions that read it.
        folder: for the files, which are gone afterwards.
        report: told what is being done.

    Raises:
        BudgetMissed: the graph, and constants folded in it, alone are more than the target's budget.
    """
    from pocketrec.convert.lower.carry import ValueIndex
    from pocketrec.quantize.reference import compressible, to_array
    from pocketrec.validate.artifact.sizes import artifact_bytes

    if not limits or core.tables:
        return {}
    plain = {name: replace(each, gather_codes=()) for name, each in targets.items()}
    tensors = {name: each for name, each in compressible(core.lowered).items() if read.get(name)}
    index = ValueIndex({name: to_array(each) for name, each in tensors.items()})
    rooms = {}
    for name, paths in _files(attempt, plain, {}, folder, report):
        held = [_places(path, index) for path in paths]
        size, shapes = sum(map(artifact_bytes, paths)), {one: each.shape for one, each in tensors.items()}
        known = {each for one in held for each in one}
        places = {each: tuple(one[each] for one in held if one.get(each)) for each in tensors}
        derived: Places = ((("float32", "float32"),),)
        room = _room(targets[name], size, {each: one or derived for each, one in places.items()}, shapes)
        if room.besides < 0:
            part = {each: one or (derived if each in known else ()) for each, one in places.items()}
            room = _room(targets[name], size, part, shapes)
        rooms[name] = replace(room, besides=max(0, room.besides))
    names = sorted(rooms, key=lambda name: -rooms[name].besides)
    over = [name for name in names if rooms[name].besides >= limits.get(name, math.inf)]
    if over:
        besides, limit = rooms[over[0]].besides / 1e6, limits[over[0]] / 1e6
        raise BudgetMissed(
            f"compress.max_size_mb is {limit:g}; {besides:.4g} MB of {over[0]} are its graph and "
            "constants that are no tensors of the module; keep what is computed from weights in a buffer, or "
            "raise the budget"
        )
    return {name: rooms[name] for name in names}


def written_sizes(
    attempt: Attempt,
    trials: Trials,
    planned: Planned,
    targets: Mapping[str, Target],
    folder: Path,
    report: Progress,
) -> dict[str, int]:
    """Bytes of each target's files with a plan; none where nothing can be written.

    Tensors that a target holds only folded with others are left out of the plan, as where it is built.

    Args:
        attempt: of the model as it is, captured.
        trials: of the model as it is.
        planned: which tensor is compressed how.
        targets: by name, resolved.
        folder: for the files, which are gone afterwards.
        report: told what is being done.
    """
    from pocketrec.source.compressed import compress_trials
    from pocketrec.validate.artifact.sizes import artifact_bytes

    with TemporaryDirectory(dir=folder) as values:
        made, compression = compress_trials(
            trials, planned.plan, planned.usage, Path(values), made=planned.made
        )
    compressed = Attempt(trial=next(iter(made)), reference=attempt.reference)
    try:
        compressed.capture()
        files = _files(compressed, targets, compression.codes, folder, report)
        return {name: sum(map(artifact_bytes, paths)) for name, paths in files}
    except Derived as error:
        left = planned.without(list(error.names))
        return written_sizes(attempt, trials, left, targets, folder, report)
    except ConversionError:
        return {}  # what no target carries is left out of the plan, or told, where it is converted


def _files(
    attempt: Attempt,
    targets: Mapping[str, Target],
    codes: Mapping[str, QuantizedTensor],
    folder: Path,
    report: Progress,
) -> Iterator[tuple[str, list[Path]]]:
    """Each target with its files, which are there until the next is asked for."""
    with TemporaryDirectory(dir=folder) as place:
        for count, (name, target) in enumerate(targets.items()):
            report(f"weigh {name}", count, len(targets))
            order = Order(name=name, target=target, codes=codes, gates=Gates(), folder=Path(place) / name)
            yield name, sorted(set(written_first(attempt, order).values()))


def _room(target: Target, size: int, places: Mapping[str, Places], shapes: Mapping[str, torch.Size]) -> Room:
    """What files of that size hold besides tensors in those places; below zero where these are more."""
    room = Room(target=target, besides=0, places=places)
    return replace(room, besides=size - sum(room.plain_bytes(each, tuple(shapes[each])) for each in places))


def _places(path: Path, index: ValueIndex) -> dict[str, tuple[Place, ...]]:
    """Tensor name to each place in a file that holds its numbers.

    Of tensors with equal numbers, all places are the first's.
    """
    graph = open_graph(path)
    narrowed = [name for op in graph.ops if op.type == "constexpr_cast" for name in op.inputs["source_val"]]
    widened = {graph.tensors[name].place for name in narrowed}  # held in float16, and read in float32
    found: dict[str, tuple[Place, ...]] = {}
    for each in graph.stored:
        held: Precision = "float16" if each.dtype == "float16" else "float32"
        read: Precision = "float32" if each.place in widened else held
        names = [] if each.load is None else index.find(np.asarray(each.load()))[0]
        for name in names:
            found[name] = (*found.get(name, ()), *([(held, read)] if name == names[0] else []))
    return found
