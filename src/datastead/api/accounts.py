"""`/users/invite` and `/users/register`: how users come to be who were not given a password."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from datastead.api.answers import NoContent
from datastead.api.body import invalid, optional_text, text_of
from datastead.api.openapi import body_of
from datastead.api.request import Body, Parameters, RequestContext, Visitor
from datastead.auth import invitations, registration

router = APIRouter(prefix="/users", tags=["Users"])

_STRING: dict[str, Any] = {"type": "string"}


@router.post("/invite", openapi_extra=body_of(email=_STRING, role=_STRING, invite_url=_STRING))
async def invite(ctx: RequestContext, body: Body) -> Response:
    """Makes users of an address, or a list of them, and sends each a link. Who may create users may invite."""
    given = body.get("email")
    emails = given if isinstance(given, list) else [text_of(body, "email")]
    if not all(isinstance(email, str) for email in emails):
        raise invalid("`email` has to be an address, or a list of them.")
    await invitations.invite(ctx, emails, optional_text(body, "role"), optional_text(body, "invite_url"))
    return NoContent()


@router.post("/invite/accept", openapi_extra=body_of(token=_STRING, password=_STRING))
async def accept_invitation(ctx: Visitor, body: Body) -> Response:
    """Gives the invited user a password; the token of the link is good once."""
    await invitations.accept(ctx, text_of(body, "token"), text_of(body, "password"))
    return NoContent()


@router.post(
    "/register",
    openapi_extra=body_of(
        email=_STRING, password=_STRING, first_name=_STRING, last_name=_STRING, verification_url=_STRING
    ),
)
async def register(ctx: Visitor, body: Body) -> Response:
    """Makes a user who confirms the address by a link, where the settings let strangers register."""
    names = {name: optional_text(body, name) for name in registration.NAMES if name in body}
    given = {"email": text_of(body, "email"), "password": text_of(body, "password"), **names}
    await registration.register(ctx, given, optional_text(body, "verification_url"))
    return NoContent()


@router.get("/register/verify-email")
async def verify_email(ctx: Visitor, request: Request, parameters: Parameters) -> Response:
    """Lets the user in whose address the link confirms. A browser is led to the user's page in the app."""
    user = await registration.verify(ctx, text_of(parameters, "token"))
    public_url = ctx.services.settings.public_url
    if public_url is None or "text/html" not in request.headers.get("accept", ""):
        return NoContent()
    return RedirectResponse(f"{public_url.rstrip('/')}/admin/users/{user}", 302)
