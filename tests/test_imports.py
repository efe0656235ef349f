"""Imports point one way, and in no circle: DESIGN's arrows, walked."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "pocketrec"
STAGES = {"convert", "quantize", "validate", "package", "source"}
TOP = {"cli", "pipeline", "__main__"}  # these know all the stages
ALLOWED = {
    "convert": {"convert", "quantize", "source"},
    "quantize": {"quantize"},
    "source": {"source", "quantize"},
    "validate": {"validate"},
    "package": {"package"},
    "model_zoo": {"model_zoo", "package"},  # texts are cut as apps cut them
}


def modules(root: Path) -> dict[str, ast.Module]:
    found = {}
    for path in sorted(root.glob("**/*.py")) + [p for link in root.iterdir() for p in link.rglob("*.py")]:
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(tree: ast.AST, known: Mapping[str, object], *, at_load: bool) -> Iterator[str]:
    """Names of our modules that `tree` imports; `at_load` leaves out what runs later or never."""
    for node in ast.iter_child_nodes(tree):
        if at_load and (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _type_checking(node)):
            continue
        if isinstance(node, ast.Import):
            yield from (_own(alias.name) for alias in node.names if alias.name.startswith("pocketrec"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pocketrec"):
            for alias in node.names:
                deeper = _own(f"{node.module}.{alias.name}")
                yield deeper if deeper in known else _own(str(node.module))
        yield from imports(node, known, at_load=at_load)


def _own(name: str) -> str:
    return name.removeprefix("pocketrec").removeprefix(".")


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def upward(trees: Mapping[str, ast.Module]) -> list[str]:
    wrong = []
    for name, tree in trees.items():
        folder = name.partition(".")[0]
        if folder in TOP or name == "":
            continue
        allowed = ALLOWED.get(folder, set())
        for target in imports(tree, trees, at_load=False):
            other = target.partition(".")[0]
            if other in (STAGES | TOP | {"model_zoo"}) - allowed:
                wrong.append(f"{name} imports {target}")
    return wrong


def circles(trees: Mapping[str, ast.Module]) -> list[str]:
    graph = {name: sorted(set(imports(tree, trees, at_load=True)) - {""}) for name, tree in trees.items()}
    found: list[str] = []
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            found.append(" -> ".join((*trail[trail.index(name) :], name)))
            return
        if name in done:
            return
        for other in graph.get(name, []):
            visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())
    return found


def test_no_module_imports_upward() -> None:
    trees = modules(ROOT)
    known = {"cli.main", "package.bundle", "validate.runtimes.runtime", "convert.capture.capture"}
    assert known <= trees.keys()
    assert upward(trees) == []


def across(trees: Mapping[str, ast.Module]) -> list[str]:
    """Imports of one target's lowering by the other's."""
    rooms = ("convert.onnx", "convert.coreml")
    return [
        f"{name} imports {target}"
        for name, tree in trees.items()
        for one, other in (rooms, rooms[::-1])
        if name.startswith(one)
        for target in imports(tree, trees, at_load=False)
        if target.startswith(other)
    ]


def test_neither_target_imports_the_other() -> None:
    assert across(modules(ROOT)) == []


def test_a_target_that_imports_the_other_is_found() -> None:
    wrong = {"convert.onnx.a": ast.parse("def f():\n    from pocketrec.convert.coreml.b import c")}
    assert across(wrong) == ["convert.onnx.a imports convert.coreml.b"]


def test_few_modules_lie_outside_of_a_room() -> None:
    """At most 4 in convert/ itself, and 18 in the root package."""
    assert len(list((ROOT / "convert").glob("*.py"))) <= 4
    assert len(list(ROOT.glob("*.py"))) <= 18


def test_no_circle() -> None:
    assert circles(modules(ROOT)) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("package.a", "from pocketrec.validate import runtime", "package.a imports validate"),
        ("recipe", "def f():\n    import pocketrec.convert", "recipe imports convert"),
        ("quantize.a", "from pocketrec.convert.b import c", "quantize.a imports convert.b"),
        ("validate.a", "import pocketrec.pipeline", "validate.a imports pipeline"),
    ],
)
def test_an_upward_arrow_is_found(name: str, text: str, message: str) -> None:
    assert upward({name: ast.parse(text)}) == [message]


def test_a_circle_is_found() -> None:
    trees = {
        "package.a": ast.parse("from pocketrec.package import b"),
        "package.b": ast.parse("from pocketrec.package.a import x"),
    }
    assert circles(trees) == ["package.a -> package.b -> package.a"]


def test_a_later_import_makes_no_circle() -> None:
    trees = {
        "package.a": ast.parse("from pocketrec.package import b"),
        "package.b": ast.parse("def f():\n    from pocketrec.package.a import x"),
    }
    assert circles(trees) == []
