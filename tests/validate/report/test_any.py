"""Whatever evidence holds, of a stranger's bundle too, is shown: no number ends a report with an error."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints
from xml.etree import ElementTree

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pocketrec.report import Evidence
from pocketrec.report.reading import FORMAT, read_evidence
from pocketrec.validate.report.html import to_html
from pocketrec.validate.report.junit import to_junit
from pocketrec.validate.report.short import to_markdown

NUMBERS = [0.0, -1.0, math.nan, math.inf, -math.inf, 5e-324, 1.7e308, -1.7e308, 0.5, 1.0]
WORDS = ["", "ndcg@10", "auc", "main", "reference", "compressed", "onnx", "<script>", "\x00"]
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    float: st.sampled_from(NUMBERS) | st.floats(0, 10),
    int: st.integers(-3, 3) | st.integers(0, 10**12),
    str: st.sampled_from(WORDS),
    bool: st.booleans(),
    Any: st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Whatever a field of evidence may hold."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if hint is type(None):
        return st.none()
    if hasattr(hint, "__dataclass_fields__"):
        hints = get_type_hints(hint)
        known = {each.name: values(hints[each.name]) for each in fields(hint)}
        known |= {"schema": st.just(FORMAT)} if "schema" in known else {}
        return st.builds(hint, **known)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    if getattr(origin, "__name__", "") == "Mapping":
        return st.dictionaries(PLAIN[str], values(arguments[1]), max_size=2)
    return (
        st.sampled_from(arguments) if str(origin) == "typing.Literal" else st.one_of(*map(values, arguments))
    )


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    database=None,
)
@given(values(Evidence))
def test_any_evidence_has_every_report(evidence: Evidence) -> None:
    assert to_html(evidence).count("<script>") == 1
    assert to_markdown(evidence)
    ElementTree.fromstring(to_junit(evidence))
    written = evidence.to_json()
    assert read_evidence(json.loads(written), source="x").to_json() == written
