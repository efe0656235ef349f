"""A bundle is called in an app's words, from Python and by the command, and its API vectors are replayed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from click.testing import CliRunner
from tests.mean import RECIPE, write_mean

import pocketrec
from pocketrec.cli.main import main
from pocketrec.errors import ArtifactError, CallError, UsageError
from pocketrec.package.bundle import read_bundle, seal
from pocketrec.package.manifest import tree_of
from pocketrec.pipeline.verify import verify

TITLED = RECIPE.replace('tokens = "items.txt"', 'tokens = "items.txt"\ntitles = "titles.txt"')


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    titles = ["", *(f"Film {number // 2}" for number in range(1, 30))]
    (folder / "titles.txt").write_text("".join(f"{each}\n" for each in titles))
    recipe = write_mean(folder, "[targets.onnx]\n[targets.coreml]\n", recipe=TITLED)
    built = pocketrec.build(recipe, out=folder / "mean")
    assert built.passed
    return built.path


@pytest.mark.parametrize("target", [None, "coreml"])
def test_items_are_recommended_by_token_or_title(bundle: Path, target: str | None) -> None:
    with pocketrec.load(bundle, target=target) as model:
        assert model.methods == {"recommend": ("history", "k", "excluding")}
        found = model.recommend(history=["item 3", "item 4"], k=3)
        assert len(found) == 3
        again = model.recommend(history=["item 3", "item 4"], k=3, excluding=[found[0].token])
        assert [each.token for each in again[:2]] == [each.token for each in found[1:]]
        assert {each.title for each in found} == {f"Film {each.id // 2}" for each in found}
        assert model.recommend(history=["Film 0"], k=1) == model.recommend(history=["item 1"], k=1)
        with pytest.raises(
            CallError, match='"Film 7" is the title of 2 items: item 14, item 15; pass a token'
        ):
            model.recommend(history=["Film 7"])


def test_a_list_is_explained_alike_on_every_runtime(bundle: Path) -> None:
    shown = []
    for target in ("onnx", "coreml"):
        asked = ["--history", "item 3", "--history", "item 12", "--k", "2", "--explain", "--target", target]
        done = CliRunner().invoke(main, ["recommend", str(bundle), *asked, "--json"])
        assert done.exit_code == 0, done.stderr
        shown.append(json.loads(done.stdout))
    (one, other) = shown
    assert [each["id"] for each in one["items"]] == [each["id"] for each in other["items"]]
    for mine, theirs in zip(one["explained"], other["explained"], strict=True):
        assert [each["given"] for each in mine] == [each["given"] for each in theirs]
        assert [each["change"] for each in mine] == pytest.approx(
            [each["change"] for each in theirs], abs=2e-2
        )
    table = CliRunner().invoke(main, ["recommend", str(bundle), *asked]).stdout
    assert "because of: an item of the history, and the score less what it is without that item" in table


def test_a_runtime_alone_takes_a_target_that_it_loads(bundle: Path) -> None:
    for runtime, target in (("coreml-interpreter", "coreml"), ("onnxruntime", "onnx"), (None, "onnx")):
        with pocketrec.load(bundle, runtime=runtime) as model:
            assert model.target == target
            assert len(model.recommend(history=["item 3"], k=2)) == 2
    with (
        pytest.raises(UsageError, match="unknown runtime 'nobody'; expected one of onnxruntime"),
        pocketrec.load(bundle, runtime="nobody") as model,
    ):
        model.recommend(history=["item 3"])
    stated = ["--history", "item 3", "--target", "onnx", "--runtime", "coreml-interpreter"]
    assert CliRunner().invoke(main, ["recommend", str(bundle), *stated]).exit_code == 2, (
        "what is stated binds"
    )


def test_what_a_bundle_does_not_have_is_named(bundle: Path) -> None:
    with pocketrec.load(bundle) as model:
        with pytest.raises(AttributeError, match="'rank' is no method of the bundle; it has recommend"):
            _ = model.rank
        with pytest.raises(UsageError, match="'rank' is no method of mean; expected recommend"):
            model.call("rank", {})
        with pytest.raises(UsageError, match="'user' is no vocabulary of the contract; expected item"):
            model.items("user")
        assert "recommend" in dir(model)
        assert "recommend(history, k, excluding)" in str(model.recommend.__doc__)
    with pytest.raises(UsageError, match="'web' is no target"):
        pocketrec.load(bundle, target="web")
    with pytest.raises(UsageError, match=r"expected one of coreml, onnx; did you mean 'onnx'\?$"):
        pocketrec.load(bundle, target="onx")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vocabularies/item.titles.txt", "titles.txt: altered"),
        ("artifacts/onnx/main.onnx", "main.onnx: altered"),
    ],
)
def test_an_altered_file_answers_nothing(bundle: Path, tmp_path: Path, name: str, message: str) -> None:
    place = copytree(bundle, tmp_path / "mean")
    (place / name).write_bytes((place / name).read_bytes() + b"x\n")
    with pytest.raises(ArtifactError, match=message), pocketrec.load(place) as model:
        model.recommend(history=[])


def test_verify_replays_the_calls_on_every_runtime(bundle: Path) -> None:
    result = verify(bundle)
    assert result.passed
    ran = [each for each in result.replays if each.status == "passed"]
    assert {each.target for each in ran} == {"onnx", "coreml"}
    assert min(each.calls for each in ran) > 20


def test_the_command_lists_items(bundle: Path) -> None:
    run = CliRunner().invoke(main, ["recommend", str(bundle), "--history", "item 3", "--k", "2", "--json"])
    assert run.exit_code == 0, run.output
    table = json.loads(run.stdout)
    assert [set(each) for each in table["items"]] == [{"id", "token", "title", "score"}] * 2
    shown = CliRunner().invoke(main, ["recommend", str(bundle), "--history", "item 3", "--set", "k=[1]"])
    assert shown.exit_code == 2
    assert "error: k is [1]; expected a whole number from 0" in shown.stderr
    table = CliRunner().invoke(main, ["recommend", str(bundle), "--history", "item 3", "--excluding", "x"])
    assert table.exit_code == 0
    assert "token" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "rank"), "--method is 'rank'; expected one of recommend"),
        (("--text", "film"), "text is no argument of recommend; expected history, k, excluding"),
        (("--set", "x"), "--set 'x': expected NAME=VALUE"),
        (("--set", "x=[1"), "--set x: not valid JSON"),
        (("--set", "x=" + "[" * 100_000), "--set x: not valid JSON"),
        (("--set", 'x="\\ud800"'), "--set x: a string of it holds half of a surrogate pair"),
        (("--set", "k=2.5"), "k is 2.5; expected a whole number from 0"),
        (("--set", "k=two"), 'k is "two"; expected a whole number from 0'),
        (("--set", "history=7"), 'history is "7"; expected a list of items'),
        (("--history", "itm 29"), "is no item of"),
        (("--k", "-2"), "k is -2; expected a whole number from 0"),
    ],
)
def test_a_call_from_the_command_line_that_cannot_be_answered_exits_with_2(
    bundle: Path, arguments: tuple[str, ...], message: str
) -> None:
    run = CliRunner().invoke(main, ["recommend", str(bundle), *arguments])
    assert run.exit_code == 2
    assert message in run.stderr


def test_a_list_without_a_history_is_told_beside_the_json(bundle: Path) -> None:
    run = CliRunner().invoke(main, ["recommend", str(bundle), "--k", "2", "--json"])
    assert len(json.loads(run.stdout)["items"]) == 2
    assert run.stderr.startswith("no history was given, so the list follows from the model alone")
    assert CliRunner().invoke(main, ["recommend", str(bundle), "--history", "item 3"]).stderr == ""


def test_a_number_is_a_number_where_no_word_is_asked_for(bundle: Path) -> None:
    run = CliRunner().invoke(
        main, ["recommend", str(bundle), "--history", "item 3", "--set", "k=2", "--json"]
    )
    assert run.exit_code == 0, run.output
    assert len(json.loads(run.stdout)["items"]) == 2


def edit(bundle: Path, name: str, change: Callable[[Any], object]) -> None:
    """Changes a JSON file of a bundle, has the evidence say that it is of it, and seals it again."""
    manifest = read_bundle(bundle).manifest
    table = json.loads((bundle / name).read_text(encoding="utf-8"))
    change(table)
    (bundle / name).write_text(json.dumps(table, indent=1, sort_keys=True), encoding="utf-8")
    for each in ("manifest.json", "evidence/manifest.json", "manifest.sha256"):
        (bundle / each).unlink()
    path = bundle / "evidence/evidence.json"
    evidence = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**evidence, "tree_sha256": tree_of(bundle)}), encoding="utf-8")
    seal(bundle, name=manifest.name, version=manifest.version, artifacts=manifest.artifacts)


def pad_right(contract: Any) -> None:
    contract["functions"]["main"]["inputs"][0]["padding_side"] = "right"


def test_a_contract_that_was_edited_answers_nothing_sealed_or_not(bundle: Path, tmp_path: Path) -> None:
    """Padded on the other side, every list would be another one, and no less plausible."""
    place = Path(copytree(bundle, tmp_path / "mean"))
    edit(place, "contract.json", pad_right)
    with pocketrec.load(place) as model:
        for _ in range(2):
            with pytest.raises(ArtifactError, match=r"carries the digest of another contract"):
                model.recommend(history=["item 3"])
    (place / "contract.json").write_bytes((bundle / "contract.json").read_bytes())
    with pytest.raises(ArtifactError, match=r"contract\.json: altered"):
        pocketrec.load(place)


def listed(api: Any) -> Any:
    return next(each for each in api["calls"] if len((each["answer"] or {}).get("items", ())) > 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda api: listed(api)["answer"]["items"][0].update(score=7.5),
        lambda api: listed(api)["answer"]["items"][0].update(token="item 9"),
        lambda api: listed(api)["answer"]["items"].reverse(),
        lambda api: listed(api)["answer"]["items"].pop(),
        lambda api: listed(api)["answer"]["items"][0].update(score=math.inf),
        lambda api: listed(api).update(function="other"),
        lambda api: next(each for each in api["calls"] if each["error"])["error"].update(code="bad_k"),
        lambda api: api.update(calls=[]),
        lambda api: api.update(rules=[]),
        lambda api: next(each for each in api["rules"] if each["rule"] == "find")["answer"].update(id=9),
    ],
    ids=["score", "token", "order", "fewer", "infinite", "function", "error", "no calls", "no rules", "rule"],
)
def test_verify_finds_an_answer_that_was_edited_although_all_is_sealed_again(
    bundle: Path, tmp_path: Path, change: Callable[[Any], object]
) -> None:
    place = Path(copytree(bundle, tmp_path / "mean"))
    edit(place, "golden/api.json", change)
    found = verify(place)
    failed = [each.message for each in found.replays if each.status == "failed"]
    assert not found.passed
    assert all(each.startswith("recommend, ") for each in failed)
    assert failed or found.problems[0].startswith("golden/api.json: ")


def test_sealing_alone_is_no_damage(bundle: Path, tmp_path: Path) -> None:
    place = Path(copytree(bundle, tmp_path / "mean"))
    edit(place, "golden/api.json", lambda api: None)
    assert verify(place).passed


@pytest.mark.parametrize("artifacts", [{}, {"onnx": {}}])
def test_a_bundle_without_artifacts_says_so(
    bundle: Path, tmp_path: Path, artifacts: dict[str, dict[str, str]]
) -> None:
    place = Path(copytree(bundle, tmp_path / "mean"))
    for each in ("manifest.json", "evidence/manifest.json", "manifest.sha256"):
        (place / each).unlink()
    seal(place, name="mean", version="1.0", artifacts=artifacts)
    for target in (None, "onnx"):
        with pytest.raises(ArtifactError, match=r"manifest\.json has no artifacts; build the bundle again"):
            pocketrec.load(place, target=target)
