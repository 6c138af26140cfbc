"""Attachments, tiers and options in the forms that wire formats share."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from datastead.errors import UnsupportedCapability
from datastead.messages import Attachment, Call, ServiceTier

PDF = "application/pdf"
_TEXTUAL = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})


def base64(data: bytes) -> str:
    """The bytes as base64 text."""
    return b64encode(data).decode("ascii")


def data_url(attachment: Attachment) -> str:
    """The attachment as a URL: its own, or one that holds its bytes."""
    if attachment.url is not None:
        return attachment.url
    return f"data:{attachment.media_type};base64,{base64(attachment.data or b'')}"


def is_image(attachment: Attachment) -> bool:
    return attachment.media_type.startswith("image/")


def inline_text(attachment: Attachment) -> str | None:
    """The text of a text file that came as bytes, under its name; None for everything else."""
    textual = attachment.media_type.startswith("text/") or attachment.media_type in _TEXTUAL
    if attachment.data is None or not textual:
        return None
    text = attachment.data.decode("utf-8", errors="replace")
    return f"{attachment.filename}:\n{text}" if attachment.filename else text


def unsupported(attachment: Attachment, where: str) -> UnsupportedCapability:
    """The error for an attachment that the wire format has no place for."""
    form = "bytes" if attachment.data is not None else "a URL" if attachment.url is not None else "a file id"
    return UnsupportedCapability(
        f"{where} takes no `{attachment.media_type}` as {form}.", media_type=attachment.media_type
    )


def service_tier(call: Call, known: tuple[ServiceTier, ...], where: str) -> ServiceTier | None:
    """The tier that the call asks for; raises `UnsupportedCapability` where the wire format has none such."""
    if call.service_tier is None or call.service_tier in known:
        return call.service_tier
    has = f"it has {', '.join(f'`{tier}`' for tier in known)}" if known else "it has none"
    raise UnsupportedCapability(
        f"{where} takes no `{call.service_tier}` tier: {has}.",
        capability="service_tier", value=call.service_tier, allowed=list(known),
    )  # fmt: skip


def merged(body: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The request's JSON without what is None, and with the caller's own options over it, objects within objects."""
    kept = {key: value for key, value in body.items() if value is not None}
    return {**kept, **{key: _over(kept.get(key), value) for key, value in options.items()}}


def _over(below: Any, value: Any) -> Any:
    return merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
