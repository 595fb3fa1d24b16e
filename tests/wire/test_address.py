import pytest

from gateway.wire.address import client_address

PROXIES = ("10.0.0.5/32", "fd00::/8")


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.5", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.5", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.5", "198.51.100.1, fd00::1", "198.51.100.1"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "not an address", "10.0.0.5"),
        ("::ffff:10.0.0.5", "198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_trusted_proxy(
    remote: str, forwarded: str, expected: str
) -> None:
    assert client_address(remote, forwarded, PROXIES) == expected
