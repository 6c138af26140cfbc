"""Mail by each transport, to a real server and a real program."""

import sys
from pathlib import Path

import pytest

from datastead.errors import InvalidPayload, ServiceUnavailable
from datastead.mail import Mail, Mailer
from datastead.settings import Settings
from tests.mailbox import Mailbox

MAIL = Mail("zoe@example.com", "Hello\r\nBcc: all@example.com", "Grüße\n.\nhttps://example.com/?token=x\n")


def smtp(mailbox: Mailbox, **more: object) -> Mailer:
    return Mailer(
        Settings(email_transport="smtp", email_smtp_host="127.0.0.1", email_smtp_port=mailbox.port, **more)  # type: ignore[arg-type]  # any of them
    )


async def test_mail_arrives_by_smtp_as_it_was_written() -> None:
    with Mailbox() as mailbox:
        await smtp(mailbox, email_from="Data <data@example.com>").send(MAIL)
        mail = mailbox.mail_to("zoe@example.com")
    assert (mail["From"], mail["Subject"], mail["Bcc"]) == (
        "Data <data@example.com>",
        "Hello Bcc: all@example.com",
        None,
    )
    assert mail.get_content().replace("\r\n", "\n") == MAIL.text


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the mail server's, which has no TLS here
async def test_the_mail_servers_password_is_used_and_never_shown() -> None:
    with Mailbox(login=("data", "canary-secret")) as mailbox:
        right = smtp(mailbox, email_smtp_user="data", email_smtp_password="canary-secret")
        await right.send(MAIL)
        assert len(mailbox.mails_to("zoe@example.com")) == 1
        with pytest.raises(ServiceUnavailable) as wrong:
            await smtp(mailbox, email_smtp_user="data", email_smtp_password="canary-wrong").send(MAIL)
    assert "535" in wrong.value.message
    assert "canary" not in f"{wrong.value!r} {wrong.value.details} {right._settings!r}"


async def test_mail_is_given_to_sendmail(tmp_path: Path) -> None:
    program = tmp_path / "sendmail"
    program.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'out')!r}).write_text(sys.stdin.read() + repr(sys.argv[1:]))\n"
    )
    program.chmod(0o755)
    await Mailer(Settings(email_sendmail_path=str(program))).send(MAIL)
    written = (tmp_path / "out").read_text()
    assert "To: zoe@example.com" in written
    assert written.endswith("['-i', '-t']")


async def test_mail_that_is_not_taken_says_which_way_it_went() -> None:
    with pytest.raises(ServiceUnavailable, match=r"/no/such/program.*EMAIL_TRANSPORT"):
        await Mailer(Settings(email_sendmail_path="/no/such/program")).send(MAIL)


async def test_the_console_is_for_those_who_have_no_mail_server(capsys: pytest.CaptureFixture[str]) -> None:
    await Mailer(Settings(email_transport="console")).send(MAIL)
    assert "https://example.com/?token=x" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["a b@example.com", "a@example.com\nBcc: b@example.com", "nobody", "a@b@c", "<a@b>"]
)
async def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidPayload):
        await Mailer(Settings(email_transport="console")).send(Mail(address, "x", "y"))
