"""What mail about an account says."""

from datastead.auth.tickets import Purpose
from datastead.context import Context
from datastead.data.project import about_project
from datastead.mail import Mail

_SUBJECTS: dict[Purpose, str] = {
    "password-reset": "A new password for {project}",
    "invite": "You are invited to {project}",
    "pending-registration": "Confirm your address for {project}",
}
_TEXTS: dict[Purpose, str] = {
    "password-reset": "Somebody, most likely you, has asked for a new password for {email} at {project}.\n\n"
    "Choose one here:\n\n{url}\n\nThe link is good once. If it was not you, do nothing: your password stays as it is.",
    "invite": "You are invited to {project}, as {email}.\n\nChoose a password here:\n\n{url}\n\nThe link is good once.",
    "pending-registration": "Somebody, most likely you, has registered {email} at {project}: {origin}.\n\n"
    "Confirm that the address is yours, and that it was you:\n\n{url}\n\n"
    "If it was not you, do nothing: nobody can log in before. The link lets in who registered then, and nobody else.",
}


async def letter(ctx: Context, purpose: Purpose, email: str, url: str, **more: str) -> Mail:
    """The mail, with the project's name. more: `origin`, of a registration: when it was, and from where."""
    known = {"project": (await about_project(ctx))["projectName"], "email": email, "url": url, **more}
    return Mail(email, _SUBJECTS[purpose].format(**known), f"{_TEXTS[purpose].format(**known)}\n")
