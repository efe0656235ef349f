"""Vectors of text: what every language has to cut alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pocketrec.package.host.calls import Host

# Emoji and their joiners, combining marks, letters without a pair, other scripts.
TEXTS = (
    *(
        "",
        " \t\n",
        "Toy Story (1995)",
        "unaffable!",
        "a\x00b\x0bc\u200bd\xade\ufffdf",
        "[MASK][mask]",
        "a" * 101,
    ),
    *("👨\u200d👩\u200d👧 👍🏽 1\ufe0f\u20e3", "e\u0301 é E\u0301\u0327", "İstanbul ıI Straße ẞ \ufb01n ΣΑΣ"),
    *("中文字 日本語 한국어", "שָׁלוֹם \u202eabc", "नमस्ते", "x\u0344\u0345\u302e\u0323"),
    "\ua7dc \U00010d50 \U00011938 \u0898 \u1734 \u2e52 \U000111c9",  # where Unicode's versions differ
)
_CUT, _WHOLE = 4, 256


def text_rules(host: Host) -> Iterator[dict[str, Any]]:
    """How each vocabulary with a tokenizer cuts texts, whole and too long."""
    for name, items in sorted(host.vocabularies.items()):
        tokenizer = items.spec.tokenizer
        if tokenizer is None:
            continue
        for text in TEXTS:
            for most in (_CUT, _WHOLE):
                given = {"vocabulary": name, "text": text, "most": most}
                yield {
                    "rule": "tokenize",
                    "arguments": given,
                    "answer": host.tokenize(text, tokenizer, items, most),
                }
