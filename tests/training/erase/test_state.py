"""Customer state without an erased customer: nothing of it is left, and all others are answered as before."""

import shutil
from pathlib import Path

import polars as pl

from lifecycle.state.answers import Answer, encoded
from lifecycle.state.files import CUSTOMERS_FILE, write_answers
from lifecycle.state.lookup import CustomerState
from tests.lifecycle.state.builders import part_of, write_state
from training.erase.state import clean_state

ANSWERS: list[Answer] = [{"customer_id": name, "clv": float(n)} for n, name in enumerate("dbace")]


def test_answers_of_all_others_stay_and_the_old_folder_is_as_it_was(tmp_path: Path) -> None:
    source = write_state(tmp_path / "state", part_of(*ANSWERS[:3]), part_of(*ANSWERS[3:]))
    target = tmp_path / "cleaned"
    shutil.copytree(source, target, copy_function=lambda old, new: Path(new).hardlink_to(old))
    others = [answer for answer in ANSWERS if answer["customer_id"] != "a"]
    names = pl.DataFrame({"customer_id": [answer["customer_id"] for answer in others]})
    names.write_parquet(target / CUSTOMERS_FILE)
    assert clean_state(source, target) == {"num_customers": 4}
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    write_answers(fresh, [part_of(*others)])
    for path in fresh.iterdir():
        assert (target / path.name).read_bytes() == path.read_bytes()
    before = CustomerState(source)
    assert [before.find(str(answer["customer_id"])) for answer in ANSWERS] == list(
        map(encoded, ANSWERS)
    )
