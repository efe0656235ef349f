"""The recipe: everything that a build depends on, read from recipe.toml by one strict loader.

    recipe.toml ── parse_recipe ──▶ Recipe (frozen) ── resolved into the bundle, with its hash

Files that a recipe names are relative to the recipe's folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pocketrec.about import About
from pocketrec.contract import Signature
from pocketrec.errors import RecipeError, UsageError
from pocketrec.outside import read_toml
from pocketrec.schema import Range, check_ranges, from_table
from pocketrec.stated import (
    METRICS,
    PLACED,
    ChangeLimits,
    ContractSource,
    Metric,
    Slice,
    check_limits,
    check_measures,
    check_slices,
)

Precision = Literal["float32", "float16"]
Limit = float | Mapping[str, float]  # one for all targets, or a target's by its name
DeploymentTarget = Literal["iOS15", "iOS16", "iOS17", "iOS18"]
ComputeUnits = Literal["all", "cpu_only", "cpu_and_gpu", "cpu_and_neural_engine"]

_FLOAT_KINDS = ("dense", "state")
STREAM_MB = 1000.0  # a table of so many 10^6 bytes is not held where nothing else is stated
_MOST_THREADS = 256
_MOST_RUNS = 1_000_000


# What a gate can be set to. Beyond it, an artifact that gives zeros would pass.
GATE_RANGES: Mapping[str, Range] = {
    "max_abs_error": Range(0, 1),
    "min_sqnr_db": Range(10, 200),
    "max_ndcg_drop": Range(0, 0.1),
    "min_top_k_overlap": Range(0.5, 1),
    "max_auc_drop": Range(0, 0.1),
    "max_log_loss_rise": Range(0, 0.1),
    "tie_tolerance": Range(0, 0.05),
    "max_size_mb": Range(0, 1e6, above=True),
    "max_p50_ms": Range(0, 1e5, above=True),
    "max_load_ms": Range(0, 1e6, above=True),
    "max_assumptions": Range(0, 1000),
}
_COMPRESS_RANGES: Mapping[str, Range] = {
    "max_size_mb": Range(0, 1e6, above=True),
    "max_ratio": Range(0, 1, above=True),
    "max_ndcg_drop": Range(0, 1),
    "max_auc_drop": Range(0, 1),
    "min_top_k_overlap": Range(0, 1),
    "time_limit_s": Range(0, 1e7, above=True),
}
_MOST_STREAM_MB = 1e9
_MOST_K = 10_000
_LONGEST_NAME = 200  # bytes; systems allow 255, of which endings take some


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where the module comes from.

    Attributes:
        factory: `package.module:function` or `path/to/file.py:function`, which returns an nn.Module; or a
            TorchScript or .pt2 file.
        weights: a .safetensors file, the .index.json of several, a folder of <tensor>.npy, or a
            state dict that loads with weights_only=True; None where the factory brings the trained
            weights itself.
        arguments: keyword arguments for the factory.
        example: an .npz file of what the module takes: arrays by the names of forward's arguments, or in
            their order. The contract is drafted from it where none is stated; else it gives probes.
        stream_mb: a table of `weights` that takes so much as float32, in 10^6 bytes, is never held
            but streamed from file to file; 0 streams nothing.
    """

    factory: str
    weights: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    example: str | None = None
    stream_mb: float = STREAM_MB

    def __post_init__(self) -> None:
        if not 0 <= self.stream_mb <= _MOST_STREAM_MB:
            raise RecipeError(f"model.stream_mb is {self.stream_mb}; expected a size, or 0 to stream nothing")

    @property
    def stream_bytes(self) -> int:
        """Bytes of float32 from which on a table is streamed; 0 where none is."""
        return round(self.stream_mb * 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """On what the ranking is compared.

    Attributes:
        data: a factory that returns evaluation data of the kind, or Parquet or Arrow files by a
            path that may have `*` in it.
        kind: `ranking` or `classification`.
        function: the function that is evaluated.
        output: its output: scores over the catalogue, an embedding, top-k ids, or a probability.
        catalogue_function: the item-side function, where `output` is a user embedding.
        catalogue_output: its output.
        catalogue: a file of the item-side function's inputs, one row per id, where `data` are files.
        k: length of the compared lists, or several.
        metrics: beside `hr` and `ndcg`, of `mrr`, `recall` and `map`; of labels, beside `auc` and `log_loss`,
            of `gauc`, `ece` and `adaptive_ece`.
        user: labels only: the column or input that says whose row it is; `gauc` needs it.
        slices: examples that are looked at apart, by the name of the division.
        arguments: keyword arguments for the data factory.
    """

    data: str
    kind: Literal["ranking", "classification"]
    function: str = "main"
    output: str
    catalogue_function: str | None = None
    catalogue_output: str | None = None
    catalogue: str | None = None
    k: int | tuple[int, ...] = 10
    metrics: tuple[Metric, ...] = ()
    user: str | None = None
    slices: Mapping[str, Slice] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_lengths()
        check_measures(self.kind, self.metrics, self.slices, self.user)
        if (self.catalogue_function is None) != (self.catalogue_output is None):
            raise RecipeError("evaluate: catalogue_function and catalogue_output go together; give both")
        if self.catalogue is not None and (self.catalogue_function is None or not self.in_files):
            raise RecipeError(
                f"evaluate.catalogue is {self.catalogue!r}; it goes with catalogue_function and with data "
                "in files; a factory brings its own"
            )

    def _check_lengths(self) -> None:
        wrong = [each for each in self.ks if not 1 <= each <= _MOST_K]
        if wrong:
            raise RecipeError(f"evaluate.k is {wrong[0]}; expected 1 to {_MOST_K}")
        if not self.ks or len(set(self.ks)) != len(self.ks):
            raise RecipeError(f"evaluate.k is {list(self.ks)}; expected one length or several that differ")

    @property
    def ks(self) -> tuple[int, ...]:
        """The lengths of the compared lists."""
        return (self.k,) if isinstance(self.k, int) else self.k

    @property
    def longest(self) -> int:
        """The largest of the lengths."""
        return max(self.ks)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics, first those that gates are on."""
        return tuple(dict.fromkeys((*METRICS[self.kind][:2], *self.metrics)))

    @property
    def columns(self) -> tuple[str, ...]:
        """What is read of the data beside inputs and what is judged."""
        named = [each.by for each in self.slices.values() if each.by not in PLACED]
        return tuple(dict.fromkeys([*named, *([] if self.user is None else [self.user])]))

    @property
    def in_files(self) -> bool:
        """Whether the data are files, not a factory."""
        return self.data.endswith((".parquet", ".arrow", ".feather"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One artifact to build.

    Attributes:
        format: `onnx`, `web` or `coreml`; where it is left out, the target's name must be one of these.
        precision: of weights and activations; scores and top-k stay float32.
        opset_version: ONNX and the web only.
        minimum_deployment_target: Core ML only; by default `iOS17`, or what the preset needs.
        compute_units: Core ML only; what the application should ask for.
        contrib_ops: ONNX and the web only; whether compressed tensors may be read by ops of ONNX
            Runtime's own domain where those are faster; otherwise the standard opset is enough.
        gather_codes: Core ML only; names, or patterns with `*`, of compressed tables that are stored as a
            plain constant of 8-bit codes, of which rows are gathered and then dequantized.
        flexible: Core ML only; the contract's dims that stay ranges, or `*` for all. Others are fixed:
            the batch (any dim that leads every input) at its smallest, lengths at their largest.
        multifunction: Core ML for iOS18 only; all functions in one package, every weight stored once.
    """

    format: str | None = None
    precision: Precision | None = None
    opset_version: int = 20
    minimum_deployment_target: DeploymentTarget | None = None
    compute_units: ComputeUnits = "all"
    contrib_ops: bool = True
    gather_codes: tuple[str, ...] = ()
    flexible: tuple[str, ...] = ()
    multifunction: bool = False

    def __post_init__(self) -> None:
        if not 20 <= self.opset_version <= 23:
            raise RecipeError(f"opset_version is {self.opset_version}; expected 20 to 23")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a build must hold; None switches a gate off. `GATE_RANGES` says what each can be set to.

    A limit on size or time is one number, or a table of targets to numbers.

    Attributes:
        max_abs_error: largest difference of a float32 artifact's outputs from the reference; in place of
            the bound that follows each output's scale.
        min_sqnr_db: lowest signal-to-noise ratio of a float16 artifact's outputs, in dB.
        max_ndcg_drop: largest absolute change of NDCG@k, in either direction: of the change itself, and of
            what its interval of 95 % does not exclude.
        min_top_k_overlap: lowest mean share of the k best that both lists hold.
        max_auc_drop: the same of AUC.
        max_log_loss_rise: the same of the log loss.
        slices: limits on slices, by the name of a division (`users`) or of one slice (`users: cold`), for
            artifacts and for the compressed model, of which only a loss counts.
        compression: limits on what compression costs, held by the interval as those above; budgets in
            `compress` are on the cost itself.
        tie_tolerance: items whose scores differ by at most this much may swap places; relative
            to the largest score of the list.
        max_size_mb: largest size of a target's files, in 10^6 bytes.
        max_p50_ms: largest median latency of a call of one row, on this machine, of the slowest function;
            the interpreter's, and that of WebGPU in software, is never gated, as it is no device's.
        max_load_ms: longest time to load the slowest function's artifact, on this machine.
        max_assumptions: how many branches on values of its inputs a target's graph may have fixed, as they
            went the same way on all probes; each is named.
        may_skip: runtimes that may be absent; every other runtime of a target must have run.
    """

    max_abs_error: float | None = None
    min_sqnr_db: float | None = 40.0
    max_ndcg_drop: float | None = 0.002
    min_top_k_overlap: float | None = 0.97
    max_auc_drop: float | None = 0.0005
    max_log_loss_rise: float | None = 0.001
    tie_tolerance: float = 1e-5
    max_size_mb: Limit | None = None
    max_p50_ms: Limit | None = None
    max_load_ms: Limit | None = None
    max_assumptions: int | None = 0
    may_skip: tuple[
        Literal["onnxruntime", "coreml-interpreter", "coreml-framework", "web-wasm", "web-webgpu"], ...
    ] = ("coreml-framework", "web-wasm", "web-webgpu")
    slices: Mapping[str, ChangeLimits] = field(default_factory=dict)
    compression: ChangeLimits | None = None

    def __post_init__(self) -> None:
        check_ranges("gates", self, GATE_RANGES)

    def limit(self, key: str, target: str) -> float | None:
        """The target's limit of size or time by the name of the gate; None where there is none."""
        value: Limit | None = getattr(self, key)
        return value.get(target) if isinstance(value, Mapping) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Compress:
    """How tensors are compressed, and what ranking quality that may cost.

    One of `tensors`, `preset` and the budgets decides; with none of them, nothing is compressed.

    Attributes:
        tensors: a plan: tensor name, or a pattern with `*`, to a scheme's table; the first that
            fits decides.
        preset: `int8` or `int4` per row for every table and matrix, or `smallest-neutral`, which
            searches for the smallest plan within half a per cent of NDCG, or 0.0005 of AUC.
        max_size_mb: search: each target's files, in 10^6 bytes; what is found is gated on them.
        max_ratio: search: the compressed weights, as a share of float32's.
        max_ndcg_drop: largest loss of NDCG@k that compression may cost.
        max_auc_drop: largest loss of AUC that compression may cost.
        min_top_k_overlap: lowest mean share of the k best that both lists hold.
        time_limit_s: search: after so many seconds the best plan so far is taken.
        data: search and activations: data of the same kind as `evaluate.data` to choose on, best a validation
            split; where it is None, what is chosen is chosen on the data that it is then judged on.
        arguments: keyword arguments of `data`.
        activations: whether the inputs of dense layers are rounded to 8 bits: `static`, to ranges seen on
            `data` or else the evaluation data, or `dynamic`, to those of each call, which Core ML cannot.
        float_layers: names, or patterns with `*`, of dense layers whose inputs are not rounded.
    """

    tensors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset: Literal["int8", "int4", "smallest-neutral"] | None = None
    max_size_mb: float | None = None
    max_ratio: float | None = None
    max_ndcg_drop: float | None = None
    max_auc_drop: float | None = None
    min_top_k_overlap: float | None = None
    time_limit_s: float = 600.0
    data: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    activations: Literal["static", "dynamic"] | None = None
    float_layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data is None and self.arguments:
            raise RecipeError("compress.arguments belong to compress.data; name the data, or leave both out")
        if self.tensors and (self.preset is not None or self.max_size_mb or self.max_ratio):
            raise RecipeError(
                "compress: tensors is a whole plan; leave out preset, max_size_mb and max_ratio, or tensors"
            )
        if self.preset in ("int8", "int4") and (self.max_size_mb or self.max_ratio):
            raise RecipeError(
                f"compress: preset {self.preset!r} is a whole plan; leave out max_size_mb and max_ratio"
            )
        if self.activations is not None and not self.active:
            raise RecipeError(
                f"compress: activations {self.activations!r} need weights in 8 bits; add "
                "preset = 'int8' or tensors"
            )
        if self.float_layers and self.activations is None:
            raise RecipeError("compress: float_layers goes with activations; give both or neither")
        check_ranges("compress", self, _COMPRESS_RANGES)

    @property
    def active(self) -> bool:
        """Whether anything is to be compressed."""
        return bool(self.tensors) or self.preset is not None or self.searches

    @property
    def searches(self) -> bool:
        """Whether a plan has to be searched for."""
        budgets = (self.max_size_mb, self.max_ratio, self.max_ndcg_drop, self.max_auc_drop)
        budgeted = any(each is not None for each in budgets)
        return self.preset == "smallest-neutral" or (not self.tensors and self.preset is None and budgeted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How latency is measured: `warmup` calls, then `runs` counted ones, on `threads` threads."""

    warmup: int = 10
    runs: int = 100
    threads: int = 1

    def __post_init__(self) -> None:
        for key, least in (("warmup", 0), ("runs", 10), ("threads", 1)):
            if getattr(self, key) < least:
                raise RecipeError(f"latency.{key} is {getattr(self, key)}; expected {least} or more")
            if getattr(self, key) > _MOST_RUNS:
                raise RecipeError(f"latency.{key} is {getattr(self, key)}; expected {_MOST_RUNS} at most")
        if self.threads > _MOST_THREADS:
            raise RecipeError(f"latency.threads is {self.threads}; expected {_MOST_THREADS} at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole recipe; without a contract, one is drafted from `model.example`.

    What people read of the model in its artifacts is `description`, `author` and `license`.
    """

    schema: Literal[1]
    name: str
    version: str
    model: ModelSource
    contract: ContractSource | None = None
    evaluate: Evaluate
    targets: Mapping[str, Target]
    compress: Compress = field(default_factory=Compress)
    gates: Gates = field(default_factory=Gates)
    latency: Latency = field(default_factory=Latency)
    seed: int = 0
    description: str = ""
    author: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        _check_folder("name", self.name)
        _check_folder("version", self.version)
        if not 0 <= self.seed < 2**63:
            raise RecipeError(f"seed is {self.seed}; expected 0 to 2^63 - 1")
        _check_about(self)
        if self.gates.compression is not None and not self.compress.active:
            raise RecipeError("gates.compression: nothing is compressed; add compress, or leave it out")
        check_limits(self.evaluate.kind, "gates.compression", self.gates.compression)
        check_slices(self.evaluate.kind, self.evaluate.slices, self.gates.slices)
        if not self.targets:
            raise RecipeError("targets is empty; add [targets.onnx], [targets.web] or [targets.coreml]")
        for name in self.targets:
            _check_folder("targets: a target's name", name)
        if self.contract is not None:
            check_evaluate(self.evaluate, self.contract.functions)
        elif self.model.example is None:
            raise RecipeError(
                "contract is missing; add it, or model.example, an .npz file from which it is drafted"
            )

    @property
    def about(self) -> About:
        """What artifacts say of the model to people."""
        return About(
            version=self.version,
            description=self.description,
            author=self.author,
            license=self.license,
        )

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe, every default spelled out, as plain JSON values."""
        table: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return table

    def sha256(self) -> str:
        """Hex digest of the resolved recipe's canonical JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _check_about(recipe: Recipe) -> None:
    try:
        _ = recipe.about
    except UsageError as error:
        raise RecipeError(str(error)) from None


def _check_folder(key: str, value: str) -> None:
    """Checks that a folder can be named so, on every system, with an ending of its own."""
    if not value.strip(" .") or not value.isprintable() or set(value) & set("/\\"):
        raise RecipeError(f"{key} is {value!r}; expected letters that can name a folder")
    if len(value.encode()) > _LONGEST_NAME:
        raise RecipeError(
            f"{key} has {len(value.encode())} bytes; expected {_LONGEST_NAME} at most, as it names a folder"
        )


def check_evaluate(evaluate: Evaluate, functions: Mapping[str, Signature]) -> None:
    """Checks that what is evaluated is an output of a function; RecipeError names those that there are."""
    pairs = [("function", evaluate.function, evaluate.output)]
    if evaluate.catalogue_function is not None:
        pairs.append(("catalogue_function", evaluate.catalogue_function, evaluate.catalogue_output or ""))
    for key, function, output in pairs:
        signature = functions.get(function)
        if signature is None:
            known = ", ".join(functions)
            raise RecipeError(f"evaluate.{key} is {function!r}; expected one of {known}")
        outputs = [each.name for each in signature.outputs]
        if output not in outputs:
            raise RecipeError(
                f"evaluate: output {output!r} of function {function!r}; expected one of {', '.join(outputs)}"
            )


def parse_recipe(path: str | Path) -> Recipe:
    """The recipe in the TOML file at `path`, its targets as they are stated.

    Raises:
        RecipeError: naming file and key.
    """
    path = Path(path)
    table = read_toml(path, error=RecipeError, remedy="pass the path of a recipe.toml")
    recipe = from_table(Recipe, _with_dtypes(table), source=str(path))
    try:
        _check_limits(recipe)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None
    return recipe


def _with_dtypes(table: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe in which dense inputs and states that say no dtype are float32, as their numbers are."""
    found: dict[str, Any] = deepcopy(dict(table))
    contract = found.get("contract")
    functions = contract.get("functions") if isinstance(contract, dict) else None
    for each in functions.values() if isinstance(functions, dict) else ():
        inputs = each.get("inputs") if isinstance(each, dict) else None
        for feature in inputs if isinstance(inputs, list) else ():
            if isinstance(feature, dict) and feature.get("kind") in _FLOAT_KINDS:
                feature.setdefault("dtype", "float32")
    return found


def _check_limits(recipe: Recipe) -> None:
    """Checks that limits of size and time are those of targets that there are."""
    for key in ("max_size_mb", "max_p50_ms", "max_load_ms"):
        value = getattr(recipe.gates, key)
        for name in value if isinstance(value, Mapping) else ():
            if name not in recipe.targets:
                known = ", ".join(recipe.targets)
                raise RecipeError(f"gates.{key}.{name}: no such target; known: {known}")
