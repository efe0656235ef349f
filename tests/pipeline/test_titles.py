"""Items that the evidence names have their titles in it, and their tokens where there is none."""

from __future__ import annotations

from pocketrec.contract import Vocabulary
from pocketrec.pipeline.titles import titles_of
from pocketrec.report import RankingParity, RuntimeResult, UserLists

LISTS = UserLists(
    row=0,
    overlap=0.5,
    vocabulary="item",
    before=(1, 3),
    after=(1, 2),
    history_vocabulary="word",
    history=(0,),
)


def result(users: tuple[UserLists, ...]) -> RuntimeResult:
    ranking = RankingParity(examples=1, reference={}, artifact={}, users=users)
    return RuntimeResult(target="onnx", runtime="onnxruntime", status="ran", ranking=ranking)


def test_titles_come_before_tokens_and_only_what_is_named_is_there() -> None:
    files = {
        "item": {
            "tokens": Vocabulary(tokens=("pad", "a", "b", "c", "d")),
            "titles": Vocabulary(tokens=("", "Größe", "", "<c>", "D")),
        },
        "word": {"tokens": Vocabulary(tokens=("zero", "one"))},
    }
    results = [result((LISTS,)), RuntimeResult(target="x", runtime="y", status="not_run")]
    assert titles_of(results, files) == {
        "item": {"1": "Größe", "2": "b", "3": "<c>"},
        "word": {"0": "zero"},
    }


def test_a_vocabulary_without_files_has_no_titles() -> None:
    assert titles_of([result((LISTS,))], {}) == {}
