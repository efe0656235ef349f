"""What none may do is found, whatever else a command answers; and what it may do is no fault."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ship.judging import (
    AS_IT_WAS,
    CRASHED,
    GARBLED,
    HALF,
    PASSED,
    REFUSED,
    UNSIGNED,
    WROTE,
    Done,
    judge,
)

SAID = "error: manifest.json: altered\n"
SAME, OTHER = ["one"], ["another"]
CASES: dict[str, tuple[Done, dict[str, Any], str]] = {
    "it refuses in a line": (Done(code=1, told=SAID), {}, REFUSED),
    "it refuses by a key's code": (Done(code=12, told="failed: altered"), {}, REFUSED),
    "it refuses in JSON": (Done(code=1, printed='{\n "status": "failed"}'), {}, REFUSED),
    "it says nothing": (Done(code=1), {}, CRASHED),
    "it finds a defect in itself": (Done(code=4, told=SAID), {}, CRASHED),
    "an exception leaves it": (Done(code=None, told=SAID), {}, CRASHED),
    "it prints a traceback": (Done(code=1, told=f"Traceback (most recent)\n{SAID}"), {}, CRASHED),
    "it writes elsewhere": (Done(code=1, told=SAID, wrote=("open /x",)), {}, WROTE),
    "it writes elsewhere and passes": (Done(code=0, answer=SAME, wrote=("open /x",)), {}, WROTE),
    "it leaves a half": (Done(code=1, told=SAID, left=True), {}, HALF),
    "it shows an escape sequence": (Done(code=1, told="error: \x1b[31m: altered"), {}, GARBLED),
    "it installs what contradicts itself": (Done(code=0), {"sealed": True}, PASSED),
    "nothing was altered": (Done(code=0, answer=OTHER), {"altered": False}, AS_IT_WAS),
    "what it reads was not altered": (Done(code=0, answer=SAME), {}, AS_IT_WAS),
    "it shows what was altered": (Done(code=0, answer=OTHER), {}, PASSED),
    "it vouches for what was altered": (Done(code=0, answer=SAME), {"vouches": True}, PASSED),
    "it wrote the honest result": (Done(code=0, answer={"a": "1"}), {"vouches": True}, AS_IT_WAS),
    "it wrote another result": (Done(code=0, answer={"a": "2"}), {"vouches": True}, PASSED),
    "digests fit and nobody is trusted": (Done(code=0, answer=OTHER), {"sealed": True}, UNSIGNED),
    "digests fit and somebody is trusted": (
        Done(code=0, answer=OTHER, trusted="valid"),
        {"sealed": True},
        PASSED,
    ),
    "digests fit, and it had the key": (Done(code=0, answer=OTHER), {"sealed": True, "keyed": True}, PASSED),
}


@pytest.mark.parametrize("name", CASES)
def test_an_outcome_has_its_word(name: str) -> None:
    done, more, expected = CASES[name]
    about = {"altered": True, "sealed": False, "vouches": False, "keyed": False, **more}
    outcome, why = judge(done, honest=[SAME, {"a": "1"}], **about)
    assert outcome == expected
    assert bool(why) == (expected in (CRASHED, GARBLED, HALF, PASSED, WROTE))
