from gateway.identify.lookup import Breaker, Remembered, answers
from gateway.report import Identifier, Patient

ONE, OTHER = Identifier("1", "s"), Identifier("2", "s")
FOUND = Patient((ONE,))


def test_after_some_failures_one_try_is_let_through_after_each_rest() -> None:
    breaker = Breaker(failures=2, rest=10)
    breaker.failed(0)
    assert breaker.lets_through(0)
    breaker.failed(0)
    assert not breaker.lets_through(5)
    assert breaker.lets_through(10)
    assert not breaker.lets_through(11)
    breaker.succeeded()
    assert breaker.lets_through(11)


def test_who_was_found_is_remembered_for_a_while_and_nobody_never() -> None:
    remembered = Remembered(10)
    remembered.put(ONE, [FOUND], 0)
    remembered.put(OTHER, [], 0)
    assert remembered.get(ONE, 9) == (FOUND,)
    assert remembered.get(ONE, 10) == ()
    assert remembered.get(OTHER, 0) == ()


def test_of_an_answer_only_who_has_the_very_number_counts() -> None:
    assert answers(ONE, [FOUND, Patient((OTHER,)), Patient()]) == (FOUND,)
