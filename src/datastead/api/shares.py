"""`/shares`: what a share lets see, tokens for whoever has its link, and mail with that link."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from datastead.api.answers import NoContent, data
from datastead.api.auth import answer_of, mode_of
from datastead.api.body import invalid, optional_text, text_of
from datastead.api.openapi import body_of
from datastead.api.request import Body, RequestContext, Visitor
from datastead.auth import shares

router = APIRouter(prefix="/shares", tags=["Shares"])

_TEXT: dict[str, Any] = {"type": "string"}
_EMAILS: dict[str, Any] = {"type": "array", "items": _TEXT}


@router.get("/info/{share}")
async def read_share_info(ctx: Visitor, share: str) -> Response:
    """What everybody with the link may know: of which item it is, and whether it has a password."""
    return data(await shares.info(ctx, share))


@router.post("/auth", openapi_extra=body_of(share=_TEXT, password=_TEXT, mode=_TEXT))
async def authenticate_share(ctx: Visitor, body: Body) -> Response:
    """Tokens with which the item of the share can be read, and nothing else."""
    mode = mode_of(body, "json")
    session = await shares.log_in(ctx, text_of(body, "share"), optional_text(body, "password"), mode)
    return answer_of(ctx.services.settings, session, mode)


@router.post("/invite", openapi_extra=body_of(share=_TEXT, emails=_EMAILS))
async def invite_to_share(ctx: RequestContext, body: Body) -> Response:
    """Sends the link of a share to each of the addresses."""
    emails = body.get("emails")
    if not isinstance(emails, list) or not emails or not all(isinstance(email, str) for email in emails):
        raise invalid("`emails` has to be a list of email addresses.")
    await shares.invite(ctx, text_of(body, "share"), emails)
    return NoContent()
