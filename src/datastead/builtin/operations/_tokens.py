"""JSON web tokens for the operation `json-web-token`: signing, and what has to hold of one that came from outside.

Names of options and what they mean are those of Directus's, that is of the npm package jsonwebtoken 9.
"""

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NoReturn

import orjson
from pydantic import BaseModel, ConfigDict, Field

from datastead.errors import InvalidPayload, OperationRejected

Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"
]
Span = int | float | str
BY_SECRET: tuple[Algorithm, ...] = ("HS256", "HS384", "HS512")
BY_KEY: tuple[Algorithm, ...] = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
)  # fmt: skip

LATEST_S = 2**53  # what every reader of JSON takes for a whole number
_SPAN = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_UNITS_S = {
    0.001: ("", "ms", "msec", "msecs", "millisecond", "milliseconds"), 1: ("s", "sec", "secs", "second", "seconds"),
    60: ("m", "min", "mins", "minute", "minutes"), 3600: ("h", "hr", "hrs", "hour", "hours"),
    86_400: ("d", "day", "days"), 604_800: ("w", "week", "weeks"), 31_557_600: ("y", "yr", "yrs", "year", "years"),
}  # fmt: skip
_SECONDS = {word: seconds for seconds, words in _UNITS_S.items() for word in words}
_CLAIMS = {"audience": "aud", "issuer": "iss", "subject": "sub", "jwtid": "jti"}


class TokenOptions(BaseModel):
    """The option `options`. One that is not known is refused: a misspelt `expiresIn` would make a token for ever."""

    model_config = ConfigDict(extra="forbid")

    algorithm: Algorithm | None = None
    algorithms: list[Algorithm] | None = Field(None, min_length=1)
    expiresIn: Span | None = None  # noqa: N815  the wire's names
    notBefore: Span | None = None  # noqa: N815
    audience: str | list[str] | None = None
    issuer: str | list[str] | None = None
    subject: str | None = None
    jwtid: str | None = None
    keyid: str | None = None
    nonce: str | None = None
    header: dict[str, Any] | None = None
    noTimestamp: bool = False  # noqa: N815
    complete: bool = False
    ignoreExpiration: bool = False  # noqa: N815
    ignoreNotBefore: bool = False  # noqa: N815
    clockTolerance: float = Field(0, ge=0)  # noqa: N815
    clockTimestamp: float | None = None  # noqa: N815
    maxAge: Span | None = None  # noqa: N815
    mutatePayload: bool = False  # noqa: N815  says nothing here: nobody sees the payload but the token
    json_: bool = Field(False, alias="json")  # the payload of a token is JSON here in any case


def sign(payload: Any, secret: str, options: TokenOptions, now: float) -> str:
    """A signed token. Raises `InvalidPayload` for what cannot be signed, or not with this secret."""
    import jwt

    if not isinstance(payload, dict) or not payload:
        raise InvalidPayload("To `sign` needs `payload`, an object.", field="payload")
    algorithm, headers = options.algorithm or "HS256", {"typ": "JWT", **(options.header or {})}
    if options.keyid is not None:
        headers["kid"] = options.keyid
    if not isinstance(headers.get("kid", ""), str):
        raise InvalidPayload("`kid` in the option `header` has to be text.", field="options")
    claims = orjson.dumps(_claims(payload, options, now), default=str)
    with _key_of(algorithm):
        return jwt.PyJWS().encode(claims, secret, algorithm, {**headers, "alg": algorithm})


def verify(token: str, secret: str, options: TokenOptions, now: float) -> Any:
    """The payload. Raises `OperationRejected` for a token that is not by the secret, or not for us, or not now."""
    import jwt

    allowed = options.algorithms or (BY_KEY if "-----BEGIN" in secret else BY_SECRET)
    found = _parts(token)
    if found is None:
        _refuse("it is no token")
    header, payload, signature = found
    algorithm = str(header.get("alg"))
    if algorithm not in allowed:
        _refuse(f"its algorithm is `{algorithm[:20]}`; allowed: {', '.join(f'`{each}`' for each in allowed)}")
    if "crit" in header:
        _refuse("its header asks for what is not known here (`crit`)")
    with _key_of(algorithm):
        try:
            jwt.PyJWS().decode_complete(token, secret, [algorithm])
        except jwt.InvalidSignatureError:
            _refuse("its signature is not by this secret")
        except jwt.DecodeError:
            _refuse("it is no token")
    _check_times(payload, options, now if options.clockTimestamp is None else options.clockTimestamp)
    _check_claims(payload, options)
    return _shown(header, payload, signature, options)


def decode(token: str, options: TokenOptions) -> Any:
    """The payload, by whomever it is signed; None for what is no token."""
    found = _parts(token)
    return None if found is None else _shown(*found, options)


def _shown(header: dict[str, Any], payload: Any, signature: str, options: TokenOptions) -> Any:
    return {"header": header, "payload": payload, "signature": signature} if options.complete else payload


def _parts(token: str) -> tuple[dict[str, Any], Any, str] | None:
    from jwt.exceptions import DecodeError
    from jwt.utils import base64url_decode

    pieces = token.strip().split(".")
    if len(pieces) != 3:
        return None
    try:
        header, payload = (orjson.loads(base64url_decode(piece)) for piece in pieces[:2])
    except (ValueError, DecodeError):
        return None
    return (header, payload, pieces[2]) if isinstance(header, dict) and isinstance(payload, dict) else None


def _claims(payload: dict[str, Any], options: TokenOptions, now: float) -> dict[str, Any]:
    begun = payload["iat"] if isinstance(payload.get("iat"), int | float) else math.floor(now)
    claims = {**payload, **({} if options.noTimestamp else {"iat": begun})}
    if options.noTimestamp:
        claims.pop("iat", None)
    given = {claim: getattr(options, name) for name, claim in _CLAIMS.items()}
    given |= {"exp": _at(begun, options.expiresIn, "expiresIn"), "nbf": _at(begun, options.notBefore, "notBefore")}
    for claim, value in given.items():
        if value is None:
            continue
        if claim in payload:
            raise InvalidPayload(
                f"The payload has `{claim}` already: leave it out there, or in `options`.", field="options"
            )
        claims[claim] = value
    return claims


def _at(begun: float, span: Span | None, name: str) -> int | None:
    if span is None:
        return None
    moment = begun + _seconds(span, name)
    if not abs(moment) < LATEST_S:
        raise InvalidPayload(f"`{name}` reaches too far: `{str(span)[:50]}`.", field="options")
    return math.floor(moment)


def _seconds(span: Span, name: str) -> float:
    """A number is of seconds; text has a unit, and is of milliseconds where it has none."""
    if not isinstance(span, str):
        return span
    found = _SPAN.fullmatch(span)
    unit = _SECONDS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise InvalidPayload(f"`{name}` is a number of seconds, or text such as `2h` or `7 days`, not `{span[:50]}`.")
    return float(found[1]) * unit


def _check_times(payload: dict[str, Any], options: TokenOptions, now: float) -> None:
    tolerance = options.clockTolerance
    if not options.ignoreNotBefore and (nbf := _moment(payload, "nbf")) is not None and nbf > now + tolerance:
        _refuse("it is not good yet", name="NotBeforeError")
    if not options.ignoreExpiration and (exp := _moment(payload, "exp")) is not None and now >= exp + tolerance:
        _refuse("it has expired", name="TokenExpiredError", code="TOKEN_EXPIRED", expiredAt=exp)
    if options.maxAge is not None:
        begun = _moment(payload, "iat")
        if begun is None:
            _refuse("it does not say when it was made (`iat`), which `maxAge` asks for")
        if now >= begun + _seconds(options.maxAge, "maxAge") + tolerance:
            _refuse("it is older than `maxAge`", name="TokenExpiredError", code="TOKEN_EXPIRED")


def _moment(payload: dict[str, Any], claim: str) -> float | None:
    value = payload.get(claim)
    if claim in payload and (isinstance(value, bool) or not isinstance(value, int | float)):
        _refuse(f"its `{claim}` is no number")
    return value


def _check_claims(payload: dict[str, Any], options: TokenOptions) -> None:
    for name, claim in (*_CLAIMS.items(), ("nonce", "nonce")):
        wanted = getattr(options, name)
        if wanted is not None and not set(_listed(wanted)) & {
            each for each in _listed(payload.get(claim)) if isinstance(each, str)
        }:
            _refuse(f"its `{claim}` is not the one of `{name}`")


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _refuse(reason: str, *, name: str = "JsonWebTokenError", code: str = "INVALID_TOKEN", **more: Any) -> NoReturn:
    message = f"The token was refused: {reason}."
    raise OperationRejected(message, data={"name": name, "message": message, "code": code, "status": 403, **more})


@contextmanager
def _key_of(algorithm: str) -> Iterator[None]:
    """Says of a secret that does not fit so, and never what it is. Short ones are taken, as Directus does."""
    import jwt

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jwt.warnings.InsecureKeyLengthWarning)
            yield
    except (jwt.InvalidKeyError, TypeError, ValueError, NotImplementedError):
        what = "a text, and no key" if algorithm.startswith("HS") else f"a key in PEM that fits `{algorithm}`"
        raise InvalidPayload(f"The secret does not fit: `{algorithm}` takes {what}.", field="secret") from None
