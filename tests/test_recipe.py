"""Recipes are read strictly: each mistake is one message with file, key and what was expected."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pocketrec.errors import RecipeError
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.recipe import Gates, Recipe
from pocketrec.recipe.contract import ContractSource
from pocketrec.schema import from_table

GOOD = """
schema = 1
name = "example"
version = "1.0"

[model]
factory = "model.py:make"

[contract.dims.batch]
max = 8

[contract.vocabularies.item]
tokens = "items.txt"
padding_id = 0

[contract.functions.main]
inputs = [{name = "history", kind = "id_sequence", shape = ["batch", 5], vocabulary = "item"}]
outputs = [{name = "scores", meaning = "score", shape = ["batch", 9], vocabulary = "item"}]

[evaluate]
data = "model.py:data"
kind = "ranking"
output = "scores"

[targets.onnx]
[targets.coreml]
"""


def write(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in GOOD
    path = folder / "recipe.toml"
    path.write_text(GOOD.replace(old, new, 1) if old else GOOD + new)
    return path


def stated(recipe: Recipe) -> ContractSource:
    assert recipe.contract is not None
    return recipe.contract


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("due_version = false", "gates.versus: no limit is given"),
        ("max_churn = 1.0", "gates.versus.max_churn is 1.0; expected 0 to 0.99"),
        ("max_latency_ratio = 0.0", "gates.versus.max_latency_ratio is 0.0; expected 0.1 to 10"),
        ("max_auc_drop = 0.01", "gates.versus.max_auc_drop: the evaluation is a ranking"),
        ("slices = {users = {max_ndcg_drop = 0.1}}", "gates.versus.slices.users: no such slices"),
        ('may_skip = ["gates"]', "may_skip"),
        ("max_ndcg_drops = 0.1", "did you mean 'max_ndcg_drop'?"),
    ],
)
def test_limits_against_a_baseline_are_checked(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        load_recipe(write(tmp_path, new=f"[gates.versus]\n{table}\n"))


def test_defaults_are_resolved(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path))
    assert (recipe.targets["onnx"].format, recipe.targets["onnx"].precision) == ("onnx", "float32")
    assert (recipe.targets["coreml"].format, recipe.targets["coreml"].precision) == ("coreml", "float16")
    assert recipe.gates == Gates()
    assert recipe.to_dict()["targets"]["coreml"]["minimum_deployment_target"] == "iOS17"


def test_the_hash_follows_the_meaning_and_not_the_spelling(tmp_path: Path) -> None:
    plain = load_recipe(write(tmp_path)).sha256()
    assert load_recipe(write(tmp_path, new="# a comment\n")).sha256() == plain
    assert load_recipe(write(tmp_path, new='precision = "float16"\n')).sha256() == plain
    assert load_recipe(write(tmp_path, new='precision = "float32"\n')).sha256() != plain


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "schema is 2; expected 1"),
        ("schema = 1\n", "", "schema is missing; add it"),
        ("[model]", "[modle]", "modle is not a known key; did you mean 'model'?"),
        ('factory = "', 'fatcory = "', "model.fatcory is not a known key; did you mean 'factory'?"),
        ("max = 8", 'max = "8"', "contract.dims.batch.max is '8'; expected a whole number"),
        ("max = 8", "max = 0", "contract.dims.batch: dim bounds 1..0: expected 1 <= min <= max"),
        ('kind = "ranking"', 'kind = "rank"', "evaluate.kind is 'rank'; expected one of 'ranking'"),
        (
            "[targets.onnx]",
            "[targets.tflite]",
            "targets.tflite: 'tflite' is not a format; add format = 'onnx'",
        ),
        ("[targets.onnx]", '[targets.onnx]\nprecision = "float16"', "an ONNX target is float32"),
        ("[targets.onnx]\n[targets.coreml]", "", "targets is missing; add it"),
        ("[targets.coreml]", '[targets.coreml]\nflexible = ["lenght"]', "'lenght' is no dim of the contract"),
        ("[targets.coreml]", "[gates]\nmax_ndgc_drop = 1.0", "did you mean 'max_ndcg_drop'?"),
        ('name = "history"', 'name = "self"', "input 'self': expected letters, digits and _"),
        (', vocabulary = "item"}]\nout', "}]\nout", "input history: kind 'id_sequence' takes a vocabulary"),
        ('["batch", 5]', '["bach", 5]', "main, history: dim 'bach' is not in [contract.dims] (known: batch)"),
        ('["batch", 5]', '["batch", -5]', "main, history: size -5 in shape; expected 1 to 2147483647"),
        (
            '["batch", 9], vocabulary = "item"',
            '["batch", 9], vocabulary = "film"',
            "main, scores: vocabulary",
        ),
        (
            "padding_id = 0",
            "padding_id = -1",
            "contract.vocabularies.item: vocabulary padding_id -1: expected",
        ),
        ("dims.batch]", 'dims."my batch"]', "dim 'my batch': expected letters, digits and _"),
        ("vocabularies.item]", 'vocabularies."../x"]', "vocabulary '../x': expected letters, digits and _"),
        ("functions.main]", 'functions."a/b"]', "function 'a/b': expected letters, digits and _"),
        ("[targets.onnx]", '[targets."../x"]', "a target's name is '../x'; expected letters that can name"),
        (
            "[targets.onnx]",
            '[targets.phone]\nformat = "tflite"',
            "targets.phone: format 'tflite' is not a format",
        ),
        ('name = "example"', f'name = "{"x" * 300}"', "name has 300 bytes; expected 200 at most"),
        ("[targets.onnx]", "[gates]\nmax_size_mb = [1]\n[targets.onnx]", "expected a number or a table"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, old, new)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'output = "scores"',
            'output = "score"',
            "output 'score' of function 'main'; expected one of scores",
        ),
        ('output = "scores"', 'output = "scores"\nk = 0', "evaluate.k is 0; expected 1 to 10000"),
        ('output = "scores"', 'output = "scores"\nk = [5, 0]', "evaluate.k is 0; expected 1 to 10000"),
        (
            'output = "scores"',
            'output = "scores"\nk = []',
            "evaluate.k is []; expected one length or",
        ),
        ('output = "scores"', 'output = "scores"\nk = [5, 5]', "evaluate.k is [5, 5]; expected one length"),
        (
            'output = "scores"',
            'output = "scores"\nk = "x"',
            "k is 'x'; expected a whole number or a list",
        ),
        (
            'output = "scores"',
            'output = "scores"\nmetrics = ["auc"]',
            "'auc' is none of ranking; expected hr",
        ),
        ('output = "scores"', 'output = "scores"\nmetrics = ["hr", "hr"]', "names a metric twice"),
        ('output = "scores"', 'output = "scores"\nmetrics = ["ncdg"]', "did you mean 'ndcg'?"),
        ('output = "scores"', 'output = "scores"\nuser = "u"', "user and the metric gauc go together"),
        (
            "[targets.onnx]",
            '[evaluate.slices.users]\nby = "history"\nedges = [5, 5]\n[targets.onnx]',
            "evaluate.slices.users: edges: 5 is followed by no larger one; expected numbers that rise",
        ),
        (
            "[targets.onnx]",
            '[evaluate.slices.users]\nby = "history"\nnames = ["a"]\n[targets.onnx]',
            "evaluate.slices.users: names: 1 for 1 edges; expected 2",
        ),
        (
            "[targets.onnx]",
            '[evaluate.slices.users]\nby = "history"\nnames = ["a", "a"]\n[targets.onnx]',
            "evaluate.slices.users: names: two are alike",
        ),
        (
            "[targets.onnx]",
            '[evaluate.slices.users]\nby = "history"\nmin_examples = 2\n[targets.onnx]',
            "evaluate.slices.users: min_examples is 2; expected 10 to 1000000000",
        ),
        (
            "[targets.onnx]",
            '[evaluate.slices."a: b"]\nby = "c"\n[targets.onnx]',
            "evaluate.slices: 'a: b' is no name of slices; expected letters without ':'",
        ),
        (
            'kind = "ranking"',
            'kind = "classification"\nslices = {users = {by = "history"}}',
            "evaluate.slices.users: by 'history' is of rankings; name a column",
        ),
        (
            "[targets.onnx]",
            "[gates.slices.users]\nmax_ndcg_drop = 0.01\n[targets.onnx]",
            "gates.slices.users: no such slices; known: none; add evaluate.slices",
        ),
        (
            "[targets.onnx]",
            '[evaluate.slices.a]\nby = "c"\n[gates.slices.a]\n[targets.onnx]',
            "gates.slices.a: no limit is given; give one of max_ndcg_drop, max_auc_drop",
        ),
        (
            "[targets.onnx]",
            '[evaluate.slices.a]\nby = "c"\n[gates.slices.a]\nmax_ndcg_drop = 0.9\n[targets.onnx]',
            "max_ndcg_drop is 0.9; expected 0 to 0.1",
        ),
        (
            "[targets.onnx]",
            '[evaluate.slices.a]\nby = "c"\n[gates.slices.a]\nmax_auc_drop = 0.01\n[targets.onnx]',
            "gates.slices.a.max_auc_drop: the evaluation is a ranking, which has no such metric",
        ),
        (
            "[targets.coreml]",
            "[compress]\npreset = 'int8'\n[gates.compression]\nmax_log_loss_rise = 0.01\n[targets.coreml]",
            "gates.compression.max_log_loss_rise: the evaluation is a ranking",
        ),
        (
            "[targets.coreml]",
            "[gates]\nmax_ece_rise = 0.01\n[targets.coreml]",
            "gates.max_ece_rise: the evaluation is a ranking, which has no such metric",
        ),
        (
            "[targets.onnx]",
            "[gates.compression]\nmax_ndcg_drop = 0.01\n[targets.onnx]",
            "gates.compression: nothing is compressed; add compress, or leave it out",
        ),
        ("schema = 1", "schema = 1\nseed = -1", "seed is -1; expected 0 to 2^63 - 1"),
        (
            "[targets.coreml]",
            "[latency]\nthreads = 1000000\n[targets.coreml]",
            "latency.threads is 1000000; expected 256 at most",
        ),
        ("[targets.onnx]", "[targets.onnx]\nopset_version = 9", "opset_version is 9; expected 20 to 23"),
        ("[targets.coreml]", "[latency]\nruns = 1", "recipe.toml: latency.runs is 1; expected 10 or more"),
        ("[targets.coreml]", "[stress]\nrows = -1", "stress.rows is -1; expected 0 to 10000"),
        (
            "[targets.coreml]",
            "[stress]\nrows = 0\nleave_out = ['a']",
            "stress.leave_out: no case is asked, as stress.rows is 0",
        ),
        ("[targets.coreml]", "[latency]\nwarmup = -1", "latency.warmup is -1; expected 0 or more"),
        (
            "[targets.coreml]",
            "[compress]\nmax_ratio = 0.0",
            "compress.max_ratio is 0.0; expected more than 0",
        ),
        ('"batch", 5]', '"batch", 5], maximum = inf', "maximum inf; expected finite numbers"),
        ("max = 8", "max = 3000000000", "dim bounds 1..3000000000: expected 1 <= min <= max <= 2147483647"),
        ('version = "1.0"', 'version = "../1"', "recipe.toml: version is '../1'; expected letters"),
        ('version = "1.0"', 'version = " "', "recipe.toml: version is ' '; expected letters"),
        ('version = "1.0"', 'version = "a\\u0000"', "expected letters that can name a folder"),
        ("schema = 1", 'schema = "1"', "schema is '1'; expected 1"),
        (
            "[targets.onnx]",
            "[targets.onnx]\nmultifunction = true",
            "targets.onnx.multifunction: several functions in one package need format 'coreml'",
        ),
        (
            "[targets.coreml]",
            "[targets.coreml]\nmultifunction = true",
            "minimum_deployment_target 'iOS18'; this is 'coreml', 'iOS17'",
        ),
        (
            "[targets.coreml]",
            "[compress]\nactivations = 'static'\n[targets.coreml]",
            "activations 'static' need weights in 8 bits",
        ),
        (
            "[targets.coreml]",
            "[compress]\npreset = 'int8'\nfloat_layers = ['a']\n[targets.coreml]",
            "float_layers goes with activations",
        ),
        (
            "[targets.coreml]",
            "[compress]\npreset = 'int8'\nactivations = 'dynamic'\n[targets.coreml]",
            "targets.coreml: compress.activations is 'dynamic', for which Core ML has no op",
        ),
        (
            "[targets.coreml]",
            "[compress]\npreset = 'int8'\nactivations = 'static'\n[targets.coreml]\n"
            "minimum_deployment_target = 'iOS16'",
            "is 'iOS16'; compress.activations = 'static' needs 'iOS17'",
        ),
    ],
)
def test_an_impossible_value_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, old, new))
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"schema = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_no_toml_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(data)
    with pytest.raises(RecipeError, match=r"recipe\.toml: (not valid TOML|cannot be read)"):
        load_recipe(path)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a folder, expected a regular file"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("path", sorted((Path(__file__).parent.parent / "model_zoo/recipes").glob("*.toml")))
def test_the_recipes_of_the_zoo_are_read(path: Path) -> None:
    assert load_recipe(path).name


def test_a_state_and_the_output_that_updates_it_are_a_pair(tmp_path: Path) -> None:
    state = '{name = "hidden", kind = "state", dtype = "float32", shape = ["batch", 4]}'
    update = '{name = "next_hidden", meaning = "state", shape = ["batch", 4], updates = "hidden"}'
    old = 'vocabulary = "item"}]\noutputs = ['
    path = write(tmp_path, old, f'vocabulary = "item"}}, {state}]\noutputs = [{update}, ')
    signature = stated(load_recipe(path)).functions["main"]
    assert [(each.name, output.name) for each, output in signature.states] == [("hidden", "next_hidden")]
    path.write_text(path.read_text().replace('updates = "hidden"', 'updates = "history"'))
    with pytest.raises(RecipeError, match="updates 'history'; expected an input of kind 'state'"):
        load_recipe(path)


def test_int4_and_the_default_target_fit_together(tmp_path: Path) -> None:
    """A preset that needs iOS18 raises a target that says nothing, and leaves one that does to be checked."""
    asked = "[compress]\npreset = 'int4'\n"
    assert load_recipe(write(tmp_path, new=asked)).targets["coreml"].minimum_deployment_target == "iOS18"
    stated = "[targets.coreml]\nminimum_deployment_target = 'iOS17'\n"
    kept = load_recipe(write(tmp_path, "[targets.coreml]\n", f"{asked}{stated}"))
    assert kept.targets["coreml"].minimum_deployment_target == "iOS17"


@pytest.mark.parametrize(
    ("target", "key", "value", "owner"),
    [
        ("onnx", "minimum_deployment_target", "iOS18", "coreml"),
        ("onnx", "compute_units", "cpu_only", "coreml"),
        ("onnx", "gather_codes", ["*"], "coreml"),
        ("coreml", "opset_version", 21, "onnx"),
        ("coreml", "contrib_ops", False, "onnx"),
    ],
)
def test_a_key_that_means_nothing_to_a_targets_format_is_an_error(
    tmp_path: Path, target: str, key: str, value: object, owner: str
) -> None:
    stated = str(value).lower() if isinstance(value, bool) else repr(value)
    path = write(tmp_path, f"[targets.{target}]", f"[targets.{target}]\n{key} = {stated}")
    with pytest.raises(RecipeError, match=rf"recipe.toml: targets.{target}.{key} is .* only to '{owner}'"):
        load_recipe(path)
    other = write(tmp_path, f"[targets.{owner}]", f"[targets.{owner}]\n{key} = {stated}")
    assert load_recipe(other).targets[owner].format == owner


def test_a_limit_is_one_number_or_one_for_each_target(tmp_path: Path) -> None:
    gates = load_recipe(write(tmp_path, new="[gates]\nmax_size_mb = {onnx = 2}\nmax_p50_ms = 5\n")).gates
    assert [gates.limit("max_size_mb", each) for each in ("onnx", "coreml")] == [2.0, None]
    assert [gates.limit("max_p50_ms", each) for each in ("onnx", "coreml")] == [5.0, 5.0]
    for stated, held in (("2", [2.0, 2.0]), ("{onnx = 2}", [2.0, None])):
        compress = load_recipe(write(tmp_path, new=f"[compress]\nmax_size_mb = {stated}\n")).compress
        assert [compress.size_limit(each) for each in ("onnx", "coreml")] == held
        assert compress.searches


@pytest.mark.parametrize(
    ("table", "given", "message"),
    [
        ("gates", "max_abs_error = inf", "max_abs_error is inf; expected 0 to 1"),
        ("gates", "max_abs_error = 1e9", "max_abs_error is 1000000000.0; expected 0 to 1"),
        ("gates", "min_sqnr_db = -5", "min_sqnr_db is -5.0; expected 10 to 200"),
        ("gates", "max_ndcg_drop = -1", "max_ndcg_drop is -1.0; expected 0 to 0.1"),
        ("gates", "min_top_k_overlap = 0", "min_top_k_overlap is 0.0; expected 0.5 to 1"),
        ("gates", "max_auc_drop = 2.0", "max_auc_drop is 2.0; expected 0 to 0.1"),
        ("gates", "max_log_loss_rise = inf", "max_log_loss_rise is inf; expected 0 to 0.1"),
        ("gates", "max_ece_rise = 0.2", "max_ece_rise is 0.2; expected 0 to 0.1"),
        ("gates", "max_assumptions = -1", "max_assumptions is -1; expected 0 to 1000"),
        ("gates", "max_assumptions = 1001", "max_assumptions is 1001; expected 0 to 1000"),
        ("gates", "max_assumptions = 0.5", "max_assumptions is 0.5; expected a whole number"),
        ("gates", "tie_tolerance = 1", "tie_tolerance is 1.0; expected 0 to 0.05"),
        ("gates", "max_size_mb = 0", "max_size_mb is 0.0; expected more than 0, and 1e+06 at most"),
        ("gates", "max_p50_ms = {onnx = -1}", "max_p50_ms.onnx is -1.0; expected more than 0"),
        ("gates", "max_load_ms = {tfl = 1}", "max_load_ms.tfl: no such target; known: onnx, coreml"),
        ("gates", "max_p50_ms = {}", "max_p50_ms is an empty table; state a number in it, or leave it out"),
        ("gates", "max_size_mb = {onnx = true}", "max_size_mb.onnx is True; expected a number"),
        ("compress", "max_size_mb = 0", "max_size_mb is 0.0; expected more than 0, and 1e+06 at most"),
        ("compress", "max_size_mb = true", "max_size_mb is True; expected a number or a table"),
        ("compress", "max_size_mb = nan", "max_size_mb is nan; expected a number or a table"),
        ("compress", "max_size_mb = {}", "max_size_mb is an empty table; state a number in it"),
        ("compress", "max_size_mb = {onnx = 0}", "max_size_mb.onnx is 0.0; expected more than 0"),
        ("compress", "max_size_mb = {onnx = -1}", "max_size_mb.onnx is -1.0; expected more than 0"),
        ("compress", "max_size_mb = {onnx = inf}", "max_size_mb.onnx is inf; expected more than 0"),
        ("compress", "max_size_mb = {onnx = true}", "max_size_mb.onnx is True; expected a number"),
        ("compress", "max_size_mb = {onnx = nan}", "max_size_mb.onnx is nan; expected a number that is not"),
        ("compress", "max_size_mb = {ios = 1}", "max_size_mb.ios: no such target; known: onnx, coreml"),
        ("compress", "max_ratio = inf", "max_ratio is inf; expected more than 0, and 1 at most"),
        ("compress", "max_ndcg_drop = -1", "max_ndcg_drop is -1.0; expected 0 to 1"),
        ("latency", "runs = 99999999", "runs is 99999999; expected 1000000 at most"),
    ],
)
def test_a_limit_beyond_its_range_is_named_with_file_key_and_range(
    table: str, given: str, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, new=f"[{table}]\n{given}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: {table}.{message}")


def test_a_dense_input_that_states_no_dtype_is_float32(tmp_path: Path) -> None:
    feature = '{{name = "{}", kind = "{}", shape = ["batch"]}}, '
    more = feature.format("age", "dense") + feature.format("n", "length")
    recipe = load_recipe(write(tmp_path, "inputs = [", f"inputs = [{more}"))
    dtypes = [each.dtype for each in stated(recipe).functions["main"].inputs]
    assert dtypes == ["float32", "int32", "int32"]
    whole = more.replace('kind = "dense"', 'kind = "dense", dtype = "int32"')
    recipe = load_recipe(write(tmp_path, "inputs = [", f"inputs = [{whole}"))
    assert stated(recipe).functions["main"].inputs[0].dtype == "int32"


def test_a_contract_is_stated_or_there_is_an_example_to_draft_it_from(tmp_path: Path) -> None:
    path = write(tmp_path)
    table = tomllib.loads(path.read_text())
    del table["contract"]
    with pytest.raises(RecipeError, match=r"contract is missing; add it, or model\.example, an \.npz file"):
        from_table(Recipe, table, source="recipe.toml")
    table["model"]["example"] = "in.npz"
    assert from_table(Recipe, table, source="recipe.toml").contract is None


def test_slices_metrics_and_several_lengths_are_read(tmp_path: Path) -> None:
    asked = """
[evaluate.slices.users]
by = "history"
[evaluate.slices.age]
by = "age"
edges = [18, 65]
[gates.slices."users: cold"]
max_ndcg_drop = 0.01
"""
    path = write(tmp_path, "[targets.onnx]", f"{asked}[targets.onnx]")
    path.write_text(
        path.read_text().replace('kind = "ranking"', 'kind = "ranking"\nk = [5, 20]\nmetrics = ["mrr"]')
    )
    recipe = load_recipe(path)
    (evaluate,) = recipe.evaluate
    assert (evaluate.ks, evaluate.longest, evaluate.names) == ((5, 20), 20, ("hr", "ndcg", "mrr"))
    assert evaluate.columns == ("age",)
    assert evaluate.slices["users"].labels == ("cold", "warm")
    assert evaluate.slices["age"].labels == ("under 18", "18 to 65", "from 65")
    assert recipe.gates.slices["users: cold"].max_ndcg_drop == 0.01
    (plain,) = load_recipe(write(tmp_path)).evaluate
    assert (plain.ks, plain.names, plain.columns) == ((10,), ("hr", "ndcg"), ())


def test_the_recipe_of_the_page_on_evidence_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "evidence.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    shown = "\n".join(each for each in blocks if "[[evaluate]]" not in each)
    head, _, _ = GOOD.partition("[evaluate]")
    path = tmp_path / "recipe.toml"
    path.write_text(f"{head}{shown}\n[compress]\npreset = 'int8'\n[targets.onnx]\n")
    recipe = load_recipe(path)
    assert list(recipe.evaluate[0].slices) == ["users", "items", "age"]
    assert recipe.gates.compression is not None
    assert recipe.gates.slices["users"].max_ndcg_drop == 0.01


def heads(folder: Path, *tables: str, more: str = "") -> Recipe:
    """A recipe of two heads whose evaluations are these tables."""
    head, _, tail = GOOD.partition("[evaluate]")
    outputs = '[{name = "click", meaning = "probability", shape = ["batch"]}, '
    outputs += '{name = "purchase", meaning = "probability", shape = ["batch"]}]'
    scores = '[{name = "scores", meaning = "score", shape = ["batch", 9], vocabulary = "item"}]'
    assert scores in head
    path = folder / "recipe.toml"
    targets = tail[tail.index("[targets.onnx]") :]
    path.write_text("\n".join([head.replace(scores, outputs), *tables, targets, more]))
    return load_recipe(path)


CLICK = '[[evaluate]]\ndata = "d.py:data"\nkind = "classification"\noutput = "click"'
BUY = '[[evaluate]]\nname = "buy"\ndata = "d.py:data"\nkind = "classification"\noutput = "purchase"'


def test_the_heads_of_the_page_on_evidence_are_read_and_held_to_their_own_limits(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "evidence.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (shown,) = [each for each in blocks if "[[evaluate]]" in each]
    recipe = heads(tmp_path, shown)
    drops = [recipe.compress.of(each.called).max_auc_drop for each in recipe.evaluate]
    assert drops == [None, 0.005]
    assert [recipe.name_of(each) for each in recipe.evaluate] == ["click", "buy"]
    click, buy = recipe.held.values()
    assert (click.max_auc_drop, buy.max_auc_drop) == (0.0005, 0.002)
    assert click.max_log_loss_rise == buy.max_log_loss_rise == 0.001
    assert click.compression is not None
    assert buy.compression is not None
    assert (click.compression.max_auc_drop, buy.compression.max_auc_drop) == (0.002, 0.01)


def test_one_table_is_the_list_of_one(tmp_path: Path) -> None:
    plain = load_recipe(write(tmp_path))
    listed = load_recipe(write(tmp_path, "[evaluate]", "[[evaluate]]"))
    assert plain == listed
    assert plain.to_dict()["evaluate"]["output"] == "scores", "as bundles of one evaluation have it"
    assert list(plain.held) == [""]
    assert from_table(Recipe, plain.to_dict(), source="recipe.json") == plain
    with pytest.raises(RecipeError, match=r"evaluate is empty; add \[evaluate\]"):
        from_table(Recipe, {**plain.to_dict(), "evaluate": []}, source="recipe.json")


def test_several_evaluations_are_a_list_in_the_resolved_recipe(tmp_path: Path) -> None:
    recipe = heads(tmp_path, CLICK, BUY)
    assert [each["output"] for each in recipe.to_dict()["evaluate"]] == ["click", "purchase"]
    assert from_table(Recipe, recipe.to_dict(), source="recipe.json") == recipe


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ((CLICK, CLICK), "evaluate: two are called 'click'; give each a name of its own"),
        ((CLICK, BUY.replace('"buy"', '"click"')), "two are called 'click'"),
        ((CLICK, BUY.replace('"buy"', '"a: b"')), "evaluate.name is 'a: b'"),
        ((CLICK, BUY.replace("purchase", "scores")), "output 'scores' of function 'main'; expected one of"),
        (
            (CLICK, BUY + '\nlabel = "bought"'),
            "evaluate.label is 'bought'; it names a column",
        ),
        ((CLICK, BUY + "\nmetric = 1"), "evaluate\\[1\\].metric is not a known key; did you mean 'metrics'"),
    ],
)
def test_evaluations_that_cannot_be_told_apart_or_measured_are_refused(
    tables: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=told):
        heads(tmp_path, *tables)


def test_limits_by_name_need_several_evaluations(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gates\.evaluate\.scores: there is one evaluation"):
        load_recipe(write(tmp_path, "", "[gates.evaluate.scores]\nmax_ndcg_drop = 0.01\n"))


def test_a_limit_holds_the_heads_that_have_its_metric(tmp_path: Path) -> None:
    more = "[gates]\nmax_ece_rise = 0.01\n"
    click, buy = heads(tmp_path, CLICK, f'{BUY}\nmetrics = ["ece"]', more=more).held.values()
    assert (click.max_ece_rise, buy.max_ece_rise) == (None, 0.01)
    assert (click.max_auc_drop, click.max_ndcg_drop) == (0.0005, None)
    with pytest.raises(
        RecipeError, match=r"gates\.max_ece_rise: every evaluation is a classification without"
    ):
        heads(tmp_path, CLICK, BUY, more=more)


def test_slices_and_lists_hold_the_heads_that_have_them(tmp_path: Path) -> None:
    ranked = '[[evaluate]]\ndata = "d.py:data"\nkind = "ranking"\noutput = "click"'
    sliced = '[evaluate.slices.age]\nby = "age"\nedges = [30]'
    limits = "[gates.slices.age]\nmax_auc_drop = 0.01\n[gates.versus]\nmax_churn = 0.4\ndue_version = false\n"
    recipe = heads(tmp_path, ranked, BUY, sliced, more=limits)
    lists, buy = recipe.held.values()
    assert (list(lists.slices), list(buy.slices)) == ([], ["age"])
    assert lists.versus is not None
    assert lists.versus.max_churn == 0.4
    assert buy.versus is None, "labels have no lists, and nothing else is asked"
