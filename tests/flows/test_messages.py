"""The operations `mail`, `notification` and `json-web-token`, through flows."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
import sqlalchemy as sa
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from datastead.context import PUBLIC, Context
from datastead.data import system
from datastead.data.system import runs, steps
from datastead.errors import InvalidFlow
from datastead.services import open_services
from tests.flows.conftest import ADMIN, REGISTRY, House, open_house, settings
from tests.flows.test_operations import outcome
from tests.mailbox import Mailbox

ROOT = Path(__file__).parents[2]
ADA = "ada@example.com"
SECRET = "canary-secret-of-at-least-32-characters"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@asynccontextmanager
async def mailing(url: str, mailbox: Mailbox, **changes: Any) -> AsyncIterator[House]:
    smtp = {"email_transport": "smtp", "email_smtp_host": "127.0.0.1", "email_smtp_port": mailbox.port}
    async with open_house(url, email_from="Data <data@example.com>", **smtp, **changes) as house:
        yield house


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


async def test_mail_is_sent_in_every_type(tables: str, mailbox: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "offer.html").write_text("<p>{{ who }}: {{ projectName }}</p>{% include 'foot.html' %}")
    (tmp_path / "foot.html").write_text("<hr>{{ who }}")
    (tmp_path / "old.liquid").write_text("{{ who }}")
    (tmp_path / "broken.html").write_text("{% if %}")
    evil = "<script>x()</script> **bold** [l](javascript:x)"
    async with mailing(tables, mailbox, email_templates_path=str(tmp_path)) as house:

        async def sent(**options: Any) -> EmailMessage:
            address = f"{uuid4().hex}@example.com"
            mail = {"to": address, "subject": "Hi {{ $trigger.body.who }}", **options}
            assert await outcome(house, "mail", mail, {"who": "Zoë", "evil": evil}) == {"resolve": None}
            return mailbox.mail_to(address)

        mail = await sent(body="# Dear\n\n{{ $trigger.body.evil }}")
        assert (mail["Subject"], mail["From"]) == ("Hi Zoë", "Data <data@example.com>")
        assert part(mail, "plain") == f"# Dear\n\n{evil}\n"
        assert part(mail, "html") == (
            "<h1>Dear</h1>\n<p>&lt;script&gt;x()&lt;/script&gt; <strong>bold</strong> [l](javascript:x)</p>\n"
        )
        mail = await sent(type=None, body={"a": [1]})
        assert part(mail, "plain") == '{"a":[1]}\n'
        mail = await sent(type="wysiwyg", body='<style>p {}</style><p>One <a href="https://x.y">two</a></p><p>3</p>')
        assert part(mail, "html").startswith("<style>p {}</style><p>One")
        assert part(mail, "plain") == "One two <https://x.y>\n\n3\n"
        mail = await sent(type="template", template="offer", data={"who": "{{ $trigger.body.evil }}"})
        assert part(mail, "html").startswith("<p>&lt;script&gt;x()")
        assert "</p><hr>&lt;script&gt;" in part(mail, "html")
        mail = await sent(type="template", data='{"html": "<b>Own</b>"}')
        assert "<title>Datastead</title>" in part(mail, "html")
        assert "<b>Own</b>" in part(mail, "html")
        for template, told in (
            ("nowhere", "EMAIL_TEMPLATES_PATH"),
            ("../offer", "no template"),
            ("old", "in Liquid"),
            ("broken", "cannot be rendered"),
        ):
            refused = await outcome(
                house, "mail", {"to": ADA, "subject": "x", "type": "template", "template": template}
            )
            assert (refused["reject"]["code"], told in refused["reject"]["message"]) == ("INVALID_PAYLOAD", True), (
                template
            )


async def test_mail_goes_to_all_and_says_whom_it_was_refused_for(tables: str, mailbox: Mailbox) -> None:
    async with mailing(tables, mailbox) as house:
        options = {
            "to": ['"Zoë, A" <zoe@example.com>', "{{ $trigger.body.second }}"], "cc": "c@example.com, d@example.com",
            "bcc": '["hidden@example.com"]', "replyTo": "answers@example.com", "subject": "x", "body": "y",
        }  # fmt: skip
        assert await outcome(house, "mail", options, {"second": ["b@example.com"]}) == {"resolve": None}
        mail = mailbox.mail_to('"Zoë, A" <zoe@example.com>, b@example.com')
        assert (mail["Cc"], mail["Reply-To"], mail["Bcc"]) == (
            "c@example.com, d@example.com",
            "answers@example.com",
            None,
        )
        assert sorted(mailbox.recipients[-1]) == [
            "b@example.com", "c@example.com", "d@example.com", "hidden@example.com", "zoe@example.com",
        ]  # fmt: skip
        partly = await outcome(house, "mail", {"to": ["refused@example.com", "one@example.com"], "subject": "x"})
        assert partly["reject"]["code"] == "SERVICE_UNAVAILABLE"
        assert partly["reject"]["details"]["refused"] == ["refused@example.com"]
        nobody = await outcome(house, "mail", {"to": "refused@example.com", "subject": "x"})
        assert nobody["reject"]["code"] == "SERVICE_UNAVAILABLE"


STRANGERS: tuple[tuple[dict[str, Any], Any, str], ...] = (
    ({"to": ADA, "subject": "{{ $trigger.body }}"}, "Hi\r\nBcc: all@example.com", "subject"),
    ({"to": ADA, "subject": "{{ $trigger.body }}"}, "Hi\u2028there", "subject"),
    ({"to": "{{ $trigger.body }}", "subject": "x"}, "ada@example.com\nBcc: all@example.com", "`to`"),
    ({"to": ["{{ $trigger.body }}"], "subject": "x"}, "nobody", "nobody"),
    ({"to": "{{ $trigger.body }}", "subject": "x"}, ["a b@example.com"], "a b@example.com"),
    ({"to": "{{ $trigger.body }}", "subject": "x"}, "all: a@example.com;", "all: a@example.com"),
    ({"to": "{{ $trigger.body }}", "subject": "x"}, None, "no recipient"),
    ({"to": ADA, "replyTo": "{{ $trigger.body }}", "subject": "x"}, "a@b.c\rX: y", "replyTo"),
    ({"to": ADA, "subject": "{{ $trigger.body.no }}"}, {}, "subject"),
    ({"to": ADA, "subject": "x", "type": "{{ $trigger.body }}"}, "html", "type"),
)
"""Options, what a stranger sends, and what the refusal names."""


async def test_what_a_stranger_wrote_becomes_no_header(house: House) -> None:
    for options, body, told in STRANGERS:
        found = (await outcome(house, "mail", options, body))["reject"]
        assert (found["code"], told in found["message"]) == ("INVALID_PAYLOAD", True), found
    assert {run["steps"][0]["status"] for run in await house.runs(steps=True)} == {"reject"}


@pytest.mark.parametrize("ending", ["=0A", "=0D=0A", "=0D=0A=0D=0A", "=E2=80=A8"])
async def test_what_a_stranger_encoded_in_a_subject_becomes_no_header(
    tables: str, mailbox: Mailbox, ending: str
) -> None:
    subject = f"Hi =?utf-8?q?you{ending}Bcc=3A_all=40example.com?="
    async with mailing(tables, mailbox) as house:
        to = f"{uuid4().hex}@example.com"
        options = {"to": to, "subject": "{{ $trigger.body }}", "body": "Dear"}
        assert await outcome(house, "mail", options, subject) == {"resolve": None}
    mail = mailbox.mail_to(to)
    assert (mail["Subject"], mail["Bcc"]) == ("Hi you Bcc: all@example.com", None)
    assert mailbox.recipients[-1] == [to]


async def test_a_flow_with_an_address_that_is_none_is_not_saved(house: House) -> None:
    with pytest.raises(InvalidFlow, match="`nobody`"):
        await outcome(house, "mail", {"to": "nobody", "subject": "x"})


async def test_mail_that_is_sent_again_after_a_crash_has_the_same_id(tables: str, mailbox: Mailbox) -> None:
    address, policies = f"{uuid4().hex}@example.com", {"retry": None, "reject": "STEP_IN_DOUBT"}
    for number, (policy, code) in enumerate(policies.items(), 1):
        async with mailing(tables, mailbox) as house:
            options = {"to": address, "subject": "x", "body": policy, "inDoubt": policy}
            hook = {"name": policy, "trigger": "webhook", "options": {"method": "POST"}}
            await house.call(await house.apply({**hook, "operations": [{"operation": "mail", "options": options}]}))
            (run,) = await house.runs(flow=None, limit=1)
            under_way = (
                sa.update(runs).where(runs.c.id == run["id"]).values(status="running", owner=None, lease_until=None),
                sa.update(steps).where(steps.c.run == run["id"]).values(status="running"),
            )
        async with mailing(tables, mailbox, dispatch=False) as house:
            for statement in under_way:
                await house.services.database.write(lambda t, do=statement: t.execute(do) and None)
        async with mailing(tables, mailbox) as house:
            ended = {run["id"]: run for run in await house.ended(number)}[run["id"]]
        assert (ended["error"] or {}).get("code") == code
    first, again, other = mailbox.mails_to(address)
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["Message-ID"].endswith("@example.com>")


async def user(house: House, **more: Any) -> tuple[str, str]:
    """A user's id and address."""
    key, address = str(uuid4()), more.pop("email", f"{uuid4().hex}@example.com")
    await house.items("directus_users").create({"id": key, "email": address, **more})
    return key, address


async def test_users_are_notified_and_those_who_want_it_by_mail(tables: str, mailbox: Mailbox) -> None:
    async with mailing(tables, mailbox) as house:
        (ada, of_ada), (bob, of_bob) = await user(house), await user(house, email_notifications=False)
        gone, of_gone = await user(house, status="suspended")
        options = {
            "recipient": "{{ $trigger.body.who }}", "subject": "New", "message": "A <b> *word*", "collection": "articles",
            "item": 1, "permissions": "$full",
        }  # fmt: skip
        several = (await outcome(house, "notification", options, {"who": [ada, bob, gone]}))["resolve"]
        (last,) = (await outcome(house, "notification", {**options, "message": None}, {"who": ada}))["resolve"]
        told = await house.rows(system.notifications)
        assert [row.id for row in told] == [*several, last]
        assert [(row.recipient, row.message, row.item) for row in told] == [
            (ada, "A <b> *word*", "1"), (bob, "A <b> *word*", "1"), (gone, "A <b> *word*", "1"), (ada, None, "1"),
        ]  # fmt: skip
        assert {(row.sender, row.status, row.subject, row.collection) for row in told} == {
            (None, "inbox", "New", "articles")
        }
        await asyncio.to_thread(mailbox.mail_to, of_ada, 2)
        mails = {mail["Message-ID"]: mail for mail in mailbox.mails_to(of_ada)}
        assert {mail["Subject"] for mail in mails.values()} == {"New"}
        assert "A &lt;b&gt; <em>word</em>" in part(mails[f"<notification-{several[0]}@example.com>"], "html")
        assert part(mails[f"<notification-{last}@example.com>"], "plain").startswith("New\n\n---\n")
        assert mailbox.mails_to(of_bob) == mailbox.mails_to(of_gone) == []


async def test_who_may_not_notify_does_not(house: House) -> None:
    key, _ = await user(house)
    options = {"recipient": key, "subject": "x"}
    hook = {"name": "n", "trigger": "webhook", "options": {"method": "POST"}}
    flow = await house.apply({**hook, "operations": [{"operation": "notification", "options": options}]})
    found = await house.call(flow, ctx=Context(house.services, PUBLIC))
    assert found["code"] == "FORBIDDEN"
    assert await house.rows(system.notifications) == []
    actor = replace(ADMIN, user=key)
    assert (
        await house.call(flow, ctx=Context(house.services, actor))
        == [row.id for row in await house.rows(system.notifications) if row.sender == key]
        != []
    )
    unknown = await outcome(house, "notification", {"recipient": str(uuid4()), "subject": "x"})
    assert unknown["reject"]["code"] == "INVALID_FOREIGN_KEY"


def pem(key: Any) -> tuple[str, str]:
    """A private key and its public one."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@asynccontextmanager
async def at(url: str, moment: datetime = NOW) -> AsyncIterator[House]:
    async with open_house(url, clock=lambda: moment) as house:
        yield house


async def token(house: House, operation: str, **options: Any) -> Any:
    """What the operation gives; its `options` come with the run, so that they are looked at when it runs."""
    rendered = {"options": "{{ $trigger.body }}"} if "options" in options else {}
    return await outcome(
        house, "json-web-token", {"operation": operation, **options, **rendered}, options.get("options")
    )


async def test_tokens_are_signed_verified_and_decoded(tables: str) -> None:
    now, private_public = int(NOW.timestamp()), pem(rsa.generate_private_key(65537, 2048))
    async with at(tables) as house:
        more = {"expiresIn": "2h", "audience": ["a", "b"], "issuer": "us", "subject": "s", "jwtid": "1", "keyid": "k"}
        signed = (await token(house, "sign", payload='{"n": 1}', secret=SECRET, options=more))["resolve"]
        claims = {"n": 1, "iat": now, "exp": now + 7200, "aud": ["a", "b"], "iss": "us", "sub": "s", "jti": "1"}
        assert (
            jwt.decode(signed, SECRET, ["HS256"], audience="a", options={"verify_exp": False, "verify_iat": False})
            == claims
        )
        wanted = {"audience": "b", "issuer": ["them", "us"], "subject": "s", "jwtid": "1", "maxAge": "1 hour"}
        assert await token(house, "verify", token=signed, secret=SECRET, options=wanted) == {"resolve": claims}
        whole = await token(house, "verify", token=signed, secret=SECRET, options='{"complete": true}')
        assert whole["resolve"]["header"] == {"alg": "HS256", "kid": "k", "typ": "JWT"}
        assert whole["resolve"]["signature"] == signed.rpartition(".")[2]
        assert await token(house, "decode", token=signed) == {"resolve": claims}
        assert await token(house, "decode", token="a.b") == {"resolve": None}
        private, public = private_public
        signed = (
            await token(
                house, "sign", payload={"n": 1}, secret=private, options={"algorithm": "RS256", "noTimestamp": True}
            )
        )["resolve"]
        assert await token(house, "verify", token=signed, secret=public) == {"resolve": {"n": 1}}
        brief = (
            await token(house, "sign", payload={"n": 1}, secret="short", options={"notBefore": 60, "expiresIn": "1500"})
        )["resolve"]
        assert jwt.decode(brief, options={"verify_signature": False}) == {
            "n": 1,
            "iat": now,
            "nbf": now + 60,
            "exp": now + 1,
        }


async def test_tokens_that_are_not_good_are_refused(tables: str) -> None:
    private, public = pem(rsa.generate_private_key(65537, 2048))
    _, stranger = pem(rsa.generate_private_key(65537, 2048))
    now = int(NOW.timestamp())
    unsigned = jwt.encode({"n": 1}, None, algorithm="none")
    by_secret = jwt.encode({"n": 1, "exp": now, "nbf": now, "iat": now - 60, "aud": "a"}, SECRET, "HS256")
    by_key = jwt.encode({"n": 1}, private, "RS256")
    confused = jwt.encode({"n": 1}, "x" * 40, "HS256")
    cases: list[tuple[str, str, dict[str, Any], str | None]] = [
        (unsigned, SECRET, {}, "JsonWebTokenError"),
        (unsigned, SECRET, {"algorithms": ["none"]}, None),
        (by_secret, "another-secret-of-at-least-32-characters", {}, "JsonWebTokenError"),
        (by_secret, SECRET, {}, "TokenExpiredError"),
        (by_secret, SECRET, {"ignoreExpiration": True, "maxAge": 60}, "TokenExpiredError"),
        (by_secret, SECRET, {"clockTimestamp": now - 1}, "NotBeforeError"),
        (by_secret, SECRET, {"ignoreExpiration": True, "audience": "b"}, "JsonWebTokenError"),
        (by_secret, SECRET, {"ignoreExpiration": True, "issuer": "us"}, "JsonWebTokenError"),
        (by_secret, SECRET, {"ignoreExpiration": True, "algorithms": ["HS512"]}, "JsonWebTokenError"),
        (by_secret[:-4] + "AAAA", SECRET, {"ignoreExpiration": True}, "JsonWebTokenError"),
        (by_key, stranger, {}, "JsonWebTokenError"),
        (by_key, SECRET, {}, "JsonWebTokenError"),
        (confused, public, {}, "JsonWebTokenError"),
        (confused, public, {"algorithms": ["HS256", "RS256"]}, None),
        ("a.b.c", SECRET, {}, "JsonWebTokenError"),
        (by_secret, SECRET, {"expireIn": 5}, None),
        (by_secret, SECRET, {"maxAge": "soon", "ignoreExpiration": True}, None),
    ]  # fmt: skip
    async with at(tables) as house:
        for given, secret, options, name in cases:
            found = (await token(house, "verify", token=given, secret=secret, options=options))["reject"]
            assert (found["name"] if name else found["code"]) == (name or "INVALID_PAYLOAD"), (given, options, found)
        lenient = {"clockTolerance": 1, "audience": "a", "algorithms": ["HS256"]}
        assert "resolve" in await token(house, "verify", token=by_secret, secret=SECRET, options=lenient)
        for wrong in (
            {"payload": {"exp": now}, "secret": SECRET, "options": {"expiresIn": 5}}, {"payload": {"n": 1}},
            {"payload": "text", "secret": SECRET}, {"payload": [1], "secret": SECRET},
            {"payload": {"n": 1}, "secret": public}, {"payload": {"n": 1}, "secret": SECRET, "options": {"algorithm": "RS256"}},
            {"payload": {"n": 1}, "secret": SECRET, "options": {"expiresIn": "9" * 400 + "d"}},
            {"payload": {"n": 1}, "secret": SECRET, "options": {"notBefore": 1e300}},
            {"payload": {"n": 1}, "secret": SECRET, "options": {"header": {"kid": 5}}},
        ):  # fmt: skip
            found = (await token(house, "sign", **wrong))["reject"]
            assert found["code"] == "INVALID_PAYLOAD", wrong
            assert SECRET not in str(found)


async def test_a_secret_is_in_no_journal_and_no_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (signed,) = (await token(house, "sign", payload={"n": 1}, secret=SECRET)).values()
    await token(house, "verify", token=signed, secret=f"{SECRET}-wrong", options={"complete": True})
    with pytest.raises(InvalidFlow) as wrong:
        await token(house, "sign", payload={"n": 1}, secret=[SECRET])
    kept = [str(row) for table in (runs, steps) for row in await house.rows(table)]
    assert len(kept) == 6
    assert "canary" not in f"{kept} {caplog.text} {wrong.value} {wrong.value.details}"
    shown = await house.runs(steps=True)
    assert {run["steps"][0]["options"]["secret"] for run in shown} == {"--redacted--"}


async def test_the_example_welcomes_who_is_new(tables: str, mailbox: Mailbox) -> None:
    document = yaml.safe_load((ROOT / "examples/welcome.yaml").read_text())
    async with mailing(tables, mailbox) as house:
        (admin, _), shown = await user(house, email_notifications=False), {"TOKEN_SECRET": SECRET}
    given = settings(tables, email_transport="smtp", email_smtp_host="127.0.0.1", email_smtp_port=mailbox.port)
    given = given.model_copy(update={"flows_env_allow_list": ["ADMINISTRATOR", "TOKEN_SECRET"]})
    async with open_services(given.loaded_from(ROOT, {"ADMINISTRATOR": admin, **shown}), registry=REGISTRY) as (
        services,
        _,
    ):
        house = House(services, tables)
        await house.apply(document)
        (key, address), (_, refused) = (
            await user(house, first_name="Zoë\n"),
            (await user(house, email="refused@example.com")),
        )
        for run in await house.ended(2):
            assert run["status"] == "resolved"
            assert SECRET not in str(run)
        told = {row.subject: row.message for row in await house.rows(system.notifications)}
    assert mailbox.mail_to(address)["Subject"] == "Welcome, Zoë"
    token = part(mailbox.mail_to(address), "plain").rpartition("token=")[2].strip(")\n")
    claims = jwt.decode(token, SECRET, ["HS256"], audience="welcome")
    assert (claims["user"], claims["exp"] - claims["iat"]) == (key, 172_800)
    assert told["Somebody new"] == f"{address} has joined."
    assert told["A welcome was not sent"].startswith(f"To {refused}: The mail was not sent")
