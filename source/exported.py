"""A .pt2 file from outside: checked whole before PyTorch reads it, which would run code that it holds.

`torch.export.load` evaluates expressions as Python, resolves operators by attribute names from `torch` on,
imports modules that trees of arguments name, unpickles objects and loads compiled libraries. So the archive
may hold only what is listed here, its operators are functions of tensors, and its expressions follow a
grammar of integers and symbols. Written for the archive that PyTorch 2.9 to 2.13 writes.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pocketrec.errors import UsageError
from pocketrec.outside import parse_json


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MEMBERS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.format_version|\.storage_alignment"
    r"|\.data/(version|serialization_id)"
    r"|models/[\w.-]+\.json|data/sample_inputs/[\w.-]+\.pt|extra/[\w./-]+"
    r"|data/weights/([\w.-]+_weights_config\.json|weight_\d+)"
    r"|data/constants/([\w.-]+_constants_config\.json|tensor_\d+)",
    re.ASCII,
)
_LARGEST_JSON = 1 << 28
_LONGEST = 4000  # characters of an expression
_DECIMAL = re.compile(r"-?\d{1,40}(\.\d{0,40})?(e[-+]?\d{1,3})?", re.ASCII)
_SYMBOL = re.compile(r"[a-z]{1,4}\d{1,6}|True|False|oo|int_oo", re.ASCII)
_FUNCTIONS = _words(
    "FloorDiv ModularIndexing Where PythonMod Mod CleanDiv CeilToInt FloorToInt CeilDiv RShift FloatTrueDiv "
    "IntTrueDiv IsNonOverlappingAndDenseIndicator TruncToFloat TruncToInt RoundToInt RoundDecimal ToFloat "
    "Identity Add Mul Integer Rational Max Min Abs floor ceiling And Or Not Eq Ne Lt Le Gt Ge Equality "
    "Unequality StrictLessThan StrictGreaterThan LessThan GreaterThan"
)
_POWERS = frozenset(("Pow", "PowByNatural", "FloatPow", "LShift"))  # small expressions of huge numbers
_MOST_POWERS, _LARGEST_POWER = 2, 64
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Load, ast.USub, ast.UAdd, ast.Invert),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)
_NAMESPACES = ("aten", "prims", "prim", "quantized", "quantized_decomposed", "fbgemm", "torchvision")
_HIGHER = _words(
    "cond while_loop scan associative_scan map map_impl wrap_with_set_grad_enabled wrap_with_autocast"
)
# Texts that operators take. What is missing is the name of a file, as aten.from_file and aten.save have.
_TEXTS = _words(
    "rounding_mode approximate side equation reduce padding padding_mode mode pad_mode ord driver UPLO "
    "indexing norm fft_norm interpolation layout ordering message assert_msg"
)
_PLAIN = re.compile(
    r"_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt|pow|log|exp)"
    r"|torch\.(sym_int|sym_float|sym_max|sym_min|sym_not|sym_ite|sym_sum|_sym_sqrt|_check|_assert)",
    re.ASCII,
)
_TREES = frozenset(("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"))


def check_exported(file: IO[bytes], path: Path) -> None:
    """Checks that a .pt2 file holds tensors, operators on tensors and expressions of sizes, and nothing else.

    Raises:
        UsageError: it holds something else; names the member, and what it is.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = _members(archive, path)
            for name, entry in names.items():
                if name.endswith(".json"):
                    value = _json(archive, entry, f"{path}: {name}")
                    _Program(f"{path}: {name}").check(value)
                    _payloads(value, name, names, path)
    except (zipfile.BadZipFile, NotImplementedError, RecursionError, EOFError) as error:
        raise UsageError(f"{path}: no archive of an exported program ({error}); save it again") from None


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by their names below its one folder."""
    found: dict[str, zipfile.ZipInfo] = {}
    roots = {each.filename.partition("/")[0] for each in archive.infolist()}
    for each in archive.infolist():
        name = each.filename.partition("/")[2]
        if len(roots) != 1 or name in found or not _MEMBERS.fullmatch(name):
            raise _refused(
                f"{path}: {each.filename[:80]!r}", "no part of an exported program of plain tensors"
            )
        if each.compress_type != zipfile.ZIP_STORED or each.flag_bits & 1:
            raise _refused(f"{path}: {name}", "compressed or encrypted, which PyTorch never writes")
        found[name] = each
    if not any(name.startswith("models/") for name in found):
        raise _refused(str(path), "no exported program, or one of a PyTorch before 2.9")
    return found


def _json(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str) -> Any:
    if entry.file_size > _LARGEST_JSON:
        raise _refused(where, f"{entry.file_size} bytes; expected at most {_LARGEST_JSON}")
    return parse_json(archive.read(entry), name=where, error=UsageError)


def _payloads(value: Any, name: str, names: Mapping[str, zipfile.ZipInfo], path: Path) -> None:
    """Checks what a table of weights or constants says of each: a file of plain bytes, as long as it says."""
    if name.startswith("models/"):
        return
    table = value.get("config") if isinstance(value, dict) else None
    for tensor, each in (table or {}).items():
        file = f"{name.rpartition('/')[0]}/{each.get('path_name')}" if isinstance(each, dict) else ""
        if file not in names or each.get("use_pickle") or not each.get("tensor_meta"):
            raise _refused(f"{path}: {tensor}", "a pickled or special tensor; only plain ones are read")
        sizes = [size.get("as_int") for size in each["tensor_meta"].get("sizes", ())]
        if not all(isinstance(size, int) and 0 <= size < 1 << 48 for size in sizes):
            raise _refused(f"{path}: {tensor}", f"of sizes {str(sizes)[:80]}")
        if names[file].file_size == 0 and 0 not in sizes:
            raise _refused(f"{path}: {tensor}", f"{str(sizes)[:80]} numbers in a file of 0 bytes")


class _Program:
    """The JSON of a program, walked; `where` names it."""

    def __init__(self, where: str) -> None:
        self._where = where

    def check(self, value: Any) -> None:
        """Checks every expression, operator, symbol and tree of arguments in it."""
        for key, each in _entries(value):
            if key == "expr_str":
                check_expression(each, self._where)
            elif key in ("target", "as_operator"):
                self._operator(each)
            elif key in ("in_spec", "out_spec"):
                self._tree(each)
            elif key == "range_constraints":
                for symbol in each:
                    if not _SYMBOL.fullmatch(symbol):
                        raise _refused(self._where, f"a symbol called {symbol[:80]!r}")

    def _operator(self, name: Any) -> None:
        if name is None or (isinstance(name, str) and (_PLAIN.fullmatch(name) or _is_tensor_op(name))):
            return
        raise _refused(self._where, f"the operator {str(name)[:120]!r}, which is no function of tensors")

    def _tree(self, text: Any) -> None:
        """Trees of arguments are JSON in a string; a type's context may name modules to import."""
        if text is None or text == "":
            return
        for key, each in _entries(parse_json(str(text), name=self._where, error=UsageError)):
            if key == "type" and each is not None and each not in _TREES:
                raise _refused(self._where, f"arguments of type {str(each)[:80]!r}")
            if key == "context" and isinstance(each, str) and '"__enum__"' in json.dumps(json.loads(each)):
                raise _refused(self._where, "arguments that name an enumeration")


def check_expression(text: Any, where: str) -> None:
    """Checks that an expression of sizes is integers, symbols and known functions of them.

    Raises:
        UsageError: it is something else, which evaluating it might run.
    """
    try:
        if not isinstance(text, str) or len(text) > _LONGEST:
            raise ValueError
        tree = ast.parse(text.strip(), mode="eval").body
        good = _is_size(tree) and sum(map(_is_power, ast.walk(tree))) <= _MOST_POWERS
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        good = False
    if not good:
        raise _refused(where, f"the expression {str(text)[:120]!r}, which is none of sizes")


def _is_size(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return bool(_SYMBOL.fullmatch(node.id))
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and abs(node.value) < 1 << 63
    if isinstance(node, ast.Call):
        return _is_call(node)
    return isinstance(node, _NODES) and all(map(_is_size, ast.iter_child_nodes(node)))


def _is_call(node: ast.Call) -> bool:
    """Whether it is a known function of sizes, or `Symbol('s0', integer=True)`, or `Float('0.5')`."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in ("Symbol", "Float"):
        return _is_text(node, _SYMBOL if name == "Symbol" else _DECIMAL)
    if node.keywords or (name not in _FUNCTIONS and name not in _POWERS):
        return False
    return all(map(_is_size, node.args)) and (name in _FUNCTIONS or _is_small(node.args[-1]))


def _is_text(node: ast.Call, pattern: re.Pattern[str]) -> bool:
    values = [each.value for each in node.keywords if each.arg is not None]
    text = node.args[0].value if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
    plain = all(isinstance(each, ast.Constant) and type(each.value) in (bool, int) for each in values)
    return plain and len(values) == len(node.keywords) and bool(pattern.fullmatch(str(text)))


def _is_small(node: ast.AST) -> bool:
    """Whether an exponent is a number that is written out, as `3` or `Integer(-1)`."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _is_small(node.operand)
    if isinstance(node, ast.Call) and _is_call(node):
        return isinstance(node.func, ast.Name) and node.func.id == "Integer" and _is_small(node.args[0])
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value <= _LARGEST_POWER


def _is_power(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in _POWERS


def _is_tensor_op(name: str) -> bool:
    """Whether `torch.ops.<namespace>.<name>.<overload>` is an operator that takes no name of a file."""
    import torch

    parts = name.split(".")
    if parts[:3] == ["torch", "ops", "higher_order"]:
        return len(parts) == 4 and parts[3] in _HIGHER
    if len(parts) != 5 or parts[:2] != ["torch", "ops"] or parts[2] not in _NAMESPACES:
        return False
    packet = getattr(getattr(torch.ops, parts[2]), parts[3], None)
    overload = getattr(packet, parts[4], None) if isinstance(packet, torch._ops.OpOverloadPacket) else None
    if not isinstance(overload, torch._ops.OpOverload):
        return False
    arguments = overload._schema.arguments
    return all("str" not in str(each.type) or each.name in _TEXTS for each in arguments)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys and values of all tables within a value."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key, each
            yield from _entries(each)
    elif isinstance(value, list):
        for each in value:
            yield from _entries(each)


def _refused(where: str, what: str) -> UsageError:
    return UsageError(
        f"{where}: {what}; such a file may run code when it is read, so convert the module that it was made "
        "from, by its factory"
    )
