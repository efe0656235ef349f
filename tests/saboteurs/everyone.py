"""Every saboteur, by what is deceived: numbers, engines, models, data, recipes, bundles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.saboteurs import bundles, graphs
from tests.saboteurs.converters import converted, half, of_heads, run_by
from tests.saboteurs.kit import Outcome, Saboteur, built, once
from tests.saboteurs.world import MODEL, ONNX, RECIPE, changed, write

Act = Callable[[Path], Outcome]
right, right_half = once(converted(graphs.nothing)), once(half(graphs.nothing))
right_engine, right_bundle = once(run_by("honest")), once(bundles.untouched)
right_signature = once(bundles.signed())


def small(
    *pairs: tuple[str, str], recipe: tuple[tuple[str, str], ...] = (), lines: str = ONNX, tokens: int = 41
) -> Act:
    """A build of the small world with words of its model and recipe replaced."""

    def act(folder: Path) -> Outcome:
        return built(
            write(
                folder,
                model=changed(MODEL, *pairs),
                recipe=changed(RECIPE, *recipe),
                lines=lines,
                tokens=tokens,
            )
        )

    return act


NUMBERS = [
    Saboteur(
        name="an artifact of zeros",
        caught_by="same_numbers",
        message="main.scores: off by",
        cheat=converted(graphs.zeros),
        honest=right,
        fast=True,
    ),
    Saboteur(
        name="an artifact of one number",
        caught_by="same_numbers",
        message="main.watch: off by",
        cheat=converted(graphs.constant),
        honest=right,
    ),
    Saboteur(
        name="an artifact that ignores an input",
        caught_by="same_numbers",
        message="main.scores: off by",
        cheat=converted(graphs.without_age),
        honest=right,
    ),
    Saboteur(
        name="a float16 artifact that ignores a faint input",
        caught_by="follows_inputs",
        message="where age is replaced, main.scores moves by 0, the reference's by",
        cheat=half(graphs.without_age),
        honest=right_half,
    ),
    Saboteur(
        name="swapped outputs",
        caught_by="same_numbers",
        message="main.scores: off by",
        cheat=converted(graphs.swapped),
        honest=right,
    ),
    Saboteur(
        name="shuffled users",
        caught_by="same_numbers",
        message="main.scores: off by",
        cheat=converted(graphs.shuffled),
        honest=right,
    ),
    Saboteur(
        name="NaN in one row",
        caught_by="comparison",
        message="where the reference has none (worst on probe 'evaluation row 37 of 64')",
        cheat=converted(graphs.nan_in_one_row),
        honest=right,
    ),
    Saboteur(
        name="few values, so that items tie",
        caught_by="same_numbers",
        message="main.scores: off by",
        cheat=converted(graphs.rounded),
        honest=right,
    ),
    Saboteur(
        name="few values on a float16 engine",
        caught_by="min_sqnr_db",
        message="main.scores: sqnr_db",
        cheat=half(graphs.rounded_finely),
        honest=right_half,
    ),
    Saboteur(
        name="an artifact that is right on what is known",
        caught_by="fresh_inputs",
        message="on inputs drawn after it was written, same_numbers: main.scores: off by",
        cheat=converted(graphs.right_on_known_rows),
        honest=right,
        fast=True,
    ),
    Saboteur(
        name="a fault for a batch of five alone",
        caught_by="stress",
        message="cases: main, ",
        cheat=converted(graphs.wrong_for_five),
        honest=right,
    ),
]

ENGINES = [
    Saboteur(
        name="an engine that returns the reference's numbers",
        caught_by="without_pytorch",
        message="it has PyTorch compute its answers (aten.",
        cheat=run_by("asking"),
        honest=right_engine,
        fast=True,
    ),
    Saboteur(
        name="an engine that knows stored answers by heart",
        caught_by="fresh_inputs",
        message="on inputs drawn after it was written, same_numbers: main.scores: off by",
        cheat=run_by("stored"),
        honest=right_engine,
    ),
    Saboteur(
        name="an engine with a cache by the file's name",
        caught_by="reads_artifact",
        message="cut off in the middle, is answered as the whole one is",
        cheat=run_by("by_name"),
        honest=right_engine,
    ),
    Saboteur(
        name="an engine with a cache by the arrays",
        caught_by="asked_again",
        message="arrays whose content was replaced are answered as if it had not been",
        cheat=run_by("cached"),
        honest=right_engine,
    ),
    Saboteur(
        name="a slow engine that remembers every answer",
        caught_by="max_p50_ms",
        message="limit at most 12",
        cheat=run_by("remembering", lines="[gates]\nmax_p50_ms = 12.0\n"),
        honest=run_by("honest", lines="[gates]\nmax_p50_ms = 12.0\n"),
    ),
    Saboteur(
        name="an engine with one buffer for every caller",
        caught_by="same_numbers",
        message="main.scores: off by",
        cheat=run_by("shared"),
        honest=right_engine,
    ),
    Saboteur(
        name="an engine with a cache by the batch's size",
        caught_by="same_numbers",
        message="main.scores: off by",
        cheat=run_by("by_shape"),
        honest=right_engine,
    ),
]

SEEN = "return scores, watch"
MODELS = [
    Saboteur(
        name="a constant model",
        caught_by="can_fail",
        message="the model gives one number everywhere for main.scores",
        cheat=small((SEEN, "return scores * 0 + 0.25, watch")),
        honest=right_bundle,
    ),
    Saboteur(
        name="a model of zeros",
        caught_by="can_fail",
        message="the model gives one number everywhere for main.scores",
        cheat=small((SEEN, "return scores * 0, watch")),
        honest=right_bundle,
    ),
    Saboteur(
        name="a reference that compression broke like the artifact",
        caught_by="compression loss: ndcg@5",
        message="compressed, ",
        cheat=small(lines=f'{ONNX}[compress.tensors]\n"item.weight" = {{scheme = "palette", bits = 1}}\n'),
        honest=small(lines=f'{ONNX}[compress]\npreset = "int8"\nmax_ndcg_drop = 0.05\n'),
    ),
    Saboteur(
        name="a budget on loss as large as the metric",
        caught_by="compression loss: ndcg@5",
        message="it cannot fail: a model that recommends nothing would pass",
        cheat=small(
            lines=f"{ONNX}[compress]\nmax_ndcg_drop = 1.0\n[compress.tensors]\n"
            '"item.weight" = {scheme = "palette", bits = 1}\n'
        ),
        honest=small(lines=f'{ONNX}[compress]\npreset = "int8"\nmax_ndcg_drop = 0.05\n'),
    ),
    Saboteur(
        name="a model that answers by what it was asked before",
        caught_by="Refused",
        message="the answer depends on earlier calls",
        cheat=small(
            (
                SEEN,
                "self.last = getattr(self, 'last', scores[:1].detach()); return scores + self.last, watch",
            )
        ),
        honest=right_bundle,
    ),
]

DATA = [
    Saboteur(
        name="an evaluation of one user",
        caught_by="max_ndcg_drop",
        message="there is no interval of 1, expected 10 or more",
        cheat=small(("USERS, SEED = 41, 6, 64, 0", "USERS, SEED = 41, 6, 1, 0")),
        honest=right_bundle,
    ),
    Saboteur(
        name="one user, many times",
        caught_by="DataError",
        message="64 rows, of which 1 differ; the same rows again are no more evidence",
        cheat=small(
            ('history, "age": age}', 'history[:1].repeat(64, 0), "age": age[:1].repeat(64, 0)}'),
            ("noisy.argmax(1)", "noisy.argmax(1)[:1].repeat(64)"),
        ),
        honest=right_bundle,
        fast=True,
    ),
    Saboteur(
        name="few users, many times",
        caught_by="DataError",
        message="64 rows, of which 9 differ; the same rows again are no more evidence",
        cheat=small(
            ('history, "age": age}', 'history[np.arange(64) % 9], "age": age[np.arange(64) % 9]}'),
            ("noisy.argmax(1)", "noisy.argmax(1)[np.arange(64) % 9]"),
        ),
        honest=right_bundle,
    ),
    Saboteur(
        name="a vocabulary shorter than the table",
        caught_by="ContractError",
        message="output scores has 41 columns, and vocabulary 'item' has 38 tokens; give every id a token",
        cheat=small(tokens=38),
        honest=right_bundle,
    ),
]

LISTS = """[[contract.functions.main.outputs]]
name = "best"
meaning = "top_k_ids"
dtype = "int32"
shape = ["batch", 5]
vocabulary = "item"
[evaluate]"""
NAMELESS = (('shape = ["batch", 41]\nvocabulary = "item"', 'shape = ["batch", 41]'), ("[evaluate]", LISTS))
LISTED = (SEEN, "return scores, watch, scores.topk(5).indices.int()")
DATA += [
    Saboteur(
        name="a vocabulary shorter than the lists",
        caught_by="ContractError",
        message="vocabulary 'item' has 38 tokens: give every id one",
        cheat=small(
            LISTED,
            ("integers(1, ITEMS", "integers(1, 38"),
            ("noisy[:, 0]", "noisy[:, [0, 38, 39, 40]]"),
            recipe=NAMELESS,
            tokens=38,
        ),
        honest=small(LISTED, recipe=NAMELESS),
    ),
]

HEADS = [
    Saboteur(
        name="a second head whose weights compression made noise",
        caught_by="compression loss: auc of buy",
        message="compressed, ",
        cheat=of_heads(
            graphs.nothing, lines='[compress.tensors]\n"buy.weight" = {scheme = "palette", bits = 1}\n'
        ),
        honest=of_heads(graphs.nothing, lines='[compress]\npreset = "int8"\nmax_auc_drop = 0.01\n'),
    ),
    Saboteur(
        name="a second head that answers as the first, within a tolerance as wide as both",
        caught_by="max_auc_drop of buy",
        message="mine on onnxruntime: auc: ",
        cheat=of_heads(graphs.swapped_heads, lines="[gates]\nmax_abs_error = 1.0\n"),
        honest=of_heads(graphs.nothing),
    ),
]

RECIPES = [
    Saboteur(
        name="gates beyond their range",
        caught_by="RecipeError",
        message="gates.max_abs_error is 100.0; expected 0 to 1",
        cheat=small(lines=f"{ONNX}[gates]\nmax_abs_error = 100.0\n"),
        honest=small(lines=f"{ONNX}[gates]\nmax_abs_error = 0.0001\n"),
    ),
    Saboteur(
        name="a tolerance as wide as the outputs",
        caught_by="can_fail",
        message="gates.max_abs_error cannot fail: one number everywhere for main.watch would pass",
        cheat=small(lines=f"{ONNX}[gates]\nmax_abs_error = 1.0\n"),
        honest=small(lines=f"{ONNX}[gates]\nmax_abs_error = 0.0001\n"),
    ),
    Saboteur(
        name="a drop as large as the metric",
        caught_by="can_fail",
        message="gates.max_ndcg_drop cannot fail: an artifact that lists no held-out item",
        cheat=small(
            ("positives=noisy.argmax(1)", "positives=noisy.argsort(1)[:, 3]"),
            lines=f"{ONNX}[gates]\nmax_ndcg_drop = 0.1\n",
        ),
        honest=small(lines=f"{ONNX}[gates]\nmax_ndcg_drop = 0.1\n"),
    ),
    Saboteur(
        name="an overlap that any list has",
        caught_by="can_fail",
        message="gates.min_top_k_overlap cannot fail: the same list for everybody",
        cheat=small(recipe=(("k = 5", "k = 30"),), lines=f"{ONNX}[gates]\nmin_top_k_overlap = 0.5\n"),
        honest=small(lines=f"{ONNX}[gates]\nmin_top_k_overlap = 0.9\n"),
    ),
    Saboteur(
        name="leave to skip every engine of a target",
        caught_by="comparison",
        message="mine: nothing was compared: coreml-interpreter did not run",
        cheat=run_by("absent", lines='[targets.onnx]\n[gates]\nmay_skip = ["coreml-interpreter"]\n'),
        honest=run_by("honest", lines='[targets.onnx]\n[gates]\nmay_skip = ["coreml-interpreter"]\n'),
    ),
    Saboteur(
        name="all cases of stress left out",
        caught_by="stress",
        message="no case was compared",
        cheat=small(lines=f'{ONNX}[stress]\nleave_out = ["*"]\n'),
        honest=right_bundle,
    ),
]

TREE = "evidence/evidence.json: is of other files than manifest.json lists"
BUNDLES = [
    Saboteur(
        name="one bit of an artifact",
        caught_by="verify",
        message="artifacts/onnx/main.onnx: altered",
        cheat=bundles.altered(bundles.flipped, sealed=False),
        honest=right_bundle,
        fast=True,
    ),
    Saboteur(
        name="evidence edited by hand",
        caught_by="verify",
        message="evidence/evidence.json: altered",
        cheat=bundles.altered(bundles.a_word, sealed=False),
        honest=right_bundle,
    ),
    Saboteur(
        name="failed made passed, and sealed again",
        caught_by="verify",
        message="its own numbers fail gate same_numbers of mine on onnxruntime: main.scores: off by",
        cheat=bundles.failed_as_passed,
        honest=right,
        fast=True,
    ),
    Saboteur(
        name="results removed, and sealed again",
        caught_by="verify",
        message="gate comparison of onnx on onnxruntime passed, and no result says that it ran",
        cheat=bundles.altered(bundles.nothing_said, sealed=True),
        honest=right_bundle,
    ),
    Saboteur(
        name="golden vectors and hashes rewritten together",
        caught_by="verify",
        message=TREE,
        cheat=bundles.altered(bundles.another_model, sealed=True),
        honest=right_bundle,
        fast=True,
    ),
    Saboteur(
        name="evidence of another build",
        caught_by="verify",
        message=TREE,
        cheat=bundles.altered(bundles.others_evidence, sealed=True),
        honest=right_bundle,
    ),
    Saboteur(
        name="a contract loosened after the build",
        caught_by="verify",
        message="golden/api.json: is of another contract than contract.json",
        cheat=bundles.altered(bundles.loosened_contract, sealed=True),
        honest=right_bundle,
    ),
    Saboteur(
        name="the same, without the calls that contradict it",
        caught_by="replay",
        message="carries the digest of another contract than contract.json",
        cheat=bundles.altered(bundles.loosened_contract_alone, sealed=True),
        honest=right_bundle,
    ),
    Saboteur(
        name="tolerances loosened after the build",
        caught_by="verify",
        message=TREE,
        cheat=bundles.altered(bundles.loosened_tolerance, sealed=True),
        honest=right_bundle,
    ),
    Saboteur(
        name="a file that is missing",
        caught_by="verify",
        message="golden/api.json: missing",
        cheat=bundles.altered(bundles.without_calls, sealed=False),
        honest=right_bundle,
    ),
    Saboteur(
        name="a file that the manifest lost, too",
        caught_by="verify",
        message=TREE,
        cheat=bundles.altered(bundles.without_calls, sealed=True),
        honest=right_bundle,
    ),
    Saboteur(
        name="no golden vectors, in the manifest neither",
        caught_by="verify",
        message="golden/main.safetensors: not in manifest.json",
        cheat=bundles.altered(bundles.without_vectors, sealed=True),
        honest=right_bundle,
    ),
    Saboteur(
        name="everything rewritten and sealed again",
        caught_by="signature",
        message="signatures/model.sig: signs small 1.0 (tree",
        cheat=bundles.signed(bundles.another_model_and_evidence),
        honest=right_signature,
    ),
    Saboteur(
        name="everything rewritten where nobody signed",
        caught_by="signature",
        message="nobody has signed",
        cheat=bundles.unsigned(bundles.another_model_and_evidence),
        honest=right_signature,
    ),
    Saboteur(
        name="a signature taken off",
        caught_by="signature",
        message="nobody has signed",
        cheat=bundles.signed(bundles.without_signatures),
        honest=right_signature,
    ),
    Saboteur(
        name="somebody else's signature",
        caught_by="signature",
        message="another key",
        cheat=bundles.signed_by_another,
        honest=right_signature,
    ),
]

EVERYONE = (*NUMBERS, *ENGINES, *MODELS, *DATA, *HEADS, *RECIPES, *BUNDLES)
