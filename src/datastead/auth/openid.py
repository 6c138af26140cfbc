"""OpenID Connect: asking a provider who somebody is, and checking what it says.

The code flow with PKCE, state and nonce. Authlib and joserfc do the checking. Source: OpenID Connect Core 1.0 and
Discovery 1.0, RFC 7636, RFC 9207. (Checked 2026-11.)
"""

import base64
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode, urlsplit

import orjson

from datastead import outgoing
from datastead.errors import DatasteadError, InvalidCredentials, RouteNotFound, ServiceUnavailable

if TYPE_CHECKING:
    from datastead.settings import Settings
    from datastead.settings.access import OpenIdProvider

log = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/openid-configuration"
KEPT_S = 3600
"""How long what a provider says of itself is believed."""

KEYS_EVERY_S = 60
"""Keys that are not known are asked for this often at most: anybody can send a token with a made-up key."""

TIMEOUT_S = 10
MAX_BYTES = 1 << 20
LEEWAY_S = 60
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""With two keys each: with `none` and `HS256` a token proves nothing that a client could not have made."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one login is tied to; kept in a signed cookie of the browser that began it."""

    verifier: str
    state: str
    nonce: str

    @classmethod
    def new(cls) -> "Attempt":
        return cls(secrets.token_urlsafe(48), secrets.token_urlsafe(24), secrets.token_urlsafe(24))


class OpenId:
    """One provider."""

    def __init__(self, settings: "Settings", name: str, provider: "OpenIdProvider") -> None:
        self.name = name
        self.provider = provider
        self._settings = settings
        self._known: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, Any] | None = None

    @property
    def callback(self) -> str:
        """Where the provider sends the user back to."""
        return f"{(self._settings.public_url or '').rstrip('/')}/auth/login/{self.name}/callback"

    async def address(self, attempt: Attempt, *, prompt: bool = False) -> str:
        """Where the user is sent to. Raises `ServiceUnavailable`."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        known = await self._metadata()
        asked = {
            **({"prompt": "consent"} if prompt else {}), **self.provider.params,
            "client_id": self.provider.client_id, "response_type": "code", "redirect_uri": self.callback,
            "scope": self.provider.scope, "state": attempt.state, "nonce": attempt.nonce,
            "code_challenge": create_s256_code_challenge(attempt.verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        where = _required(known, "authorization_endpoint")
        return f"{where}{'&' if urlsplit(where).query else '?'}{urlencode(asked)}"

    async def claims(self, attempt: Attempt, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider says of the user. given: the query that the user came back with.

        Raises `InvalidCredentials` for anything that does not hold, `ServiceUnavailable` where it cannot be asked.
        """
        known = await self._metadata()
        self._check(known, attempt, given)
        tokens = await self._tokens(known, attempt, str(given["code"]))
        claims = await self._verified(known, tokens, attempt.nonce)
        return await self._with_userinfo(known, tokens, claims)

    def _check(self, known: Mapping[str, Any], attempt: Attempt, given: Mapping[str, Any]) -> None:
        is_of_another = "iss" in given and given["iss"] != known["issuer"]
        lacks_issuer = known.get("authorization_response_iss_parameter_supported") is True and "iss" not in given
        state, code = given.get("state"), given.get("code")
        is_ours = isinstance(state, str) and secrets.compare_digest(state.encode(), attempt.state.encode())
        if is_of_another or lacks_issuer or not is_ours or not isinstance(code, str) or not code:
            raise InvalidCredentials

    async def _tokens(self, known: Mapping[str, Any], attempt: Attempt, code: str) -> dict[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.callback,
                "code_verifier": attempt.verifier}  # fmt: skip
        client, secret = self.provider.client_id, self.provider.client_secret.get_secret_value()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        methods = known.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" in methods:
            pair = f"{quote_plus(client)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form |= {"client_id": client, "client_secret": secret}
        answer = await self._ask("POST", _required(known, "token_endpoint"), headers, urlencode(form).encode())
        if answer.status in {400, 401}:
            log.warning("The provider `%s` refused a code: %s", self.name, _error_of(answer))
            raise InvalidCredentials
        return self._object(answer)

    async def _verified(self, known: Mapping[str, Any], tokens: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        from joserfc.errors import JoseError

        token, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(token, str):
            raise InvalidCredentials
        expected = {"nonce": nonce, "access_token": access_token, "client_id": self.provider.client_id}
        try:
            try:
                return verified(token, await self._key_set(known), known, expected)
            except _UnknownKeyError:
                return verified(token, await self._key_set(known, anew=True), known, expected)
        except (JoseError, ValueError) as error:
            log.warning("The id token of the provider `%s` does not hold: %s", self.name, type(error).__name__)
            raise InvalidCredentials from None

    async def _with_userinfo(
        self, known: Mapping[str, Any], tokens: Mapping[str, Any], claims: dict[str, Any]
    ) -> dict[str, Any]:
        where, token = known.get("userinfo_endpoint"), tokens.get("access_token")
        if not isinstance(where, str) or not isinstance(token, str):
            return claims
        answer = await self._ask("GET", where, {"Authorization": f"Bearer {token}", "Accept": "application/json"})
        if not answer.headers.get("content-type", "").startswith("application/json"):
            return claims  # signed answers, which we did not ask for
        more = self._object(answer)
        if more.get("sub") != claims["sub"]:
            raise InvalidCredentials
        return {**more, **claims}

    async def _metadata(self) -> dict[str, Any]:
        if self._known is None or time.monotonic() - self._known[0] > KEPT_S:
            issuer = self.provider.issuer_url.removesuffix(WELL_KNOWN).rstrip("/")
            found = self._object(await self._ask("GET", f"{issuer}{WELL_KNOWN}", {"Accept": "application/json"}))
            if str(found.get("issuer")).rstrip("/") != issuer:
                raise self._unavailable("it says that it is another issuer than `ISSUER_URL`")
            self._known = (time.monotonic(), found)
        return self._known[1]

    async def _key_set(self, known: Mapping[str, Any], *, anew: bool = False) -> Any:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        age_s = time.monotonic() - self._keys[0] if self._keys is not None else None
        if self._keys is None or age_s is None or age_s > (KEYS_EVERY_S if anew else KEPT_S):
            found = self._object(await self._ask("GET", _required(known, "jwks_uri"), {"Accept": "application/json"}))
            try:
                self._keys = (time.monotonic(), KeySet.import_key_set({"keys": _signing(found.get("keys"))}))
            except (JoseError, ValueError, TypeError, KeyError):
                raise self._unavailable("its keys cannot be read") from None
        return self._keys[1]

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Any:
        try:
            return await outgoing.fetch(
                self._settings, method, url, headers=headers, body=body, timeout_s=TIMEOUT_S, max_bytes=MAX_BYTES,
                configured=True,
            )  # fmt: skip
        except DatasteadError as error:
            raise self._unavailable(error.message.rstrip(".")) from error

    def _object(self, answer: outgoing.Answer) -> dict[str, Any]:
        try:
            found = orjson.loads(answer.body) if answer.status == 200 else None
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise self._unavailable(f"it answered {answer.status}, and nothing that can be read")
        return found

    def _unavailable(self, why: str) -> ServiceUnavailable:
        return ServiceUnavailable(f"The provider `{self.name}` cannot be asked: {why}.", service=self.name, reason=why)


class Providers:
    """All of `AUTH_PROVIDERS`."""

    def __init__(self, settings: "Settings") -> None:
        options = settings.auth_provider_options
        self._all = {name: OpenId(settings, name, options[name]) for name in settings.auth_providers}

    def __iter__(self) -> Any:
        return iter(self._all.values())

    def get(self, name: str) -> OpenId:
        """Raises `RouteNotFound` for a name that is none."""
        if name not in self._all:
            raise RouteNotFound(f"There is no provider `{name[:64]}` in `AUTH_PROVIDERS`.")
        return self._all[name]


class _UnknownKeyError(ValueError):
    """The token is signed with a key that is not among those."""


def verified(token: str, keys: Any, known: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of an id token, as far as they hold.

    known: what the provider says of itself. expected: `client_id`, `nonce`, and the `access_token` that came with it.
    Raises `JoseError` or `ValueError` for what does not hold: signature, issuer, audience, nonce, times.
    """
    from authlib.oidc.core import CodeIDToken
    from joserfc import jwt
    from joserfc.jws import extract_compact

    supported = known.get("id_token_signing_alg_values_supported") or ["RS256"]
    algorithms = [name for name in ALGORITHMS if name in supported]
    header = extract_compact(token.encode()).headers()
    if header.get("alg") not in algorithms:
        raise ValueError("its algorithm is not one that the provider signs with")
    if "kid" in header and not any(key.kid == header["kid"] for key in keys.keys):
        raise _UnknownKeyError
    decoded = jwt.decode(token, keys, algorithms=algorithms)
    options = {"iss": {"essential": True, "value": known["issuer"]},
               "aud": {"essential": True, "value": expected["client_id"]}}  # fmt: skip
    claims = CodeIDToken(decoded.claims, decoded.header, options, dict(expected))
    claims.validate(leeway=LEEWAY_S)
    if not isinstance(claims.get("sub"), str):
        raise ValueError("it names nobody")  # noqa: TRY004  what does not hold is a `ValueError`
    return dict(claims)


def _signing(keys: Any) -> list[Any]:
    """Those of the keys that sign, of kinds with two keys."""
    listed = keys if isinstance(keys, list) else []
    return [
        key
        for key in listed
        if isinstance(key, dict) and key.get("use", "sig") == "sig" and key.get("kty") in {"RSA", "EC", "OKP"}
    ]


def _required(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    if not isinstance(value, str) or urlsplit(value).scheme not in {"http", "https"}:
        raise ServiceUnavailable(f"The provider does not say its `{name}`.", reason=f"no `{name}`")
    return value


def _error_of(answer: outgoing.Answer) -> str:
    """The code of an error, which is a word; nothing else of what was answered."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return str(answer.status)
    code = found.get("error") if isinstance(found, dict) else None
    return code if isinstance(code, str) and code.isidentifier() and len(code) < 64 else str(answer.status)
