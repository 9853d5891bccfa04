import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import Field

from lifecycle.config import Config, from_command_line
from training.prepare.recipe import PrepareConfig


class Optimizer(Config):
    learning_rate: float = 1e-3
    steps: int = 10


class Part(Config):
    path: str


class Recipe(Config):
    optimizer: Optimizer = Optimizer()
    parts: tuple[Part, ...] = ()
    members: dict[str, Path] = {}
    limit: int | None = 5
    output: Path


class Parts(Config):
    parts: tuple[Part, ...] = Field(min_length=1)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("output: out\nparts:\n  - {path: a}\n  - {path: b}\n")
    return path


def test_override_sets_nested_key_and_keeps_the_rest(recipe: Path) -> None:
    config = Recipe.load(recipe, ["optimizer.learning_rate=0.5", "output=there"])
    assert config.optimizer == Optimizer(learning_rate=0.5, steps=10)
    assert config.output == Path("there")


def test_override_reaches_into_a_list(recipe: Path) -> None:
    config = Recipe.load(recipe, ["parts.1.path=c"])
    assert [part.path for part in config.parts] == ["a", "c"]


@pytest.mark.parametrize("text", ["%d/%m/%Y %H:%M", "|", "\t", "@home", "a: b: c", "1.5.2"])
def test_override_that_is_no_yaml_is_text(recipe: Path, text: str) -> None:
    assert Recipe.load(recipe, [f"parts.0.path={text}"]).parts[0].path == text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.learnin_rate=1", "unknown key 'optimizer.learnin_rate'"),
        ("optimizer.steps=many", "optimizer.steps is 'many'"),
        ("optimizer.learning_rate=.inf", "optimizer.learning_rate is inf"),
        ("parts.2.path=c", "'2' is not a position in a list of 2"),
        ("parts.0.pth=c", "unknown key 'parts.0.pth'"),
        ("output.sub=1", "reaches into 'out'"),
        ("optimizer.steps", "must have the form key.sub=value"),
    ],
)
def test_wrong_override_names_the_dotted_key(recipe: Path, override: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        Recipe.load(recipe, [override])
    assert message in str(error.value)


@pytest.fixture
def members(tmp_path: Path) -> Path:
    path = tmp_path / "members.yaml"
    path.write_text(
        "output: out\nmembers: {a: x, b: y}\nparts: [{path: a}, {path: b}, {path: c}]\n"
    )
    return path


def test_null_removes_a_key_an_entry_of_a_list_or_one_of_a_map(members: Path) -> None:
    assert Recipe.load(members, ["members=null"]).members == {}
    assert Recipe.load(members, ["members.a=null"]).members == {"b": Path("y")}
    assert Recipe.load(members, ["optimizer=null"]).optimizer == Optimizer()
    config = Recipe.load(members, ["parts.0=null", "parts.1=null", "parts.2.path=d"])
    assert [part.path for part in config.parts] == ["d"]


def test_null_stays_null_where_that_means_something(members: Path) -> None:
    assert Recipe.load(members).limit == 5
    assert Recipe.load(members, ["limit=null"]).limit is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("output=null", "override 'output=null' removes what the recipe needs: output"),
        (
            "parts.0.path=null",
            "override 'parts.0.path=null' removes what the recipe needs: parts.0.path",
        ),
        ("members.c=null", "override 'members.c=null': there is no 'c' in ['a', 'b'] to remove"),
        ("parts.3=null", "'3' is not a position in a list of 3"),
        ("member=null", "unknown key 'member'"),
    ],
)
def test_null_of_what_is_needed_or_not_there_is_refused(
    members: Path, override: str, message: str
) -> None:
    with pytest.raises(ValueError) as error:
        Recipe.load(members, [override])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_null_that_leaves_too_few_entries_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("parts: [{path: a}]\n")
    with pytest.raises(ValueError, match="'parts.0=null' removes what the recipe needs: parts"):
        Parts.load(path, ["parts.0=null"])


def test_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("parts:\n  - {}\n")
    with pytest.raises(ValueError, match=r"missing key 'parts.0.path'\s+missing key 'output'"):
        Recipe.load(path)


@pytest.mark.parametrize("text", ["- a list\n", "a: [unclosed\n", ""])
def test_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="recipe.yaml"):
        Recipe.load(path)


def test_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("output: out\noptimizer: {steps: 1}\noptimizer: {steps: 2}\n")
    with pytest.raises(ValueError, match="key 'optimizer' is given twice"):
        Recipe.load(path)


def test_typo_in_a_list_is_the_only_thing_said(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("parts: [{pth: a, path: b}]\n")
    with pytest.raises(ValueError) as problem:
        Parts.load(path)
    assert "unknown key 'parts.0.pth'" in str(problem.value) and "at least 1" not in str(
        problem.value
    )
    path.write_text("parts: []\n")
    with pytest.raises(ValueError, match="parts is .*at least 1"):
        Parts.load(path)


def test_saved_config_loads_to_an_equal_one(recipe: Path, tmp_path: Path) -> None:
    config = Recipe.load(recipe, ["optimizer.learning_rate=2.0e-5"])
    config.save(tmp_path / "saved.yaml")
    assert Recipe.load(tmp_path / "saved.yaml") == config


def test_config_cannot_be_changed(recipe: Path) -> None:
    with pytest.raises(ValueError):
        Recipe.load(recipe).output = Path("elsewhere")  # type: ignore[misc]


def test_command_line_without_config_prints_usage_and_ends_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit:
        from_command_line(Recipe.load, "training.ingest", ["output=x"])
    assert exit.value.code == 2
    assert "usage: python -m training.ingest --config FILE" in capsys.readouterr().err


def test_recipe_of_an_installed_package_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--config", "package:training/configs/cdnow_prepare.yaml", "output=elsewhere"]
    found = from_command_line(PrepareConfig.load, "training.prepare", words)
    assert str(found.output) == "elsewhere"
    with pytest.raises(SystemExit):
        words = ["--config", "package:nowhere/configs/x.yaml"]
        from_command_line(PrepareConfig.load, "training.prepare", words)
    assert "'nowhere' is not installed" in capsys.readouterr().err


def test_typo_in_a_job_ends_in_about_a_second_with_status_2(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("output: out\nsources: [{path: x.csv, colums: {}}]\n")
    best = float("inf")
    for _ in range(3):  # the fastest of three, because other tests may use the cores
        started_at = time.perf_counter()
        command = [sys.executable, "-m", "training.ingest", "--config", str(recipe)]
        done = subprocess.run(command, capture_output=True, text=True)
        best = min(best, time.perf_counter() - started_at)
        assert done.returncode == 2
        assert "unknown key 'sources.0.colums'" in done.stderr
        assert "Traceback" not in done.stderr
        if best < 1.0:
            break
    assert best < 1.0
