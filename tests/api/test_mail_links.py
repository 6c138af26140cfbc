"""Links in mail: a forgotten password, invitations and registrations, with a real mail server."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import jwt
import pytest

from datastead.settings import Settings
from tests.mailbox import Mailbox

from .conftest import PASSWORD, Answer, Server, serving
from .test_users import email, made, patch

NEW = "another-long-password"


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def log_in(server: Server, address: str, password: str) -> Answer:
    return server.public.post("/auth/login", {"email": address, "password": password})


def ask_for_link(server: Server, address: str, **more: Any) -> Answer:
    return server.public.post("/auth/password/request", {"email": address, **more})


def reset(server: Server, token: str, password: str = NEW) -> Answer:
    return server.public.post("/auth/password/reset", {"token": token, "password": password})


@pytest.fixture
def user(server: Server) -> str:
    address = email()
    made(server, email=address, password=PASSWORD)
    return address


@pytest.fixture
def registering(server: Server) -> Iterator[Server]:
    """Strangers may register."""
    assert patch(server, "/settings", {"public_registration": True}).status == 200
    yield server.public
    off = {"public_registration": False, "public_registration_email_filter": None, "public_registration_role": None}
    patch(server, "/settings", {**off, "public_registration_verify_email": True, "auth_password_policy": None})


def test_a_forgotten_password_is_replaced_by_a_link_that_is_good_once(
    server: Server, user: str, mailbox: Mailbox
) -> None:
    session = log_in(server, user, PASSWORD).data["refresh_token"]
    assert ask_for_link(server, user.upper()).status == 204
    assert mailbox.link_to(user).startswith("https://data.example.com/admin/reset-password?token=")
    token = mailbox.token_to(user)
    assert reset(server, token).status == 204
    assert refused(log_in(server, user, PASSWORD)) == (401, "INVALID_CREDENTIALS")
    assert log_in(server, user, NEW).status == 200
    again = server.public.post("/auth/refresh", {"refresh_token": session})
    assert refused(again) == (401, "INVALID_CREDENTIALS")  # all sessions are over
    assert refused(reset(server, token, PASSWORD)) == (403, "INVALID_TOKEN")


def test_an_unknown_and_a_suspended_address_get_the_same_answer_and_no_mail(
    server: Server, user: str, mailbox: Mailbox
) -> None:
    suspended, unknown = email(), email()
    made(server, email=suspended, password=PASSWORD, status="suspended")
    for address in (unknown, suspended, user):
        answer = ask_for_link(server, address)
        assert (answer.status, answer.body) == (204, "")
    mailbox.mail_to(user)  # it was asked for last
    assert mailbox.mails_to(unknown) == mailbox.mails_to(suspended) == []


def test_nobodys_mailbox_can_be_filled_by_others(server: Server, user: str, mailbox: Mailbox) -> None:
    for _ in range(6):
        assert ask_for_link(server, user).status == 204
    mailbox.mail_to(user, 3)
    other = email()
    made(server, email=other, password=PASSWORD)
    ask_for_link(server, other)
    mailbox.mail_to(other)
    assert len(mailbox.mails_to(user)) == 3


def test_a_link_leads_only_to_pages_that_are_allowed(server: Server, user: str, mailbox: Mailbox) -> None:
    assert ask_for_link(server, user, reset_url="https://app.example.com/reset?theme=dark").status == 204
    assert mailbox.link_to(user).startswith("https://app.example.com/reset?theme=dark&token=")
    for page in (
        "https://evil.example.com/reset",
        "https://app.example.com.evil.example.com/reset",
        "https://app.example.com@evil.example.com/reset",
        "https://app.example.com\\@evil.example.com/reset",
        "http://app.example.com/reset",
        "https://app.example.com/reset/../other",
        "https://app.example.com:444/reset",
        "https://app.example.com:x/reset",
        "//app.example.com/reset",
        "javascript://app.example.com/reset",
        "https://[/reset",
        "",
    ):
        assert refused(ask_for_link(server, user, reset_url=page)) == (400, "INVALID_PAYLOAD")
        assert refused(ask_for_link(server, email(), reset_url=page)) == (400, "INVALID_PAYLOAD")


def test_no_other_token_resets_a_password_and_no_link_signs_in(
    server: Server, settings: Settings, user: str, mailbox: Mailbox
) -> None:
    ask_for_link(server, user)
    token = mailbox.token_to(user)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert refused(server.acting_as(token).get("/users/me")) == (403, "INVALID_TOKEN")
    access = log_in(server, user, PASSWORD).data["access_token"]
    forged = jwt.encode(claims, "x" * 40, algorithm="HS256")
    unsigned = jwt.encode(claims, None, algorithm="none")
    secret = settings.secret.get_secret_value()
    other = jwt.encode({**claims, "scope": "invite"}, secret, algorithm="HS256")
    for wrong in (access, forged, unsigned, other, "bad", "", "a.b.c", token[:-2]):
        assert refused(reset(server, wrong)) == (403, "INVALID_TOKEN")
    expired = jwt.encode({**claims, "exp": int(time.time()) - 1}, secret, algorithm="HS256")
    assert refused(reset(server, expired)) == (401, "TOKEN_EXPIRED")
    assert refused(server.public.post("/users/invite/accept", {"token": token, "password": NEW})) == (
        403,
        "INVALID_TOKEN",
    )
    assert reset(server, token).status == 204


@pytest.mark.parametrize("body", [{}, {"email": 5}, {"email": None}, {"email": ["a@example.com"]}, [], "x"])
def test_a_request_for_a_link_without_an_address_is_refused(server: Server, body: Any) -> None:
    assert refused(server.public.post("/auth/password/request", body)) == (400, "INVALID_PAYLOAD")


def test_an_invited_user_chooses_a_password(server: Server, mailbox: Mailbox) -> None:
    addresses = [email(), email()]
    role = server.post("/roles", {"name": "invited"}).data["id"]
    body = {"email": addresses, "role": role, "invite_url": "https://app.example.com/join"}
    assert server.post("/users/invite", body).status == 204
    assert mailbox.link_to(addresses[0]).startswith("https://app.example.com/join?token=")
    listed = server.get(f"/users?filter[email][_eq]={addresses[1]}&fields=status,role").data
    assert listed == [{"status": "invited", "role": role}]
    accepting = {"token": mailbox.token_to(addresses[1]), "password": NEW}
    assert server.public.post("/users/invite/accept", accepting).status == 204
    assert log_in(server, addresses[1], NEW).status == 200
    assert refused(server.public.post("/users/invite/accept", accepting)) == (403, "INVALID_TOKEN")
    # inviting again sends the one who has not come another link; the other is passed over
    assert server.post("/users/invite", {"email": addresses, "role": role}).status == 204
    assert mailbox.link_to(addresses[0], 2).startswith("https://data.example.com/admin/accept-invite?token=")
    assert len(mailbox.mails_to(addresses[1])) == 1


def test_who_may_not_create_users_may_not_invite(server: Server, user: str, mailbox: Mailbox) -> None:
    address = email()
    token = log_in(server, user, PASSWORD).data["access_token"]
    for who in (server.public, server.acting_as(token)):
        assert refused(who.post("/users/invite", {"email": address, "role": None})) == (403, "FORBIDDEN")
        assert refused(who.post("/users/invite", {"email": user, "role": None})) == (403, "FORBIDDEN")
    assert server.get(f"/users?filter[email][_eq]={address}").data == []


def test_an_invitation_to_no_role_or_no_address_invites_nobody(server: Server) -> None:
    address = email()
    answer = server.post("/users/invite", {"email": [address, email()], "role": str(uuid4())})
    assert refused(answer) == (400, "INVALID_FOREIGN_KEY")
    for wrong in ([address, "nobody"], [address, 5], [], None, {"a": 1}):
        assert refused(server.post("/users/invite", {"email": wrong, "role": None})) == (400, "INVALID_PAYLOAD")
    assert server.get(f"/users?filter[email][_eq]={address}").data == []


def test_whoever_registers_comes_in_when_the_address_is_confirmed(
    server: Server, registering: Server, mailbox: Mailbox
) -> None:
    address, role = email(), server.post("/roles", {"name": "registered"}).data["id"]
    patch(server, "/settings", {"public_registration_role": role})
    body = {"email": address, "password": NEW, "first_name": "Zoe", "status": "active", "role": "x"}
    body["verification_url"] = "https://app.example.com/hello"
    assert registering.post("/users/register", body).status == 204
    assert mailbox.link_to(address).startswith("https://app.example.com/hello?token=")
    listed = server.get(f"/users?filter[email][_eq]={address}&fields=status,role,first_name").data
    assert listed == [{"status": "unverified", "role": role, "first_name": "Zoe"}]
    assert refused(log_in(server, address, NEW)) == (401, "INVALID_CREDENTIALS")
    token = mailbox.token_to(address)
    assert registering.get(f"/users/register/verify-email?token={token}").status == 204
    assert log_in(server, address, NEW).status == 200
    assert refused(registering.get(f"/users/register/verify-email?token={token}")) == (403, "INVALID_TOKEN")


def test_a_browser_is_led_into_the_app_when_the_address_is_confirmed(
    server: Server, registering: Server, mailbox: Mailbox
) -> None:
    address = email()
    registering.post("/users/register", {"email": address, "password": NEW})
    parts = urlsplit(mailbox.link_to(address))
    assert (parts.netloc, parts.path) == ("data.example.com", "/users/register/verify-email")
    answer = registering.send("GET", f"{parts.path}?{parts.query}", headers={"Accept": "text/html"})
    user = server.get(f"/users?filter[email][_eq]={address}&fields=id").data[0]["id"]
    assert (answer.status, answer.headers["location"]) == (302, f"https://data.example.com/admin/users/{user}")


def test_registering_a_taken_address_changes_nothing_and_tells_nothing(
    server: Server, registering: Server, user: str, mailbox: Mailbox
) -> None:
    answer = registering.post("/users/register", {"email": user.upper(), "password": NEW})
    assert (answer.status, answer.body) == (204, "")
    assert log_in(server, user, PASSWORD).status == 200
    assert mailbox.mails_to(user) == []


@pytest.mark.parametrize("own", [1, 2], ids=["a-stranger-registers-after", "a-stranger-registers-before"])
def test_a_link_confirms_the_password_it_was_sent_for_whoever_else_registers_the_address(
    server: Server, registering: Server, mailbox: Mailbox, own: int
) -> None:
    address, stranger = email(), {"password": "a-strangers-password", "first_name": "Mallory"}
    for number in (1, 2):
        chosen = {"password": NEW, "last_name": "Eve"} if number == own else stranger
        assert registering.post("/users/register", {"email": address, **chosen}).status == 204
        mailbox.mail_to(address, number)
    token, other = mailbox.token_to(address, own), mailbox.token_to(address, 3 - own)
    assert registering.get(f"/users/register/verify-email?token={token}").status == 204
    assert refused(registering.get(f"/users/register/verify-email?token={other}")) == (403, "INVALID_TOKEN")
    assert refused(log_in(server, address, "a-strangers-password")) == (401, "INVALID_CREDENTIALS")
    assert log_in(server, address, NEW).status == 200
    named = server.get(f"/users?filter[email][_eq]={address}&fields=first_name,last_name").data
    assert named == [{"first_name": None, "last_name": "Eve"}]


def test_the_mail_says_when_and_where_somebody_registered_and_its_link_tells_no_password(
    registering: Server, mailbox: Mailbox
) -> None:
    address = email()
    registering.post("/users/register", {"email": address, "password": NEW})
    assert "UTC from 127.0.0.1." in mailbox.mail_to(address).get_content()
    claims = jwt.decode(mailbox.token_to(address), options={"verify_signature": False})
    assert NEW not in str(claims)
    assert "argon2" not in str(claims)


def test_a_registration_with_a_name_that_is_too_long_makes_nobody(server: Server, registering: Server) -> None:
    address = email()
    body = {"email": address, "password": NEW, "first_name": "x" * 51}
    assert refused(registering.post("/users/register", body)) == (400, "INVALID_PAYLOAD")
    assert server.get(f"/users?filter[email][_eq]={address}").data == []


def test_the_settings_say_who_may_register(server: Server, registering: Server) -> None:
    rule = {"email": {"_ends_with": "@example.com"}}
    patch(server, "/settings", {"public_registration_email_filter": rule, "public_registration_verify_email": False})
    body = {"email": email(), "password": NEW}
    assert registering.post("/users/register", body).status == 204
    assert log_in(server, body["email"], NEW).status == 200  # nothing was to be confirmed
    assert refused(registering.post("/users/register", {**body, "email": "zoe@example.org"})) == (403, "FORBIDDEN")
    patch(server, "/settings", {"public_registration": False})
    assert refused(registering.post("/users/register", {**body, "email": email()})) == (403, "FORBIDDEN")


def test_a_role_that_may_do_everything_is_not_given_to_strangers(server: Server, registering: Server) -> None:
    admin = server.get("/users/me?fields=role").data["role"]
    answer = patch(server, "/settings", {"public_registration_role": admin})
    assert refused(answer) == (400, "INVALID_PAYLOAD")
    assert refused(patch(server, "/settings", {"public_registration_role": str(uuid4())})) == (
        400,
        "INVALID_FOREIGN_KEY",
    )


def test_the_projects_rule_for_passwords_holds_at_every_door(
    server: Server, registering: Server, user: str, mailbox: Mailbox
) -> None:
    ask_for_link(server, user)
    token = mailbox.token_to(user)
    assert refused(patch(server, "/settings", {"auth_password_policy": "/(/"})) == (400, "INVALID_PAYLOAD")
    assert patch(server, "/settings", {"auth_password_policy": "/^(?=.*[0-9])(?<long>.{8,})$/"}).status == 200
    me = server.get(f"/users?filter[email][_eq]={user}&fields=id").data[0]["id"]
    weak = "no-digits-here"
    answers = [
        server.post("/users", {"email": email(), "password": weak}),
        patch(server, f"/users/{me}", {"password": weak}),
        reset(server, token, weak),
        registering.post("/users/register", {"email": email(), "password": weak}),
        registering.post("/users/register", {"email": user, "password": weak}),
    ]
    assert [refused(answer) for answer in answers] == [(400, "FAILED_VALIDATION")] * len(answers)
    assert all(weak not in answer.body for answer in answers)
    assert reset(server, token, "7-digits-here").status == 204


def test_without_a_public_url_no_link_is_made_from_what_the_request_says(settings: Settings, user: str) -> None:
    with serving(settings.model_copy(update={"public_url": None})) as port:
        other = Server(port)
        for address in (user, email()):
            answer = other.public.send(
                "POST", "/auth/password/request", {"email": address}, headers={"Host": "evil.example.com"}
            )
            assert refused(answer) == (422, "UNPROCESSABLE_CONTENT")


def test_mail_that_cannot_be_sent_is_said_to_whoever_invites(settings: Settings, server: Server) -> None:
    down = {"email_smtp_port": 1}
    with serving(settings.model_copy(update=down)) as port:
        address = email()
        answer = Server(port).post("/users/invite", {"email": address, "role": None})
        assert refused(answer) == (503, "SERVICE_UNAVAILABLE")
        assert "token" not in answer.body
        assert ask_for_link(Server(port), "admin@example.com").status == 204
    assert server.get(f"/users?filter[email][_eq]={address}&fields=status").data == [{"status": "invited"}]


def test_registrations_of_one_address_are_counted(settings: Settings, server: Server, registering: Server) -> None:
    with serving(settings.model_copy(update={"rate_limiter_registration_points": 2})) as port:
        answers = []
        for _ in range(40):  # the count is of all processes, and others may have begun one
            answers.append(Server(port).public.post("/users/register", {"email": email(), "password": NEW}))
            if answers[-1].status != 204:
                break
    assert refused(answers[-1]) == (429, "REQUESTS_EXCEEDED")
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
