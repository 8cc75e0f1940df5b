"""Ports for what is started beside an exchange: nobody listens on them, and no client is given one by the system."""

import socket

import pytest

from exchange.ports import END, FIRST, HOST, free_port, free_ports, is_free


def listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.bind((HOST, port))
    listener.listen()
    return listener


@pytest.mark.parametrize("count", [1, 3, 40])
def test_ports_in_a_row_are_free_and_lie_where_clients_get_none(count: int) -> None:
    first = free_ports(count)
    assert first >= FIRST
    assert first + count <= END
    assert all(is_free(port) for port in range(first, first + count))


def test_the_wanted_one_is_given_while_it_is_free() -> None:
    wanted = free_port()
    assert free_port(wanted) == wanted
    with listening(wanted):
        assert not is_free(wanted)
        assert free_port(wanted) != wanted


def test_one_that_is_taken_spoils_the_row() -> None:
    first = free_ports(3)
    with listening(first + 2):
        assert free_ports(2, first) == first
        assert free_ports(3, first) != first


def test_there_are_never_more_than_all() -> None:
    with pytest.raises(OSError, match="no 21999 free ports in a row"), listening(free_port()):
        free_ports(21_999)
