"""The recipe: everything that a build depends on, read from recipe.toml by one strict loader.

    recipe.toml ── parse_recipe ──▶ Recipe (frozen) ── resolved into the bundle, with its hash

Each module is one table of it. Files that a recipe names are relative to the recipe's folder.
"""

from pocketrec.recipe.compress import Compress
from pocketrec.recipe.evaluate import Evaluate, check_evaluate, of_evaluation
from pocketrec.recipe.gates import GATE_RANGES, Gates, Limit
from pocketrec.recipe.held import gates_by_name
from pocketrec.recipe.latency import Latency
from pocketrec.recipe.source import STREAM_MB, ModelSource
from pocketrec.recipe.stress import Stress
from pocketrec.recipe.target import ComputeUnits, DeploymentTarget, Precision, Provider, Target
from pocketrec.recipe.versus import VERSUS_RANGES, Versus
from pocketrec.recipe.whole import Recipe, check_type, parse_recipe

__all__ = [
    "GATE_RANGES",
    "STREAM_MB",
    "VERSUS_RANGES",
    "Compress",
    "ComputeUnits",
    "DeploymentTarget",
    "Evaluate",
    "Gates",
    "Latency",
    "Limit",
    "ModelSource",
    "Precision",
    "Provider",
    "Recipe",
    "Stress",
    "Target",
    "Versus",
    "check_evaluate",
    "check_type",
    "gates_by_name",
    "of_evaluation",
    "parse_recipe",
]
