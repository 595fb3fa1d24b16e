"""The authorization server of one process: its endpoints, opened once."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.oauth.authenticate import Authenticator
from gateway.oauth.authorize import AuthorizeEndpoint
from gateway.oauth.bearer import Bearers
from gateway.oauth.dpop import Proofs
from gateway.oauth.introspect import IntrospectEndpoint, RevokeEndpoint
from gateway.oauth.issuer import Issuer
from gateway.oauth.launch import LaunchEndpoint
from gateway.oauth.rate import RateLimit
from gateway.oauth.registration import RegisterEndpoint
from gateway.oauth.token import TokenEndpoint


@dataclass(frozen=True, slots=True)
class OAuthServer:
    """Every endpoint of the authorization server."""

    issuer: Issuer
    authorize: AuthorizeEndpoint
    token: TokenEndpoint
    introspect: IntrospectEndpoint
    revoke: RevokeEndpoint
    register: RegisterEndpoint
    launch: LaunchEndpoint
    rate: RateLimit


def open_oauth(issuer: Issuer, bearers: Bearers) -> OAuthServer:
    """Open the endpoints."""
    authenticator = Authenticator(issuer)
    proofs = Proofs(issuer.database, issuer.clock)
    return OAuthServer(
        issuer=issuer,
        authorize=AuthorizeEndpoint(issuer),
        token=TokenEndpoint(issuer, authenticator, proofs),
        introspect=IntrospectEndpoint(issuer, authenticator, bearers),
        revoke=RevokeEndpoint(issuer, authenticator, bearers),
        register=RegisterEndpoint(issuer),
        launch=LaunchEndpoint(issuer),
        rate=RateLimit(issuer.settings.rate_per_minute, issuer.clock),
    )
