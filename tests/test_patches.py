"""Every change of another library or of the user's process stands in a `patches.py`, or in foreign.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("convert", "quantize", "source", "validate", "pipeline", "package", "src/pocketrec")
PLACES = {"patches.py", "foreign.py"}
# What changes something beyond its call; the methods do so to what they are called on.
REGISTRARS = {
    "custom_op", "register_fake", "register_kernel", "register_torch_op", "register_pass", "register_op",
    "register_pytree_node", "register_parallel_backend", "register_ray", "register_pickle_by_value",
    "unregister_pickle_by_value", "set_func_by_name", "filterwarnings", "simplefilter", "setLevel",
    "basicConfig", "manual_seed", "set_num_threads", "set_num_interop_threads", "set_default_dtype",
    "set_default_device", "set_fastpath_enabled", "set_rng_state", "set_state", "setstate",
    "use_deterministic_algorithms", "seed", "seterr", "setrecursionlimit", "chdir", "putenv",
}  # fmt: skip
MUTATORS = {"append", "extend", "insert", "pop", "remove", "clear", "update", "setdefault", "popitem", "add"}
# What is meant to stay, or belongs to no library that others use too.
ALLOWED = {
    "quantize/activations.py: custom_op": "operators of our own, which exported programs name",
    "quantize/activations.py: register_fake": "as above",
    "convert/example/flatten.py: register_pytree_node": "a class of our own",
    "pipeline/calibration.py: manual_seed": "a generator of our own",
    "convert/watch/conditioning.py: manual_seed": "a generator of our own",
    "src/pocketrec/workers.py: register_parallel_backend": "how joblib is told of Spark, asked for by name",
    "src/pocketrec/workers.py: register_ray": "how joblib is told of Ray, asked for by name",
    "src/pocketrec/workers.py: register_pickle_by_value": "undone where it is done",
    "src/pocketrec/workers.py: unregister_pickle_by_value": "undoes the above",
    "validate/runtimes/coreml_proto.py: sys.modules": "a package under a name of our own",
    "validate/runtimes/coreml_framework.py: simplefilter": "undone where it is done",
    "source/factory.py: sys.path": "a recipe's folder, while its factory runs",
    "source/factory.py: sys.modules": "the modules of a recipe, which pickling looks up by name",
}


Inner = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
Scope = ast.Module | Inner
Pair = tuple[ast.expr, ast.expr]


def changes(scope: Scope, outer: frozenset[str] = frozenset()) -> Iterator[str]:
    """What a module changes that is not its own: `owner.attribute`, or a registrar's name."""
    nodes, inner = _own_nodes(scope)
    foreign = foreign_names(nodes, outer - _parameters(scope))
    for node in nodes:
        for target in _targets(node):
            if isinstance(target, ast.Attribute | ast.Subscript) and _root(target) in foreign:
                yield _words(target)
        if isinstance(node, ast.Call):
            yield from _called(node, foreign)
    for each in inner:
        decorators = [] if isinstance(each, ast.Lambda) else each.decorator_list
        names = [_words(one).rpartition(".")[2] for one in decorators if not isinstance(one, ast.Call)]
        yield from (name for name in names if name in REGISTRARS)
        yield from changes(each, foreign)


def _own_nodes(scope: Scope) -> tuple[list[ast.AST], list[Inner]]:
    """The nodes of a scope, and the scopes in it, whose names are their own."""
    nodes: list[ast.AST] = []
    inner: list[Inner] = []
    waiting: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            inner.append(node)
            waiting += [] if isinstance(node, ast.Lambda) else node.decorator_list
        else:
            nodes.append(node)
            waiting += ast.iter_child_nodes(node)
    return nodes, inner


def _parameters(scope: Scope) -> frozenset[str]:
    if isinstance(scope, ast.Module | ast.ClassDef):
        return frozenset()
    return frozenset(each.arg for each in ast.walk(scope.args) if isinstance(each, ast.arg))


def foreign_names(nodes: list[ast.AST], outer: frozenset[str]) -> frozenset[str]:
    """Names that are bound to what is not ours: imported, or read from there without a call."""
    found = outer | {name for node in nodes for name in _imported(node)}
    pairs = [pair for node in nodes for pair in _bindings(node)]
    before: frozenset[str] = frozenset()
    while before != found:
        before = found
        found |= {
            name.id
            for target, value in pairs
            if _is_foreign(value, found)
            for name in _flat(target)
            if isinstance(name, ast.Name)
        }
    return found


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for each in node.names:
            if not each.name.startswith("pocketrec"):
                yield each.asname or each.name.partition(".")[0]
    elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("pocketrec"):
        yield from (each.asname or each.name for each in node.names)


def _bindings(node: ast.AST) -> list[Pair]:
    """Targets and what they are bound to."""
    if isinstance(node, ast.Assign):
        return [pair for target in node.targets for pair in _paired(target, node.value)]
    if isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        return [(node.target, node.value)]
    return [(node.target, node.iter)] if isinstance(node, ast.For | ast.comprehension) else []


def _paired(target: ast.expr, value: ast.expr) -> list[Pair]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=False))
    return [(target, value)]


def _flat(target: ast.expr) -> list[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        return [inner for each in target.elts for inner in _flat(each)]
    return [target.value] if isinstance(target, ast.Starred) else [target]


def _targets(node: ast.AST) -> list[ast.expr]:
    """What a statement assigns to or deletes."""
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return [node.target]
    targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else []
    return [inner for each in targets for inner in _flat(each)]


def _is_foreign(value: ast.expr, foreign: frozenset[str]) -> bool:
    """Whether a value is of another library: read from it, listed from it, or imported by name."""
    if isinstance(value, ast.Attribute | ast.Subscript):
        return _is_foreign(value.value, foreign)
    if isinstance(value, ast.Name):
        return value.id in foreign and value.id[0].isalpha()
    if isinstance(value, ast.Call):
        name = _words(value.func).rpartition(".")[2]
        if name in ("import_module", "__import__"):
            return True
        if name in ("list", "tuple", "sorted", "vars", "getattr", "enumerate", "zip"):
            return any(_is_foreign(each, foreign) for each in value.args)
        items = isinstance(value.func, ast.Attribute) and name in ("items", "values", "keys")
        return items and _is_foreign(value.func, foreign)
    if isinstance(value, ast.Dict):
        return any(each is not None and _is_foreign(each, foreign) for each in value.keys)
    return isinstance(value, ast.List | ast.Tuple) and any(_is_foreign(each, foreign) for each in value.elts)


def _called(node: ast.Call, foreign: frozenset[str]) -> Iterator[str]:
    name = _words(node.func).rpartition(".")[2]
    if name in REGISTRARS:
        yield name
    changes_first = name in ("setattr", "delattr") and bool(node.args)
    if changes_first and _is_foreign(node.args[0], foreign):
        yield _words(node.args[0])
    if isinstance(node.func, ast.Attribute) and name in MUTATORS and _is_part(node.func.value, foreign):
        yield _words(node.func.value)


def _is_part(value: ast.expr, foreign: frozenset[str]) -> bool:
    """Whether a value is an attribute of something foreign, or the names in it."""
    named = isinstance(value, ast.Call) and _words(value.func) == "vars"
    return (named or isinstance(value, ast.Attribute)) and _is_foreign(value, foreign)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _words(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_words(node.value)}.{node.attr}"
    if isinstance(node, ast.Subscript):
        return _words(node.value)
    if isinstance(node, ast.Call):
        return _words(node.func)
    return node.id if isinstance(node, ast.Name) else ""


@cache
def found_in(folders: tuple[str, ...]) -> dict[str, list[str]]:
    """What every module changes, by its path."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).glob("**/*.py"))]
    found = {path: list(changes(ast.parse(path.read_text(encoding="utf-8")))) for path in paths}
    return {path.relative_to(ROOT).as_posix(): each for path, each in found.items() if each}


def test_nothing_foreign_is_changed_outside_of_a_patches_module() -> None:
    wrong = [
        f"{path}: {what}"
        for path, each in found_in(FOLDERS).items()
        if Path(path).name not in PLACES
        for what in each
    ]
    assert [each for each in wrong if each not in ALLOWED] == []
    assert sorted(ALLOWED.keys() - wrong) == []


def test_the_patches_are_these() -> None:
    """Whoever adds a place where other libraries are changed sees it here."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).glob("**/*.py") if path.name in PLACES]
    assert sorted(path.relative_to(ROOT).as_posix() for path in paths) == [
        "convert/capture/patches.py",
        "convert/coreml/patches.py",
        "convert/onnx/patches.py",
        "convert/watch/patches.py",
        "src/pocketrec/foreign.py",
        "validate/coreml_program/patches.py",
    ]


def test_every_patches_module_says_which_releases_it_was_written_for() -> None:
    found = [path for path in (ROOT / "src" / "pocketrec").iterdir() if path.is_symlink()]
    for path in (each for folder in found for each in folder.resolve().glob("**/patches.py")):
        assert "Releases(library=" in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import torch\ntorch.nn.Linear.forward = f", "torch.nn.Linear.forward"),
        ("from torch import nn as n\ndef f():\n    n.Linear.forward = g", "n.Linear.forward"),
        ("def f():\n    from a.b import helper\n    helper.x, y = 1, 2", "helper.x"),
        ("from importlib import import_module\nm = import_module('a')\nm.print = None", "m.print"),
        ("from importlib import import_module\nfor r in list(import_module('a').rules):\n    r.c = 1", "r.c"),
        ("from a import one\nRIGHT = {one: 1}\nfor k, v in RIGHT.items():\n    k.infer = v", "k.infer"),
        ("import torch\nsetattr(torch.nn, 'Linear', f)", "torch.nn"),
        ("import os\nos.environ['A'] = '1'", "os.environ"),
        ("import sys\nsys.path.insert(0, 'a')", "sys.path"),
        ("import tqdm\ndel tqdm.std.bar", "tqdm.std.bar"),
        ("import torch\nvars(torch).pop('x')", "vars"),
        ("from a import R\nR.names.update(x=1)", "R.names"),
        ("@register_pass(namespace='x')\nclass A: ...", "register_pass"),
        ("@round.register_fake\ndef f(): ...", "register_fake"),
        ("import torch\ntorch.manual_seed(1)", "manual_seed"),
        ("import warnings\nwarnings.simplefilter('ignore')", "simplefilter"),
        ("import logging\nlogging.getLogger('a').setLevel(1)", "setLevel"),
    ],
)
def test_a_change_is_found(text: str, what: str) -> None:
    assert what in list(changes(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "import onnx\nmodel = onnx.load('a')\nmodel.name = 'b'",
        "from pocketrec.report import text\ntext.size = 1",
        "class A:\n    def f(self):\n        self.x = 1",
        "import numpy as np\nvalues = np.zeros(3)\nvalues[0] = 1",
    ],
)
def test_what_is_ones_own_may_be_changed(text: str) -> None:
    assert list(changes(ast.parse(text))) == []
