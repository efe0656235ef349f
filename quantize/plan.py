"""The plan: which tensor is compressed how, in a form that can be written down and replayed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from pocketrec.errors import PlanError
from pocketrec.quantize.schemes import Scheme, scheme_from_table, scheme_to_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Tensor names, or patterns with `*`, to schemes. The first pattern that fits a tensor decides."""

    tensors: Mapping[str, Scheme] = field(default_factory=dict)

    def schemes_for(self, names: Iterable[str]) -> dict[str, Scheme]:
        """The scheme of each of `names` that some pattern fits, in their order.

        Raises:
            PlanError: a pattern fits none of them; nothing is skipped in silence.
        """
        names = list(names)
        found: dict[str, Scheme] = {}
        for name in names:
            pattern = next((each for each in self.tensors if fnmatchcase(name, each)), None)
            if pattern is not None:
                found[name] = self.tensors[pattern]
        for pattern in self.tensors:
            if not any(fnmatchcase(name, pattern) for name in names):
                known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
                raise PlanError(
                    f"compress.tensors: {pattern!r} fits no tensor; the module has {known or 'none'}"
                )
        return found

    def without(self, names: Collection[str]) -> Plan:
        """The plan without the tensors of those names."""
        return Plan(tensors={name: each for name, each in self.tensors.items() if name not in names})

    @property
    def distilled(self) -> Plan:
        """The plan whose codes are tuned after they were found, wherever a scheme has levels to tune."""
        return Plan(tensors={name: _tuned(each) for name, each in self.tensors.items()})

    @property
    def needs_gradients(self) -> bool:
        """Whether some scheme rounds with error feedback, or begins with it; `Usage.moment` steers that."""
        return any(getattr(each, "rounding", "nearest") != "nearest" for each in self.tensors.values())

    @property
    def distils(self) -> bool:
        """Whether codes and levels of some tensor are tuned together."""
        return any(is_distilled(each) for each in self.tensors.values())

    def to_table(self) -> dict[str, dict[str, Any]]:
        """The plan as the table `compress.tensors` of a recipe; `plan_from_table` gives it back."""
        return {name: scheme_to_table(scheme) for name, scheme in self.tensors.items()}

    def to_toml(self) -> str:
        """The plan as TOML, to be put into a recipe."""
        lines = ["[compress.tensors]"]
        for name, table in self.to_table().items():
            pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
            lines.append(f"{json.dumps(name)} = {{ {pairs} }}")
        return "\n".join(lines) + "\n"


def is_distilled(scheme: Scheme) -> bool:
    """Whether the codes of a scheme are tuned after they were found."""
    return getattr(scheme, "rounding", "nearest") == "distilled"


def _tuned(scheme: Scheme) -> Scheme:
    fitting: Any = scheme  # a protocol does not say that it is a dataclass
    return replace(fitting, rounding="distilled") if hasattr(scheme, "rounding") else scheme


def plan_from_table(table: Mapping[str, Mapping[str, Any]], *, source: str = "recipe") -> Plan:
    """The plan of a table `compress.tensors`; raises RecipeError naming the tensor."""
    return Plan(
        tensors={
            name: scheme_from_table(each, source=source, key=f"compress.tensors.{name!r}")
            for name, each in table.items()
        }
    )
