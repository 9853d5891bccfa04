import pickle

from serving.predict.problems import InvalidRequest, Problem

PROBLEMS = (Problem("customers.1", "no event"), Problem("k", "is too large"))


def test_problems_survive_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(InvalidRequest(PROBLEMS)))
    assert error.problems == PROBLEMS


def test_text_names_every_field() -> None:
    assert str(InvalidRequest(PROBLEMS)) == "customers.1: no event; k: is too large"
