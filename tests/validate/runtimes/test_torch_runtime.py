"""A PyTorch module as a runtime: it must take and return what the contract names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract
from pocketrec.errors import ContractError, ExecutionError, InputError


def test_a_module_is_a_runtime_and_must_return_what_the_contract_names(contract: Contract) -> None:
    torch = pytest.importorskip("torch")
    from pocketrec.validate.runtimes.torch_runtime import TorchRuntime

    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, history: Any, age: Any) -> Any:
            scores = age.expand(-1, 40) * history.sum(1, keepdim=True)
            return scores, scores.topk(3)[1]

    class Short(Module):
        def forward(self, history: Any, age: Any) -> Any:
            return super().forward(history, age)[:1]

    class Small(Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(1, 1)

        def forward(self, history: Any, age: Any) -> Any:
            return super().forward(self.table(history).squeeze(-1), age)

    signature = contract.functions["main"]
    inputs = {"history": np.ones((2, 6), np.int32), "age": np.ones((2, 1), np.float32)}
    with pytest.raises(ContractError, match=r"function main: the module has no row for an id .* sizes"):
        TorchRuntime(Small(), signature).run(inputs)
    found = TorchRuntime(Module(), signature).run(inputs)
    assert {name: str(each.dtype) for name, each in found.items()} == {
        "scores": "float32",
        "best_ids": "int32",
    }
    with pytest.raises(ExecutionError, match="returned 1 tensors; the contract names 2"):
        TorchRuntime(Short(), signature).run(inputs)
    with pytest.raises(InputError, match="'history' has shape"):
        TorchRuntime(Module(), signature, contract=contract).run(
            inputs | {"history": np.ones((2, 7), np.int32)}
        )
