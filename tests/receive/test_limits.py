import socket

import pytest

from gateway.receive.limits import Rate, Turn, Turns, rates_of
from gateway.source import Source


@pytest.fixture
def sockets() -> list[socket.socket]:
    made = [socket.socket() for _ in range(8)]
    yield made
    for one in made:
        one.close()


def test_over_its_cap_a_source_stands_in_line_and_is_served_in_order(
    sockets: list[socket.socket],
) -> None:
    turns = Turns(4)
    first, second, third, other, late = sockets[:5]
    assert turns.enter("a", 1, first) is Turn.NOW
    assert [turns.enter("a", 1, one) for one in (second, third)] == [Turn.LATER] * 2
    assert turns.enter("a", 1, late) is Turn.NEVER
    assert turns.enter("b", 1, other) is Turn.NOW
    assert [turns.leave("a") for _ in range(3)] == [second, third, None]
    assert turns.leave("b") is None
    assert turns.enter("a", 1, late) is Turn.NOW


def test_one_source_takes_half_of_the_waiting_places_and_all_together_no_more_than_all(
    sockets: list[socket.socket],
) -> None:
    turns = Turns(3)
    for name in "abc":
        assert turns.enter(name, 1, sockets[0]) is Turn.NOW
    tries = [turns.enter(name, 1, one) for name, one in zip("aabbcc", sockets[1:], strict=False)]
    assert tries == [Turn.LATER, Turn.NEVER] * 3
    assert turns.enter("d", 1, sockets[7]) is Turn.NOW
    assert turns.enter("d", 1, sockets[7]) is Turn.NEVER
    assert turns.drain() == [sockets[1], sockets[3], sockets[5]]
    assert turns.leave("a") is None


def test_without_a_cap_nobody_waits(sockets: list[socket.socket]) -> None:
    turns = Turns(1)
    assert {turns.enter("a", 0, one) for one in sockets} == {Turn.NOW}


def test_what_is_read_above_a_second_s_worth_is_paid_for_before_more_is_read() -> None:
    rate = Rate(100)
    assert rate.delay(1000.0) == 0
    rate.take(100, 1000.0)
    assert rate.delay(1000.0) == 0
    rate.take(250, 1000.0)
    assert rate.delay(1000.0) == pytest.approx(2.5)
    assert rate.delay(1002.0) == pytest.approx(0.5)
    assert rate.delay(1003.0) == 0


def test_a_long_silence_earns_no_more_than_one_second() -> None:
    rate = Rate(100)
    rate.take(1, 0.0)
    rate.take(300, 5000.0)
    assert rate.delay(5000.0) == pytest.approx(2.0)


def test_only_a_source_with_a_rate_has_one() -> None:
    assert list(rates_of([Source("a"), Source("b", bytes_a_second=5)])) == ["b"]
