// openid-client as its users call it. In: what it must know, as one JSON argument. Out: JSON lines;
// a line with `open` is an address for the person's browser, and the next line read is where the
// browser came back to. The last line says what happened.
import * as oidc from "openid-client";
import { createInterface } from "node:readline";

const given = JSON.parse(process.argv[2]);
const insecure = { execute: [oidc.allowInsecureRequests] }; // loopback has no TLS
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function tell(about) {
  process.stdout.write(`${JSON.stringify(about)}\n`);
}

async function discovered(clientId, authentication, algorithm) {
  const options = { ...insecure, algorithm };
  const server = new URL(given.issuer);
  return oidc.discovery(server, clientId, undefined, authentication, options);
}

async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return { status: error.status ?? error.cause?.status, error: error.error ?? error.code };
  }
  return null;
}

async function signIn(config) {
  const checks = {
    pkceCodeVerifier: oidc.randomPKCECodeVerifier(),
    expectedState: oidc.randomState(),
    expectedNonce: oidc.randomNonce(),
    idTokenExpected: true,
  };
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: given.redirect_uri,
    scope: given.scope,
    code_challenge: await oidc.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: "S256",
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    aud: given.fhir,
  });
  tell({ open: url.href });
  const back = new URL((await lines.next()).value);
  const exchange = () => oidc.authorizationCodeGrant(config, back, checks);
  return { tokens: await exchange(), exchange };
}

async function person() {
  const config = await discovered(given.client_id, oidc.None(), "oidc");
  oidc.enableNonRepudiationChecks(config); // the signature too, although it came over this line
  const { tokens, exchange } = await signIn(config);
  const { sub, fhirUser, amr } = tokens.claims();
  const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, sub);
  const next = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  const oldRefresh = await refused(oidc.refreshTokenGrant(config, tokens.refresh_token));
  const afterwards = await refused(oidc.refreshTokenGrant(config, next.refresh_token));
  const second = await signIn(config);
  const reused = await refused(exchange());
  const reusedSecond = await refused(second.exchange());
  const ended = await refused(oidc.fetchUserInfo(config, second.tokens.access_token, sub));
  const third = await signIn(config);
  await oidc.tokenRevocation(config, third.tokens.refresh_token);
  const revoked = await refused(oidc.refreshTokenGrant(config, third.tokens.refresh_token));
  return {
    sub, fhirUser, amr, userinfo, oldRefresh, afterwards, reused, reusedSecond, ended, revoked,
    refreshed: next.claims().sub === sub,
  };
}

// The same with tokens that are bound to a key of the moment (RFC 9449).
async function bound(config, url) {
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair());
  const asked = { scope: given.system_scope };
  const tokens = await oidc.clientCredentialsGrant(config, asked, { DPoP });
  const read = (more) => oidc.fetchProtectedResource(
    config, tokens.access_token, url, "GET", undefined, undefined, more,
  );
  const { total } = await (await read({ DPoP })).json();
  return { type: tokens.token_type, total, unbound: (await refused(read())).status };
}

async function backend({ client_id: clientId, key }) {
  const algorithm = key.kty === "RSA"
    ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" }
    : { name: "ECDSA", namedCurve: "P-384" };
  const signs = await crypto.subtle.importKey("jwk", key, algorithm, false, ["sign"]);
  const authentication = oidc.PrivateKeyJwt({ key: signs, kid: key.kid });
  const config = await discovered(clientId, authentication, "oauth2");
  const tokens = await oidc.clientCredentialsGrant(config, { scope: given.system_scope });
  const url = new URL(`${given.fhir}/DiagnosticReport?_total=accurate`);
  const answer = await oidc.fetchProtectedResource(config, tokens.access_token, url, "GET");
  const about = await oidc.tokenIntrospection(config, tokens.access_token);
  const { total } = await answer.json();
  return {
    alg: key.alg,
    scope: tokens.scope,
    expires_in: tokens.expires_in,
    refresh: "refresh_token" in tokens,
    total,
    active: about.active,
    bound: await bound(config, url),
  };
}

if (given.backends) {
  tell(await Promise.all(given.backends.map(backend)));
} else {
  tell(await person());
}
process.exit(0);
