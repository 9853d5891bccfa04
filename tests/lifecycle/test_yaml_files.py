"""What is wrong with a recipe's YAML is told in one line, with its place."""

from pathlib import Path

import pytest

from lifecycle.yaml_files import read_value, read_yaml


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\n\tb: 2\n", "'\\\\t' that cannot start any token at line 2, column 1"),
        (b"a: [1\n", "at line 2, column 1"),
        (b"a: *x\n", "undefined alias 'x' at line 1, column 4"),
        (b"a: caf\xe9\n", "invalid continuation byte at byte 6; save it as UTF-8"),
        (b"a: x\0y\n", "special characters are not allowed at byte 4"),
        (b"? [a]\n: 3\n", "unhashable key at line 1, column 3"),
        (b"a: 1\nb: 2024-02-30\n", "'2024-02-30' is no date: day is out of range .* line 2, co"),
        (b"a: " + b"[" * 3000, "brackets are nested too deeply"),
    ],
)
def test_bad_yaml_is_told_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as told:
        read_yaml(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value)


def test_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"config file {tmp_path} is a folder"):
        read_yaml(tmp_path)


def test_date_that_the_calendar_does_not_have_is_left_to_its_key() -> None:
    assert read_value("2024-02-30") == "2024-02-30"


def test_letters_of_a_recipe_do_not_depend_on_the_locale(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes("\ufeffname: Käse\n".encode())
    assert read_yaml(path) == {"name": "Käse"}
