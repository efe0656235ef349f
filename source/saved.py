"""Modules from files: TorchScript and exported programs, of which only tensors and graphs are read.

A .pt2 file is checked whole before PyTorch reads it, see `exported`. TorchScript has a language of its own,
which PyTorch runs without Python; its pickles are read by PyTorch's own reader of tensors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pocketrec.errors import UsageError
from pocketrec.foreign import environment, silent_log
from pocketrec.outside import open_file, require_file
from pocketrec.source.exported import check_exported
from pocketrec.source.weight_names import unnested

SUFFIXES = (".pt", ".pth", ".ts", ".torchscript", ".pt2")


def load_saved(path: Path) -> nn.Module:
    """The module in a TorchScript file or in a .pt2 exported program, in eval mode on the CPU.

    Raises:
        UsageError: the file is neither, or holds objects that are no tensors.
    """
    remedy = "pass a TorchScript file, a .pt2 file or MODULE:FUNCTION"
    try:
        if path.suffix == ".pt2":
            with (
                open_file(path, error=UsageError, remedy=remedy) as file,
                environment(TORCH_FORCE_WEIGHTS_ONLY_LOAD="1"),
                silent_log("torch.export"),
            ):
                check_exported(file, path)
                file.seek(0)
                return as_module(torch.export.load(file))
        load: Any = torch.jit.load
        given = require_file(path, error=UsageError, remedy=remedy)
        module: nn.Module = load(str(given), map_location="cpu")
        return module.eval()
    except UsageError:
        raise
    except Exception as error:
        if _is_state_dict(path):
            raise UsageError(
                f"{path}: no TorchScript file of plain tensors: it holds a state dict; pass the factory of "
                "its module, and this file as --weights"
            ) from None
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        kind = "exported program" if path.suffix == ".pt2" else "TorchScript file"
        raise UsageError(
            f"{path}: no {kind} of plain tensors ({reason}); a state dict needs the factory of its module"
        ) from error


def _is_state_dict(path: Path) -> bool:
    """Whether the file is a state dict, or a dict of a trainer's around one."""
    try:
        given = require_file(path, error=UsageError)
        state, _ = unnested(torch.load(given, map_location="meta", weights_only=True))
    except Exception:  # whatever it is, it is none
        return False
    return isinstance(state, dict) and any(isinstance(each, torch.Tensor) for each in state.values())


def as_module(model: nn.Module | torch.export.ExportedProgram) -> nn.Module:
    """The module; of an exported program the one in it, which was exported in eval mode."""
    if isinstance(model, nn.Module):
        return model
    module = model.module(check_guards=False)
    for each in module.modules():
        each.training = False
    return module
