"""A TorchScript module, whose inside nothing sees, as a module of plain ATen calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

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
