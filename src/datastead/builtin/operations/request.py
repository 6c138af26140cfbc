"""The operation `request`."""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, Field

from datastead import Answer, Chain, Context, Options, fetch, operation
from datastead.builtin.operations._items import json_or_text
from datastead.errors import OperationRejected


class Header(BaseModel):
    """An HTTP header."""

    header: str
    value: str


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class RequestOptions(Options):
    """The request."""

    url: str = Field(min_length=1, description="Where to; private addresses are refused.")
    method: Annotated[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"], BeforeValidator(_upper)] = (
        "GET"
    )
    headers: list[Header] | None = Field(None, description="Headers, each `{header, value}`.")
    body: Any = Field(None, description="The body: text, or any value, which is sent as JSON.")
    timeout: float = Field(30, gt=0, le=600, description="How long to wait for the answer, in seconds.")
    in_doubt: Literal["retry", "reject"] = Field(
        "reject", alias="inDoubt", description="What to do with a request that was under way when the process died."
    )


@operation("request", RequestOptions, slow=True, at_most_once=True)
async def request(ctx: Context, options: RequestOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Sends an HTTP request. Gives `{status, statusText, headers, data}`; an answer that is not 2xx rejects with it."""
    headers = {header.header: header.value for header in options.headers or ()}
    body = _body(options.body, headers)
    answer = await fetch(
        ctx.services.settings, options.method, options.url, headers=headers, body=body, timeout_s=options.timeout
    )
    result = {
        "status": answer.status, "statusText": answer.reason, "headers": dict(answer.headers), "data": _data(answer),
    }  # fmt: skip
    if not 200 <= answer.status < 300:
        raise OperationRejected(f"The request was answered with {answer.status}.", data=result)
    return result


def _body(body: Any, headers: dict[str, str]) -> bytes | None:
    """The body's bytes; says in the headers that it is JSON, where it is and they do not say otherwise."""
    if body is None or body == "":
        return None
    is_json = not isinstance(body, str) or isinstance(json_or_text(body), dict | list)
    if is_json and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "application/json"
    return body.encode() if isinstance(body, str) else orjson.dumps(body, default=str)


def _data(answer: Answer) -> Any:
    if "json" not in answer.headers.get("content-type", ""):
        return answer.text
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return answer.text
