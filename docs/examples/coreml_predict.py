"""coremltools' own `predict`, on any system: a multifunction model and a model with a state."""

from __future__ import annotations

import tempfile
from pathlib import Path

import coremltools as ct
import numpy as np
import torch

from pocketrec.validate.coreml_program import install


class Tower(torch.nn.Module):
    """A shared table, as a user tower sums it and as an item tower reads it."""

    def __init__(self, sums: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(100, 8)
        self.sums = sums

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors `[1, 8]` of the ids `[1, 4]`."""
        rows: torch.Tensor = self.table(ids)
        return rows.sum(1) if self.sums else rows[:, 0]


class Accumulator(torch.nn.Module):
    """Adds what it is given to a state that outlives the call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Twice the new total."""
        self.total += x
        return self.total * 2


def save_multifunction(folder: Path) -> Path:
    """The path of a package with the functions `user` and `item`, which share their table."""
    description = ct.utils.MultiFunctionDescriptor()
    for name in ("user", "item"):
        traced = torch.jit.trace(Tower(name == "user").eval(), torch.zeros(1, 4, dtype=torch.int32))
        model = ct.convert(
            traced,
            inputs=[ct.TensorType(name="ids", shape=(1, 4), dtype=np.int32)],
            outputs=[ct.TensorType(name="vector")],
            minimum_deployment_target=ct.target.iOS18,
            skip_model_load=True,
        )
        model.save(str(folder / f"{name}.mlpackage"))
        description.add_function(
            str(folder / f"{name}.mlpackage"), src_function_name="main", target_function_name=name
        )
    description.default_function_name = "user"
    ct.utils.save_multifunction(description, str(folder / "towers.mlpackage"))
    return folder / "towers.mlpackage"


def convert_stateful() -> ct.models.MLModel:
    """A model whose state `total` is float16, as Core ML wants states."""
    return ct.convert(
        torch.jit.trace(Accumulator().eval(), torch.zeros(1)),
        inputs=[ct.TensorType(name="x", shape=(1,))],
        outputs=[ct.TensorType(name="y")],
        states=[ct.StateType(wrapped_type=ct.TensorType(shape=(1,), dtype=np.float16), name="total")],
        minimum_deployment_target=ct.target.iOS18,
    )


def main() -> None:
    """Prints what the two models predict."""
    install()
    with tempfile.TemporaryDirectory() as folder:
        towers = save_multifunction(Path(folder))
        ids = {"ids": np.array([[1, 2, 3, 4]], np.int32)}
        for name in ("user", "item"):
            model = ct.models.MLModel(str(towers), function_name=name)
            print(name, model.predict(ids)["vector"].shape)

    model = convert_stateful()
    state = model.make_state()
    print(model.predict({"x": np.array([2.0])}, state=state)["y"])  # (0 + 2) * 2
    print(model.predict({"x": np.array([5.0])}, state=state)["y"])  # (2 + 5) * 2
    print(model.predict({"x": np.array([5.0])}, state=model.make_state())["y"])  # (0 + 5) * 2


if __name__ == "__main__":
    main()
