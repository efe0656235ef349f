"""Toy models of every role on tape: what the reference host asked them, and what they gave.

Another language's host that encodes a call otherwise asks what is not on the tape; one that reads outputs
otherwise gives another answer than the vector. No engine is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from tests.package.host.toys import BATCH, FILMS, TITLES, TOKENS, contract_of, history, scores

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.package.api_calls import api_vectors
from pocketrec.package.host.calls import Host
from pocketrec.package.host.items import Items

FILM = Feature(name="film", kind="id", shape=("batch",), vocabulary="film", out_of_vocabulary="unknown")
WEIGHT = Feature(name="weight", kind="dense", dtype="float32", shape=("batch",), maximum=8.0)
STARS = Feature(name="stars", kind="dense", dtype="float32", shape=("batch", "length"))
MASK = Feature(name="mask", kind="mask", dtype="bool", shape=("batch", "length"))
SIZE = Feature(name="size", kind="length", shape=("batch",))
HOUR = Feature(name="hour", kind="dense", dtype="int64", shape=("batch", 1), maximum=23.0)
GRID = Feature(name="grid", kind="dense", dtype="float32", shape=("batch", 2, 3), minimum=-1.0)
STATE = Feature(name="hidden", kind="state", dtype="float32", shape=(1, "batch", 2))
NEXT = Output(name="next", meaning="state", shape=(1, "batch", 2), updates="hidden")
CLICK = Output(name="click", meaning="logit", shape=("batch",))
BUY = Output(name="buy", meaning="probability", shape=("batch", 1))
IDS = Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", 4), vocabulary="film")
BEST = Output(name="best", meaning="top_k_scores", shape=("batch", 4))
PLACES = Output(name="places", meaning="score", shape=("batch", "length"))
VECTOR = Output(name="vector", meaning="embedding", shape=("batch", 3))
MINUTES = Output(name="minutes", meaning="score", shape=("batch", 2, 2), unit="minutes")
CHANCE = scores(name="chance", meaning="probability")

CODES = VocabularySpec(size=4, padding_id=0, sha256="3")
SPELLINGS = ("", "1 2", "1 3", "2 1", "3 3", "")
PAST = Feature(
    name="past",
    kind="id_sequence",
    shape=("batch", 5),
    vocabulary="code",
    padding_side="right",
    out_of_vocabulary="padding",
)
PREFIX = replace(PAST, name="prefix", shape=("batch", 2), out_of_vocabulary="forbid")
LEFT = replace(PREFIX, padding_side="left")
MEMORY = Feature(name="memory", kind="dense", dtype="float32", shape=("batch", 5))
ENCODED = Output(name="memory", meaning="embedding", shape=("batch", 5))
LOGITS = Output(name="logits", meaning="logit", shape=("batch", 2, 4), vocabulary="code")
NEXT_CODE = Output(name="logits", meaning="logit", shape=("batch", 4), vocabulary="code")

CONTRACTS: dict[str, Contract] = {
    "recommend": contract_of(Signature(inputs=(history(), STARS, MASK, SIZE), outputs=(scores(),))),
    "recommend by logits": contract_of(Signature(inputs=(history(),), outputs=(scores(meaning="logit"),))),
    "recommend by lists": contract_of(
        Signature(inputs=(history(out_of_vocabulary="forbid"),), outputs=(IDS, BEST))
    ),
    "recommend by ids alone": contract_of(Signature(inputs=(history(padding_side="right"),), outputs=(IDS,))),
    "session": contract_of(Signature(inputs=(FILM, STATE), outputs=(scores(), NEXT))),
    "rank": contract_of(Signature(inputs=(FILM, WEIGHT, history()), outputs=(CLICK, BUY))),
    "arrange": contract_of(Signature(inputs=(history(name="slate"),), outputs=(PLACES,))),
    "decide": contract_of(Signature(inputs=(WEIGHT,), outputs=(scores(), CHANCE), role="decide")),
    "decide greedily": contract_of(Signature(inputs=(WEIGHT,), outputs=(scores(),), role="decide")),
    "predict": contract_of(Signature(inputs=(WEIGHT, HOUR, GRID), outputs=(CLICK, MINUTES))),
    "predict of a column": contract_of(
        Signature(
            inputs=(replace(FILM, shape=("batch", 1)), history(), replace(SIZE, shape=("batch", 1))),
            outputs=(CLICK,),
            role="predict",
        )
    ),
    "two vectors": replace(
        contract_of(Signature(inputs=(history(),), outputs=(VECTOR,))),
        functions={
            "user": Signature(inputs=(history(),), outputs=(VECTOR,)),
            "item": Signature(inputs=(replace(FILM, out_of_vocabulary="forbid"),), outputs=(VECTOR,)),
        },
    ),
    "no rows": contract_of(
        Signature(inputs=(history(shape=("length",)),), outputs=(scores(shape=(6,)),)),
        dims={"length": Dim(min=1, max=3)},
    ),
    "a fixed batch": contract_of(
        Signature(inputs=(history(), WEIGHT), outputs=(scores(),)),
        dims={"batch": Dim(min=3, max=3), "length": Dim(min=3, max=3)},
    ),
    "generate": Contract(
        functions={
            "encode": Signature(inputs=(PAST,), outputs=(ENCODED,)),
            "decode": Signature(inputs=(PAST, MEMORY, PREFIX), outputs=(LOGITS,), role="generate"),
        },
        dims={"batch": BATCH},
        vocabularies={"film": replace(FILMS, spelled_in="code", spellings_sha256="2"), "code": CODES},
    ),
    "generate by items": contract_of(
        Signature(
            inputs=(history(), replace(PREFIX, padding_side="left")), outputs=(NEXT_CODE,), role="generate"
        ),
        vocabularies={"film": replace(FILMS, spelled_in="code", spellings_sha256="2"), "code": CODES},
    ),
    "names of options": contract_of(
        Signature(
            inputs=(history(), replace(WEIGHT, name="k"), replace(WEIGHT, name="k_feature")),
            outputs=(scores(),),
        )
    ),
    "names of candidates": contract_of(
        Signature(inputs=(history(name="slate"), replace(WEIGHT, name="candidates")), outputs=(PLACES,))
    ),
    "nothing set aside": contract_of(
        Signature(inputs=(history(padding_side=None, out_of_vocabulary="forbid"),), outputs=(scores(),)),
        vocabularies={"film": VocabularySpec(size=6, sha256="0")},
    ),
}


@dataclass(slots=True, kw_only=True)
class Tape:
    """A toy model that keeps what it was asked and what it gave."""

    contract: Contract
    runs: list[dict[str, Any]] = field(default_factory=list)

    def run(self, function: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Numbers of the outputs' shapes that depend on every input."""
        signature = self.contract.functions[function]
        total = sum(
            float(
                np.sum(np.asarray(each, np.float64) * (np.arange(np.size(each)).reshape(np.shape(each)) + 1))
            )
            for each in inputs.values()
        )
        batch = next(np.shape(each)[0] for name, each in inputs.items() if name != "hidden" and np.ndim(each))
        length = next((np.shape(each)[1] for each in inputs.values() if np.ndim(each) == 2), 1)
        sizes = {"batch": batch, "length": length}
        outputs = {
            each.name: _numbers(each, [sizes.get(str(size), size) for size in each.shape], total)
            for each in signature.outputs
        }
        asked = {name: _plain(each) for name, each in inputs.items()}
        given = {name: _plain(each) for name, each in outputs.items()}
        self.runs.append({"function": function, "inputs": asked, "outputs": given})
        return outputs


def _numbers(out: Output, shape: list[Any], total: float) -> Any:
    """Between 0 and 1 in eighths, so that some are equal; ids from -1 to 6."""
    count = int(np.prod(shape))
    found = (np.arange(count) * 5 + int(abs(total) * 8)) % 8
    if out.meaning == "top_k_ids":
        return (found - 1).reshape(shape).astype(np.int32)
    return (found / 8).reshape(shape).astype(np.float32)


def _plain(array: Any) -> dict[str, Any]:
    array = np.asarray(array)
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": array.reshape(-1).tolist()}


def tape_of(contract: Contract) -> dict[str, Any]:
    """The contract, its words, its API vectors and the tape, as JSON values."""
    words: dict[str, dict[str, tuple[str, ...]]] = {
        "film": {"tokens": TOKENS, "titles": TITLES, "spellings": SPELLINGS},
        "code": {"tokens": ("[pad]", "x", "y", "z")},
    }
    if contract.vocabularies["film"].padding_id is None:
        words["film"] = {"tokens": tuple("uabcde")}
    tape = Tape(contract=contract)
    vocabularies = {name: Items(name, spec, **words[name]) for name, spec in contract.vocabularies.items()}
    host = Host(contract=contract, vocabularies=vocabularies, run=tape.run, tokenize=lambda *each: [1])
    vectors = asdict(api_vectors(host))
    return {
        "contract": contract.to_dict(),
        "vocabularies": {name: words[name] for name in contract.vocabularies},
        "vectors": vectors,
        "runs": tape.runs,
    }
