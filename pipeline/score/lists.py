"""Answers as a table: a row per user, best item first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocketrec.contract import SCORES, Contract, Output, Signature
from pocketrec.errors import UsageError
from pocketrec.package.host.answers import Answer
from pocketrec.package.host.roles import Call, lists_items, one_number, rest_of
from pocketrec.source.columns import pyarrow

Take = Callable[[Any], Any]  # a cell of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """How answers become columns.

    Attributes:
        key: the column that tells users apart.
        schema: of the table, its metadata among it.
        takes: a cell of every other column.
    """

    key: str
    schema: Any
    takes: Mapping[str, Take]

    def table(self, keys: Sequence[Any], answers: Sequence[Answer]) -> Any:
        """The rows of some users."""
        columns = {self.key: keys}
        columns |= {name: [take(each) for each in answers] for name, take in self.takes.items()}
        pa = pyarrow()
        arrays = [pa.array(columns[each.name], each.type) for each in self.schema]
        return pa.Table.from_arrays(arrays, schema=self.schema)


def lists_of(contract: Contract, call: Call, key: str, key_type: Any, metadata: Mapping[str, str]) -> Lists:
    """The table that a call's answers become.

    Raises:
        UsageError: the key is called as a column of answers.
    """
    pa = pyarrow()
    cells = _CELLS[call.role](contract, contract.functions[call.function])
    cells["unknown"] = (pa.int32(), lambda answer: len(answer.unknown))
    if key in cells:
        raise UsageError(
            f"--key {key!r}: a column of answers is called so, as are {', '.join(cells)}; rename the key"
        )
    fields = [pa.field(key, key_type, nullable=False)]
    fields += [pa.field(name, kind) for name, (kind, _) in cells.items()]
    takes = {name: take for name, (_, take) in cells.items()}
    return Lists(key=key, schema=pa.schema(fields, metadata=dict(metadata)), takes=takes)


_Cells = dict[str, tuple[Any, Take]]


def _each(name: str) -> Take:
    return lambda answer: [getattr(item, name) for item in answer]


def _items(scored: bool = True, chances: bool = False) -> _Cells:
    pa = pyarrow()
    cells: _Cells = {"items": (pa.list_(pa.string()), _each("token"))}
    if scored:
        cells["scores"] = (pa.list_(pa.float32()), _each("score"))
    if chances:
        cells["probabilities"] = (pa.list_(pa.float64()), _each("probability"))
    return cells


def _recommended(contract: Contract, signature: Signature) -> _Cells:
    out = next(each for each in signature.outputs if lists_items(contract, each))
    if out.meaning != "top_k_ids":
        return _items(chances=out.meaning != "score")
    return _items(scored=any(each.meaning == "top_k_scores" for each in signature.outputs))


def _ranked(contract: Contract, signature: Signature) -> _Cells:
    pa = pyarrow()
    heads = [each for each in signature.outputs if one_number(signature, each)]
    cells = _items(chances=heads[0].meaning != "score")
    for head in heads if len(heads) > 1 else ():
        cells[f"scores_{head.name}"] = (pa.list_(pa.float32()), _head(head.name))
    return cells


def _head(name: str) -> Take:
    return lambda answer: [item.scores[name] for item in answer]


def _embedded(contract: Contract, signature: Signature) -> _Cells:
    pa = pyarrow()
    return {"vector": (pa.list_(pa.float32()), lambda answer: answer.values)}


def _predicted(contract: Contract, signature: Signature) -> _Cells:
    pa = pyarrow()
    cells: _Cells = {}
    for out in signature.outputs:
        if out.meaning == "state":
            continue
        single = one_number(signature, out)
        cells[out.name] = (_nested(out, 0 if single else len(rest_of(signature, out))), _value(out.name))
        if single and out.meaning in SCORES and out.meaning != "score":
            cells[f"{out.name}_probability"] = (pa.float64(), _probability(out.name))
    return cells


def _nested(out: Output, depth: int) -> Any:
    pa = pyarrow()
    kind = {"bool": pa.bool_()}.get(out.dtype) or getattr(pa, out.dtype)()
    for _ in range(depth):
        kind = pa.list_(kind)
    return kind


def _value(name: str) -> Take:
    return lambda answer: answer.outputs[name].value


def _probability(name: str) -> Take:
    return lambda answer: answer.outputs[name].probability


def _decided(contract: Contract, signature: Signature) -> _Cells:
    pa = pyarrow()
    return {
        "arm": (pa.string(), lambda answer: answer.arm.token),
        "score": (pa.float32(), lambda answer: answer.arm.score),
        "propensity": (pa.float64(), lambda answer: answer.propensity),
    }


def _plain(contract: Contract, signature: Signature) -> _Cells:
    return _items()


_CELLS: Mapping[str, Callable[[Contract, Signature], _Cells]] = {
    "recommend": _recommended,
    "search": _recommended,
    "rank": _ranked,
    "arrange": _plain,
    "generate": _plain,
    "embed": _embedded,
    "predict": _predicted,
    "decide": _decided,
}
