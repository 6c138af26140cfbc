"""The operation `json-web-token`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr

from datastead import Chain, Context, Options, operation
from datastead.builtin.operations import _tokens
from datastead.builtin.operations._items import Json, json_or_text
from datastead.errors import InvalidPayload


class JsonWebTokenOptions(Options):
    """What to do, with which token and secret."""

    operation: Literal["sign", "verify", "decode"] = Field(
        description="`sign` a payload, `verify` a token, or `decode` one without looking at its signature."
    )
    payload: Json = Field(None, description="What to sign: an object, or JSON text.")
    token: SecretStr | None = Field(None, description="The token to verify or decode. The journal does not keep it.")
    secret: SecretStr | None = Field(
        None,
        description="The secret, or a key in PEM: such as `{{ $env.TOKEN_SECRET }}`. The journal does not keep it.",
    )
    options: Annotated[_tokens.TokenOptions, BeforeValidator(lambda value: json_or_text(value) or {})] = Field(
        default_factory=_tokens.TokenOptions,
        description="`algorithm`, `expiresIn`, `audience`, `issuer`, `subject` …; an object, or JSON text.",
    )


@operation("json-web-token", JsonWebTokenOptions)
async def json_web_token(ctx: Context, options: JsonWebTokenOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Signs, verifies or decodes a JSON web token. Gives the token, or its payload; null where there is none to decode.

    Where no algorithm is named, `sign` takes HS256. `verify` takes HS256, HS384 and HS512 where the secret is a text,
    and RS, PS and ES where it is a key in PEM. A token without a signature (`none`) is refused.

    `options` of `sign`: `algorithm`, `expiresIn` and `notBefore` (seconds, or text such as `2h`), `audience`, `issuer`,
    `subject`, `jwtid`, `keyid`, `header`, `noTimestamp`. Of `verify`: `algorithms`, `audience`, `issuer`, `subject`,
    `jwtid`, `nonce`, `maxAge`, `clockTolerance` (seconds), `clockTimestamp`, `ignoreExpiration`, `ignoreNotBefore`.
    Of `verify` and `decode`: `complete`, for header, payload and signature.
    """
    now = ctx.now().timestamp()
    if options.operation == "sign":
        return _tokens.sign(options.payload, _given(options, "secret"), options.options, now)
    if options.operation == "verify":
        return _tokens.verify(_given(options, "token"), _given(options, "secret"), options.options, now)
    return _tokens.decode(_given(options, "token"), options.options)


def _given(options: JsonWebTokenOptions, name: Literal["token", "secret"]) -> str:
    value = options.token if name == "token" else options.secret
    if value is None or not value.get_secret_value():
        raise InvalidPayload(f"To `{options.operation}` needs `{name}`.", field=name)
    return value.get_secret_value()
