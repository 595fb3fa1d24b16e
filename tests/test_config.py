from pathlib import Path

import pytest

from gateway.config import Settings, load_settings
from gateway.errors import InvalidSetting


def test_nothing_given_means_the_defaults() -> None:
    assert load_settings({"PATH": "/bin"}) == Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('port = 9000\nmllp_port = 9001\nchi_placeholders = ["1"]\n')
    settings = load_settings({"GATEWAY_CONFIG": str(file), "GATEWAY_PORT": "9002"})
    assert (settings.port, settings.mllp_port) == (9002, 9001)
    assert settings.chi_placeholders == ("1",)


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("GATEWAY_PROT", "1", "GATEWAY_PROT"),
        ("GATEWAY_PORT", "secret-value", "port"),
        ("GATEWAY_DEVELOPMENT", "perhaps", "development"),
        ("GATEWAY_BASE_URL", "gateway.example", "base_url"),
        ("GATEWAY_TOKEN_SECONDS", "0", "token_seconds"),
        ("GATEWAY_CONFIG", "/nowhere/at/all.toml", "GATEWAY_CONFIG"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(name: str, value: str, where: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        load_settings({name: value})
    assert caught.value.where == where
    assert value not in str(caught.value)


def test_an_empty_path_is_no_path() -> None:
    settings = load_settings({"GATEWAY_TLS_KEY": "", "GATEWAY_SOURCES": "", "GATEWAY_DATA": ""})
    assert (settings.tls_key, settings.sources, settings.data) == (None, None, Settings().data)


def test_trusted_proxies_are_networks() -> None:
    given = load_settings({"GATEWAY_TRUSTED_PROXIES": "10.0.0.5/32,fd00::/8"})
    assert given.trusted_proxies == ("10.0.0.5/32", "fd00::/8")
    with pytest.raises(InvalidSetting) as caught:
        load_settings({"GATEWAY_TRUSTED_PROXIES": "proxy.example"})
    assert caught.value.where == "trusted_proxies"
