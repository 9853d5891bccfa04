"""Files of conversations: what is refused, by file and line and without its words, and what is held out."""

import json
import shutil
from pathlib import Path

import pytest

from tests.builders import turns, write_conversations
from training.tasks.conversations import (
    check_chat_template,
    conversations_identity,
    read_conversations,
    split_conversations,
)

SECRET = "my card number is 4111"


def test_file_folder_and_glob_are_read_in_name_order(tmp_path: Path) -> None:
    write_conversations(tmp_path / "b.jsonl", turns("b", "1"), turns("b", "2"))
    write_conversations(tmp_path / "a" / "a.jsonl", turns("a", "1"))
    (tmp_path / "notes.txt").write_text("no conversation")
    (tmp_path / "b.jsonl").open("a").write("\n  \n")
    of_folder = read_conversations(tmp_path)
    assert [c.messages for c in of_folder] == [turns("a", "1"), turns("b", "1"), turns("b", "2")]
    assert [c.place for c in of_folder][1:] == [f"{tmp_path / 'b.jsonl'}, line {n}" for n in (1, 2)]
    assert (
        read_conversations(tmp_path / "*.jsonl")
        == read_conversations(tmp_path / "b.jsonl")
        == of_folder[1:]
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"messages": [' + SECRET, "line 2 is not JSON in UTF-8: expecting value at column 15"),
        (
            json.dumps({"messages": turns("a", SECRET)})[:-2],
            "line 2 is not JSON in UTF-8: it ends before it is whole: a bracket is not closed",
        ),
        (
            json.dumps({"messages": turns("a", SECRET)})[:-1] + ",}",
            "line 2 is not JSON in UTF-8: a comma stands before the closing bracket at column",
        ),
        (
            json.dumps({"messages": [SECRET, float("nan")]}),
            "line 2 is not JSON in UTF-8: NaN is no JSON value; write null where there is no number",
        ),
        (
            json.dumps([{"messages": turns("a", SECRET)}]),
            "line 2 is a JSON array; write one conversation a line, without brackets around all",
        ),
        (
            json.dumps({"messages": turns("a", f"{SECRET} \ud83d")}),
            "line 2, message 2: its content holds \\ud83d, half of a surrogate pair, which is no character",
        ),
        (
            json.dumps({"messages": turns(f"\ude00 {SECRET}", "b")}),
            "line 2, message 1: its content holds \\ude00, half of a surrogate pair",
        ),
        ('{"messages": ' + "[" * 100_000, "line 2 is not JSON in UTF-8: its brackets are nested"),
        (json.dumps(SECRET), 'line 2 must be {"messages": [...]}, with no other key'),
        (
            json.dumps({"messages": turns("a", "b"), SECRET: 1}),
            'line 2 must be {"messages": [...]}',
        ),
        (json.dumps({"messages": SECRET}), 'line 2 must be {"messages": [...]}'),
        (
            json.dumps({"messages": [SECRET]}),
            'line 2, message 1 must be {"role": ..., "content": ...}',
        ),
        (json.dumps({"messages": [{"role": "user"}]}), "line 2, message 1 must be"),
        (
            json.dumps({"messages": [*turns("a", "b"), {"role": SECRET, "content": "c"}]}),
            "message 3 has an unknown role",
        ),
        (
            json.dumps({"messages": [{"role": ["user"], "content": "c"}]}),
            "message 1 has an unknown role",
        ),
        (json.dumps({"messages": turns(SECRET)}), "line 2 has no assistant turn"),
        (json.dumps({"messages": []}), "line 2 has no assistant turn"),
        (
            json.dumps({"messages": turns("a", " \n", SECRET, "d")}),
            "line 2, message 2 has no content",
        ),
        (
            json.dumps({"messages": [{"role": "user", "content": [SECRET]}]}),
            "line 2, message 1 has no content",
        ),
        (json.dumps({"messages": turns(SECRET, "b")[1:]}), "line 2 begins with the assistant"),
    ],
)
def test_unusable_line_is_named_and_its_words_are_not(
    tmp_path: Path, line: str, message: str
) -> None:
    path = write_conversations(tmp_path / "c.jsonl", turns("a", "b"))
    path.open("a").write(line + "\n")
    with pytest.raises(ValueError) as caught:
        read_conversations(path)
    assert str(caught.value).startswith(f"{path}, line 2") and message in str(caught.value)
    assert "4111" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'{"messages": "\xff"}\n')
    with pytest.raises(ValueError, match="line 1 is not JSON in UTF-8: byte 0xff at column 15"):
        read_conversations(path)


def test_whole_emoji_is_learned_however_it_is_written(tmp_path: Path) -> None:
    path = write_conversations(tmp_path / "c.jsonl", turns("\U0001f600", "b"))
    path.open("a").write(path.read_text().replace("\\ud83d\\ude00", "\U0001f600"))
    assert [c.messages[0]["content"] for c in read_conversations(path)] == ["\U0001f600"] * 2


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="nowhere.jsonl': no such file, or no .jsonl file in that folder"
    ):
        read_conversations(tmp_path / "nowhere.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ValueError, match="empty.jsonl' are empty"):
        read_conversations(tmp_path / "empty.jsonl")


def test_a_stable_twentieth_is_held_out_and_equal_conversations_stay_together(
    tmp_path: Path,
) -> None:
    many = [turns(f"question {n // 2}", "answer") for n in range(2000)]  # each is there twice
    train, validation = split_conversations(
        write_conversations(tmp_path / "c.jsonl", *many), None, seed=0
    )
    held_out = {c.messages[0]["content"] for c in validation}
    assert len(train) + len(validation) == 2000 and len(validation) == 2 * len(held_out)
    assert 2000 * 0.05 * 0.6 < len(validation) < 2000 * 0.05 * 1.4
    assert not held_out & {c.messages[0]["content"] for c in train}
    fewer = split_conversations(
        write_conversations(tmp_path / "fewer.jsonl", *reversed(many[:1000])), None, seed=0
    )[1]
    assert {c.messages[0]["content"] for c in fewer} == {
        q for q in held_out if int(q.split()[1]) < 500
    }
    other = split_conversations(tmp_path / "c.jsonl", None, seed=1)[1]
    assert {c.messages[0]["content"] for c in other} != held_out


def test_at_least_one_conversation_is_held_out_and_one_is_left(tmp_path: Path) -> None:
    few = write_conversations(
        tmp_path / "few.jsonl", turns("a", "b"), turns("c", "d"), turns("e", "f")
    )
    train, validation = split_conversations(few, None, seed=0)
    assert (len(train), len(validation)) == (2, 1)
    one = write_conversations(tmp_path / "one.jsonl", turns("a", "b"))
    with pytest.raises(
        ValueError, match="leave none to train on; add some, or give validation_conversations"
    ):
        split_conversations(one, None, seed=0)
    assert [len(part) for part in split_conversations(one, few, seed=0)] == [1, 3]


def test_identity_follows_contents_and_chat_template(tmp_path: Path, tiny_chat_model: Path) -> None:
    here = write_conversations(tmp_path / "here" / "c.jsonl", turns("a", "b"))
    there = write_conversations(tmp_path / "there" / "d.jsonl", turns("a", "b"))
    other = write_conversations(tmp_path / "other.jsonl", turns("a", "c"))
    identity = conversations_identity(here, None, str(tiny_chat_model))
    assert conversations_identity(there, None, str(tiny_chat_model)) == identity
    assert conversations_identity(other, None, str(tiny_chat_model)) != identity
    assert conversations_identity(here, other, str(tiny_chat_model)) != identity
    changed = Path(shutil.copytree(tiny_chat_model, tmp_path / "changed"))
    (changed / "chat_template.jinja").write_text("{{ messages }}")
    assert conversations_identity(here, None, str(changed)) != identity


def test_base_model_without_a_chat_template_is_refused(
    tmp_path: Path, tiny_base_model: Path, tiny_chat_model: Path
) -> None:
    with pytest.raises(ValueError, match="tiny-llama' has no chat template"):
        check_chat_template(str(tiny_base_model))
    check_chat_template(str(tiny_chat_model))
    older = Path(shutil.copytree(tiny_base_model, tmp_path / "older"))
    settings = json.loads((older / "tokenizer_config.json").read_text())
    (older / "tokenizer_config.json").write_text(
        json.dumps(settings | {"chat_template": "{{ messages }}"})
    )
    check_chat_template(str(older))
    (older / "tokenizer_config.json").write_text(json.dumps({"chat_template": "\ud83d"}))
    with pytest.raises(ValueError, match="the chat template of .*older holds .ud83d, half of a"):
        check_chat_template(str(older))
