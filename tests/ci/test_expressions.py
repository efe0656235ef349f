"""The rehearsal reads conditions as the real machine does."""

from __future__ import annotations

import pytest
from tests.ci.expressions import NotUnderstood, Scope, evaluate, filled, holds

SCOPE = Scope(
    names={
        "inputs": {"comment": "true", "name": "it's"},
        "steps": {"verify": {"outputs": {"code": "0", "python-path": "/p"}}},
        "github": {"event_name": "pull_request", "event": {"pull_request": {"number": 7}}},
    }
)
FAILED = Scope(names=SCOPE.names, failed=True)
CANCELLED = Scope(names=SCOPE.names, cancelled=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("steps.verify.outputs.python-path", "/p"),
        ("steps.absent.outputs.code", ""),
        ("inputs.comment == 'TRUE'", True),
        ("inputs.comment != 'true' || github.event_name == 'push'", False),
        ("!(inputs.comment == 'true') && inputs.name", False),
        ("inputs.comment == 'true' && inputs.name", "it's"),
        ("inputs.name == 'it''s'", True),
        ("github.event.pull_request.number == '7'", True),
    ],
)
def test_values(text: str, value: object) -> None:
    assert evaluate(text, SCOPE) == value


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        ("steps.verify.outputs.code == '0'", (True, False, False)),
        ("${{ !cancelled() && inputs.name }}", (True, True, False)),
        ("${{ always() }}", (True, True, True)),
        ("failure()", (False, True, False)),
        ("${{ always() && steps.absent.outputs.code }}", (False, False, False)),
    ],
)
def test_a_step_runs_after_a_failure_only_where_it_asks_for_the_state(
    condition: str, where: tuple[bool, ...]
) -> None:
    assert tuple(holds(condition, each) for each in (SCOPE, FAILED, CANCELLED)) == where


def test_texts_are_filled() -> None:
    assert filled("a-${{ steps.verify.outputs.code }}-${{ inputs.comment == 'true' }}", SCOPE) == "a-0-true"


@pytest.mark.parametrize(
    "text", ["secrets.token", "inputs.a ==", "toJSON(inputs)", "1 + 1", "(inputs.a", "a b"]
)
def test_what_is_not_understood_is_no_false(text: str) -> None:
    with pytest.raises(NotUnderstood):
        evaluate(text, SCOPE)
