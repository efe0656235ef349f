"""A TorchScript module, whose inside nothing sees, as a module of plain ATen calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from pocketrec.convert.rewrite import copy_sharing
from pocketrec.convert.watch.patches import quiet_converters
from pocketrec.errors import Refused
from pocketrec.source.saved import as_module


def scripted_graph(module: torch.jit.ScriptModule, args: tuple[Any, ...]) -> nn.Module:
    """A module of plain ATen calls that computes what a TorchScript module does for these arguments.

    What follows the modes of PyTorch, as a survey does, sees nothing inside of TorchScript.

    Raises:
        Refused: TorchScript holds something that has no ATen counterpart.
    """
    from torch._export.converter import TS2EPConverter

    try:
        with quiet_converters():
            converter: Any = TS2EPConverter(module, args)
            return as_module(converter.convert())
    except Exception as error:
        raise Refused(
            op="torch.jit",
            where="",
            reason=f"the TorchScript module has no exported form: {(str(error).splitlines() or [''])[0]}",
            remedy="convert the nn.Module that it was made from",
        ) from error


def with_graphs(module: nn.Module, run: Callable[[], object]) -> nn.Module:
    """A copy of `module` whose TorchScript parts are graphs; the module itself where it has none.

    Args:
        module: shares its tensors with the copy.
        run: calls `module` once, to see what its parts are called with.
    """
    scripts = _outermost_scripts(module)
    if not scripts:
        return module
    seen = _arguments_of(scripts, run)
    result = copy_sharing(module)
    graphs = {script: scripted_graph(script, args) for script, args in seen.items()}
    for path, script in scripts.items():
        if script in graphs:
            parent, _, name = path.rpartition(".")
            setattr(result.get_submodule(parent), name, graphs[script])
    return result


def _outermost_scripts(module: nn.Module) -> dict[str, torch.jit.ScriptModule]:
    found: dict[str, torch.jit.ScriptModule] = {}
    for path, each in module.named_modules(remove_duplicate=False):
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if isinstance(each, torch.jit.ScriptModule) and not inside:
            found[path] = each
    return found


def _arguments_of(
    scripts: Mapping[str, torch.jit.ScriptModule], run: Callable[[], object]
) -> dict[torch.jit.ScriptModule, tuple[Any, ...]]:
    """What each part is called with first, in one call of the whole; without those never called."""
    seen: dict[torch.jit.ScriptModule, tuple[Any, ...]] = {}

    def note(script: Any, args: tuple[Any, ...]) -> None:
        seen.setdefault(script, args)

    hooks = [each.register_forward_pre_hook(note) for each in set(scripts.values())]
    try:
        with torch.no_grad():
            run()
    except Exception:
        return seen  # the module does not run on its example, which is told elsewhere
    finally:
        for each in hooks:
            each.remove()
    return seen
