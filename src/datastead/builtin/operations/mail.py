"""The operation `mail`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from datastead import Chain, Context, Mail, Options, about_project, addresses, operation
from datastead.builtin.operations._items import json_or_text
from datastead.builtin.operations._text import Text
from datastead.errors import InvalidPayload


def _listed(value: Any) -> Any:
    """A list, also where it is JSON text, with lists in it as their entries; nothing for what is empty."""
    found = json_or_text(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    if not isinstance(found, list):
        return found or []
    return [entry for each in found for entry in (each if isinstance(each, list) else [each])]


def _checked(value: str | list[str]) -> str | list[str]:
    try:
        addresses(value)
    except InvalidPayload as error:
        raise ValueError(error.details["reason"]) from error
    return value


def _line(value: str) -> str:
    if any(not character.isprintable() for character in value):
        raise ValueError("a subject is one line of text: take line breaks out, as with `| trim` or `| replace`")
    return value


Recipients = Annotated[str | list[str], BeforeValidator(_listed), AfterValidator(_checked)]


class MailOptions(Options):
    """To whom, and what."""

    to: Recipients = Field(
        default_factory=list, description="An address such as `Ada <ada@example.com>`, several by commas, or a list."
    )
    cc: Recipients = Field(default_factory=list, description="Who gets a copy that all see.")
    bcc: Recipients = Field(default_factory=list, description="Who gets a copy that nobody sees.")
    reply_to: Recipients = Field(default_factory=list, alias="replyTo", description="Where answers go.")
    subject: Annotated[Text, AfterValidator(_line)] = Field(min_length=1, description="The subject: one line.")
    type: Literal["markdown", "wysiwyg", "template"] = Field(
        "markdown", description="What the body is: Markdown, HTML (`wysiwyg`), or what `template` makes of `data`."
    )
    body: Text = Field("", description="What it says. In Markdown tags are shown as text; HTML is sent as it is.")
    template: str | None = Field(None, description="A file of `EMAIL_TEMPLATES_PATH`, without `.html`; or `base`.")
    data: Annotated[dict[str, Any], BeforeValidator(lambda value: json_or_text(value) or {})] = Field(
        default_factory=dict, description="What the template shows; an object, or JSON text."
    )
    in_doubt: Literal["retry", "reject"] = Field(
        "retry", alias="inDoubt", description="What to do with a mail that was under way when the process died."
    )


@operation("mail", MailOptions, slow=True, at_most_once=True)
async def mail(ctx: Context, options: MailOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Sends a mail, and waits until the mail server has it; rejects where it does not take it. Gives null.

    The step gives the mail its `Message-ID`: one that is sent again after a crash has the same.
    """
    if not (options.to or options.cc or options.bcc):
        raise InvalidPayload("The mail has no recipient: give `to`.", field="to")
    await ctx.services.mailer.send(
        Mail(
            to=addresses(options.to),
            cc=addresses(options.cc),
            bcc=addresses(options.bcc),
            reply_to=addresses(options.reply_to),
            subject=options.subject,
            text=await _text(ctx, options),
            format="markdown" if options.type == "markdown" else "html",
            id=ctx.step,
        )
    )


async def _text(ctx: Context, options: MailOptions) -> str:
    if options.type != "template":
        return options.body
    data = {**await about_project(ctx), **options.data}
    return await ctx.services.mailer.render(options.template or "base", data)
