"""Settings: one frozen object, from `GATEWAY_*` variables or a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from gateway.errors import InvalidSetting

CHI_SYSTEM = "urn:oid:2.16.840.1.113883.2.1.3.2.4.16.53"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, with its default; the README table lists the same (a test compares)."""

    data: Path = Path("data")
    database: str = ""
    mappings: Path | None = None
    sources: Path | None = None
    policy: Path | None = None
    base_url: str = "http://127.0.0.1:8000"
    host: str = "127.0.0.1"
    port: int = 8000
    trusted_proxies: tuple[str, ...] = ()
    http_processes: int = 2
    http_threads: int = 2
    mllp_host: str = "127.0.0.1"
    mllp_port: int = 2575
    mllp_idle_seconds: float = 3600.0
    mllp_frame_seconds: float = 30.0
    mllp_connections: int = 200
    mllp_tls_port: int = 2576
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    max_message_bytes: int = 50_000_000
    folder_poll_seconds: float = 5.0
    retention_days: int = 0
    refused_retention_days: int = 90
    audit_retention_days: int = 0
    work_threads: int = 2
    retry_seconds: float = 5.0
    lease_seconds: float = 30.0
    urgent_tests: tuple[str, ...] = ()
    held_alert_stat_minutes: int = 60
    held_alert_urgent_minutes: int = 240
    held_alert_routine_minutes: int = 1440
    chi_system: str = CHI_SYSTEM
    chi_placeholders: tuple[str, ...] = ("1111111111",)
    chi_undated: bool = False
    patient_authorities: tuple[str, ...] = ()
    lookup: str = ""
    lookup_match: bool = False
    lookup_seconds: float = 5.0
    lookup_remember_seconds: float = 60.0
    lookup_ca: Path | None = None
    lookup_certificate: Path | None = None
    lookup_key: Path | None = None
    lookup_token_url: str = ""
    lookup_client: str = ""
    lookup_client_key: Path | None = None
    patient_clients: tuple[str, ...] = ()
    token_seconds: int = 300
    keys: Path | None = None
    sign_in_local: bool = True
    sign_in_issuer: str = ""
    sign_in_client_id: str = ""
    sign_in_client_secret_file: Path | None = None
    sign_in_tenant: str = ""
    sign_in_guests: bool = False
    sign_in_require: tuple[str, ...] = ()
    sign_in_role_claim: str = "roles"
    sign_in_roles: tuple[str, ...] = ()
    session_idle_minutes: int = 30
    session_minutes: int = 600
    person_token_seconds: int = 600
    online_hours: int = 12
    offline_days: int = 30
    registration: str = "off"
    registration_scope: str = (
        "launch launch/patient openid fhirUser offline_access online_access patient/*.rs user/*.rs"
    )
    rate_per_minute: int = 120
    page_size: int = 50
    page_size_max: int = 500
    development: bool = False
    log_level: str = "info"

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL: the configured one, or SQLite in the data folder."""
        return self.database or f"sqlite:///{(self.data / 'gateway.db').resolve()}"

    @property
    def key_folder(self) -> Path:
        """Where keys are: the configured folder, or `keys` in the data folder."""
        return self.keys or self.data / "keys"

    @property
    def https(self) -> bool:
        """Whether browsers reach the gateway over TLS."""
        return self.base_url.startswith("https://")

    @property
    def fhir_base(self) -> str:
        """The FHIR base URL, as clients see it."""
        return self.base_url.rstrip("/") + "/fhir"


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read settings from `GATEWAY_CONFIG` (a TOML file) and then `GATEWAY_*`, which win.

    Raises InvalidSetting that names the setting, never its value.
    """
    given: dict[str, Any] = {}
    if file := environment.get("GATEWAY_CONFIG"):
        given.update(_from_file(Path(file)))
    names = {field.name for field in fields(Settings)}
    for name, value in environment.items():
        short = name.removeprefix("GATEWAY_").lower()
        if name.startswith("GATEWAY_") and short != "config":
            if short not in names:
                raise InvalidSetting("there is no such setting", where=name)
            given[short] = value
    settings = Settings(**{name: _convert(name, value) for name, value in given.items()})
    _check(settings)
    return settings


def _from_file(path: Path) -> dict[str, Any]:
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting("the file cannot be read", where="GATEWAY_CONFIG") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting("the file is not valid TOML", where="GATEWAY_CONFIG") from error
    names = {field.name for field in fields(Settings)}
    if unknown := sorted(given.keys() - names):
        raise InvalidSetting("there is no such setting", where=unknown[0])
    return given


def _convert(name: str, value: Any) -> Any:
    default = getattr(_DEFAULTS, name)
    try:
        if name in _PATHS:
            return Path(value) if value else default
        if isinstance(default, bool):
            return _boolean(value)
        if isinstance(default, tuple):
            listed = value.split(",") if isinstance(value, str) else value
            return tuple(one for one in listed if one)
        return type(default)(value)
    except (TypeError, ValueError) as error:
        raise InvalidSetting("not of the right kind", where=name) from error


def _boolean(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]


def _check(settings: Settings) -> None:
    for network in settings.trusted_proxies:
        try:
            ip_network(network)
        except ValueError as error:
            raise InvalidSetting("must be networks such as 10.0.0.5/32",
                                 where="trusted_proxies") from error  # fmt: skip
    if not settings.base_url.startswith(("http://", "https://")):
        raise InvalidSetting("must be an absolute http or https URL", where="base_url")
    for name in (
        "max_message_bytes", "token_seconds", "person_token_seconds", "online_hours",
        "offline_days", "rate_per_minute", "page_size", "page_size_max",
        "held_alert_stat_minutes", "held_alert_urgent_minutes", "held_alert_routine_minutes",
        "session_idle_minutes", "session_minutes",
    ):  # fmt: skip
        if getattr(settings, name) <= 0:
            raise InvalidSetting("must be greater than zero", where=name)
    _check_lookup(settings)
    _check_oauth(settings)


def _check_lookup(settings: Settings) -> None:
    if settings.lookup and not settings.lookup.startswith(_LOOKUPS):
        raise InvalidSetting("must be an mllp, mllps, http or https URL", where="lookup")
    if bool(settings.lookup_certificate) != bool(settings.lookup_key):
        raise InvalidSetting("certificate and key go together", where="lookup_key")


def _check_oauth(settings: Settings) -> None:
    if settings.sign_in_issuer and not settings.sign_in_client_id:
        raise InvalidSetting("is needed with sign_in_issuer", where="sign_in_client_id")
    if settings.person_token_seconds > 600:
        raise InvalidSetting("must be ten minutes or less", where="person_token_seconds")
    if settings.registration not in ("off", "token", "open"):
        raise InvalidSetting("must be off, token or open", where="registration")
    if settings.registration == "open" and not settings.development:
        raise InvalidSetting("is open in development only", where="registration")


_PATHS = (
    "data", "mappings", "sources", "policy", "tls_certificate", "tls_key", "tls_client_ca", "keys",
    "sign_in_client_secret_file", "lookup_ca", "lookup_certificate", "lookup_key",
    "lookup_client_key",
)  # fmt: skip
_LOOKUPS = ("mllp://", "mllps://", "http://", "https://")
_DEFAULTS = Settings()
