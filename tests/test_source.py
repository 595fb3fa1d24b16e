from pathlib import Path

import pytest

from gateway.errors import InvalidSetting
from gateway.source import Source, load_sources

_FILE = """
[aberdeen]
senders = ["igene"]
certificates = ["lims.aberdeen.example"]
addresses = ["10.20.0.0/16", "fd00::/8"]
connections = 4

[dundee]
clients = ["dundee-lims"]
policy = "ae"
processing_ids = ["T"]
"""


def _load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "sources.toml"
    path.write_text(text)
    return load_sources(path)


def test_without_a_file_every_address_is_a_source_of_its_own() -> None:
    sources = load_sources(None)
    assert sources.of_address("10.0.0.1") == Source("mllp:10.0.0.1")
    assert sources.of_client("lab") == Source("http:lab")
    assert sources.of_certificate(["a.example", "b"]) == Source("tls:a.example")
    assert sources.of_certificate([]) is None


def test_a_source_is_found_by_what_proves_it(tmp_path: Path) -> None:
    (tmp_path / "sources.toml").write_text(_FILE)
    sources = load_sources(tmp_path / "sources.toml")
    aberdeen, dundee = sources.known
    assert (aberdeen.senders, aberdeen.connections) == (("igene",), 4)
    assert (dundee.policy, dundee.processing_ids) == ("ae", ("T",))
    for address in ("10.20.3.4", "::ffff:10.20.3.4", "fd00::1", "fd00::1%eth0"):
        assert sources.of_address(address) is aberdeen
    assert sources.of_certificate(["other", "lims.aberdeen.example"]) is aberdeen
    assert sources.of_client("dundee-lims") is dundee
    assert sources.of_address("10.21.0.1") is None
    assert sources.of_certificate(["other"]) is None
    assert sources.of_client("other") is None


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[", "sources"),
        ("a = 1", "sources [a]"),
        ("[a]\nname = 'b'", "sources [a] name"),
        ("[a]\nsender = ['x']", "sources [a] sender"),
        ("[a]\nsenders = 'x'", "sources [a] senders"),
        ("[a]\naddresses = ['10.0.0.1/8']", "sources [a] addresses"),
        ("[a]\nconnections = -1", "sources [a] connections"),
        ("[a]\nconnections = true", "sources [a] connections"),
        ("[a]\nback_load = 1", "sources [a] back_load"),
        ("[a]\npolicy = 'perhaps'", "sources [a] policy"),
        ("[a]\nclients = ['x']\n[b]\nclients = ['x']", "sources [b] clients"),
        ("[a]\nfolder = 'x'\n[b]\nfolder = './x'", "sources [b] folder"),
        ("[a]\naddresses = ['10.0.0.0/8']\n[b]\naddresses = ['10.1.0.0/16']",
         "sources [b] addresses"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_table_and_key(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        _load(tmp_path, text)
    assert caught.value.where == where


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(InvalidSetting, match="cannot be read"):
        load_sources(Path("/nonexistent/sources.toml"))
