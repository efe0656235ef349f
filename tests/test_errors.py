"""What a mistyped word was meant for is told where it can be known, and else nothing is."""

from __future__ import annotations

import pytest

from pocketrec.errors import meant

ENGINES = ("onnxruntime", "coreml-framework", "coreml-interpreter", "web-wasm")


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("onnx", ENGINES, "; did you mean 'onnxruntime'?"),
        ("CoreML", ENGINES, "; did you mean 'coreml-framework' or 'coreml-interpreter'?"),
        ("onnxrutime", ENGINES, "; did you mean 'onnxruntime'?"),
        ("sasrek", ("gru4rec", "sasrec", "gsasrec"), "; did you mean 'sasrec'?"),
        ("Sasrec", ("SASRec",), "; did you mean 'SASRec'?"),
        ("tvm", ENGINES, ""),
        ("", ENGINES, ""),
        ("co", ENGINES, ""),  # too short to be the beginning of one of them
        ("max", [f"max_{each}" for each in "abcd"], "; did you mean 'max_d'?"),  # of many, one
        (None, ENGINES, ""),
        (8, (4, 8), ""),
        ("nearest", (4, "nearest"), "; did you mean 'nearest'?"),
    ],
)
def test_a_word_is_told_with_what_is_near(word: object, known: tuple[object, ...], said: str) -> None:
    assert meant(word, known) == said
