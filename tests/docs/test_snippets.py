"""What documents show can be so: calls that commands take, keys of recipes, Python with its imports."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.calls import calls, taken
from tests.docs.links import ROOT, readmes
from tests.docs.snippets import faults

DOCUMENTS = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *readmes(),
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_shows_can_be_so(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("```console\n$ pocketrec lint --loud a\n```", "no command takes: pocketrec lint --loud a"),
        ("text\n\n    pocketrec lint\n", "no command takes: pocketrec lint"),
        ("```python\nfrom pocketrec.evaluation import Ranking\n```", "pocketrec.evaluation has no Ranking"),
        ("```py\nimport pocketrec.evaluations\n```", "No module named 'pocketrec.evaluations'"),
        ("```python\nprint(\n```", "SyntaxError"),
        ("```toml\n[latency]\nwarm = 1\n```", "no recipe has latency.warm"),
        ("```toml\n[[contract.functions.main.inputs]]\nkinds = 1\n```", "contract.functions.inputs.kinds"),
        ("```toml\nschema = 1\nsalt = 'a'\nvariants = { a = { size = 1 } }\n```", "size is not a known key"),
        ("```json\n{,}\n```", "JSONDecodeError"),
        ("```yaml\na: [\n```", "ParserError"),
        ("```cobol\nSTOP RUN.\n```", "nothing knows the language 'cobol'"),
    ],
)
def test_what_cannot_be_so_is_found(block: str, said: str) -> None:
    (found,) = faults(f"# Page\n\n{block}\n")
    assert said in found


def test_calls_are_found_where_code_stands() -> None:
    page = (
        "- prose that\n    pocketrec is in\n\n"
        "    pocketrec lint a.onnx [--json]  # as\n    pocketrec doctor\n\n"
        "```console\n$ pocketrec run a.onnx \\\n    --inputs b.npz --out c.npz | head\n```\n"
        "```text\npocketrec lint [OPTIONS] PATH\n```\n"
    )
    found = calls(page)
    assert sorted(each.split()[1] for each in found) == ["doctor", "lint", "run"]
    assert all(taken(each) for each in found)
