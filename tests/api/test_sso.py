"""Logging in at a real OpenID provider (`oidc-provider`, in Node.js), as a browser does."""

import base64
import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from datastead.auth.openid import verified
from datastead.errors import InvalidSettings
from datastead.settings import load_settings

from .conftest import ADMIN_TOKEN, PASSWORD, Answer, Server, serving
from .test_second_factor import code
from .test_users import made, patch

CLIENT = Path(__file__).parents[1] / "clients" / "oidc"
NODE, NPM = shutil.which("node"), shutil.which("npm")
PUBLIC = "https://data.example.com"
APP = "https://app.example.com/welcome"
SECRET = "the-clients-secret-of-the-test"
ACCOUNTS = {
    "zoe": {"email": "zoe@example.com", "email_verified": True, "given_name": "Zoe", "family_name": "A", "groups": ["editors"]},
    "max": {"email": "max@example.com", "email_verified": False, "given_name": "Max"},
    "eve": {"email": "admin@example.com", "email_verified": True},
    "otto": {"email": "otto@example.com", "email_verified": True},
    "sam": {"email": "sam@example.com", "email_verified": True},
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def provider() -> Iterator[int]:
    """The port of a provider."""
    if NODE is None or NPM is None:
        pytest.skip("Node.js is not installed")
    if not (CLIENT / "node_modules" / "oidc-provider").exists():
        done = subprocess.run([NPM, "ci", "--no-fund", "--no-audit"], cwd=CLIENT, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"npm cannot install the provider here: {done.stderr[-200:]}")
    port = free_port()
    known = {"port": port, "client": "datastead", "secret": SECRET, "accounts": ACCOUNTS,
             "redirect": f"{PUBLIC}/auth/login/idp/callback"}  # fmt: skip
    environ = {**os.environ, "OIDC": json.dumps(known)}
    process = subprocess.Popen(
        [NODE, "provider.mjs"], cwd=CLIENT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield port
    process.terminate()
    process.wait()
    process.stdout.close()


def variables(folder: Path, provider: int, **more: str) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{folder / 'data.db'}", "ADMIN_TOKEN": ADMIN_TOKEN, "ADMIN_PASSWORD": PASSWORD,
        "SECRET": "s" * 40, "PUBLIC_URL": PUBLIC, "LOGIN_STALL_TIME": "0",
        "AUTH_PROVIDERS": "idp", "AUTH_IDP_DRIVER": "openid", "AUTH_IDP_CLIENT_ID": "datastead",
        "AUTH_IDP_CLIENT_SECRET": SECRET, "AUTH_IDP_ISSUER_URL": f"http://127.0.0.1:{provider}",
        "AUTH_IDP_SCOPE": "openid email profile groups", "AUTH_IDP_ALLOW_PUBLIC_REGISTRATION": "true",
        "AUTH_IDP_REDIRECT_ALLOW_LIST": APP, "AUTH_IDP_SYNC_USER_INFO": "true", "AUTH_IDP_LABEL": "Our company",
        **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(provider: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sso")
    with serving(load_settings(variables(folder, provider), cwd=folder)) as port:
        yield Server(port)


@dataclass
class Browser:
    """Follows redirects, keeps cookies, and finds the server under its public URL."""

    server: Server
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    def open(self, url: str, form: dict[str, str] | None = None) -> Answer:
        parts = urlsplit(url)
        port = self.server.port if url.startswith(PUBLIC) else parts.port
        own = self.cookies.setdefault(parts.netloc, {})
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in own.items())} if own else {}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request("GET" if form is None else "POST", target, form and urlencode(form), headers)
            answer = connection.getresponse()
            for value in answer.msg.get_all("set-cookie") or ():
                for name, morsel in SimpleCookie(value).items():
                    own.pop(name, None) if not morsel.value else own.update({name: morsel.value})
            known = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, known, answer.read().decode())
        finally:
            connection.close()

    def follow(self, url: str, until: str) -> str:
        """The URL that redirects lead to, as the first that begins so."""
        for _ in range(12):
            if url.startswith(until):
                return url
            answer = self.open(url)
            if answer.status not in {302, 303}:
                raise AssertionError(f"{url}: {answer.status} {answer.body[:300]}")
            url = urljoin(url, answer.headers["location"])
        raise AssertionError(f"Redirects without an end: {url}")

    def to_callback(self, account: str, query: str = "") -> str:
        """Logs in at the provider; the URL with which it sends the user back."""
        begun = self.open(f"{PUBLIC}/auth/login/idp?{query}")
        assert begun.status == 302, begun.body
        url = begun.headers["location"]
        while not (answer := self.open(url)).body.count("<form"):
            url = urljoin(url, answer.headers["location"])
        action = re.search(r'action="([^"]+)"', answer.body)
        assert action is not None
        form = {"prompt": "login", "login": account, "password": "x"}
        answer = self.open(urljoin(url, action[1]), form)
        return self.follow(urljoin(url, answer.headers["location"]), PUBLIC)

    def log_in(self, account: str, query: str = f"redirect={APP}") -> Answer:
        return self.open(self.to_callback(account, query))

    def me(self) -> Answer:
        return self.open(f"{PUBLIC}/users/me?fields=*")


def reason(answer: Answer) -> tuple[str, str]:
    """Where to, and why."""
    assert answer.status == 302, answer.body
    where, _, query = answer.headers["location"].partition("?")
    return where, parse_qs(query)["reason"][0]


def user(server: Server, account: str) -> Any:
    found = server.get(f"/users?filter[external_identifier][_eq]={account}").data
    return found[0] if found else None


def test_whoever_logs_in_at_the_provider_comes_in_with_a_cookie(server: Server) -> None:
    browser = Browser(server)
    answer = browser.log_in("zoe", f"redirect={APP}%3Fa=1")
    assert (answer.status, answer.headers["location"]) == (302, f"{APP}?a=1")
    assert set(browser.cookies["data.example.com"]) == {"directus_session_token"}  # that of the login is gone
    found = user(server, "zoe")
    assert (found["provider"], found["email"], found["first_name"], found["auth_data"]) == (
        "idp",
        "zoe@example.com",
        "Zoe",
        None,
    )
    assert browser.me().data == {"id": found["id"]}
    patch(server, f"/users/{found['id']}", {"first_name": "Other"})
    Browser(server).log_in("zoe")
    assert user(server, "zoe")["first_name"] == "Zoe"  # AUTH_IDP_SYNC_USER_INFO
    wrong = server.public.post("/auth/login", {"email": "zoe@example.com", "password": "x"})
    assert (wrong.status, wrong.code) == (401, "INVALID_CREDENTIALS")


def test_the_ways_to_log_in_are_listed_without_their_secrets(server: Server) -> None:
    answer = server.public.get("/auth")
    known = {"name": "idp", "label": "Our company", "driver": "openid", "icon": "account_circle"}
    assert answer.json == {"data": [known], "disableDefault": False}


def test_without_a_redirect_the_answer_has_tokens(server: Server) -> None:
    answer = Browser(server).log_in("sam", "")
    assert set(answer.data) == {"access_token", "refresh_token", "expires"}
    own = server.acting_as(answer.data["access_token"])
    assert own.get("/users/me").data == {"id": user(server, "sam")["id"]}


def test_a_login_is_tied_to_the_browser_that_began_it_and_is_good_once(server: Server) -> None:
    browser, login_page = Browser(server), f"{PUBLIC}/admin/login"
    url = browser.to_callback("zoe", f"redirect={APP}")
    assert reason(Browser(server).open(url)) == (login_page, "INVALID_CREDENTIALS")  # another browser
    other = Browser(server)
    other.open(f"{PUBLIC}/auth/login/idp?redirect={APP}")
    assert reason(other.open(url)) == (APP, "INVALID_CREDENTIALS")  # with a login of its own under way
    kept = dict(browser.cookies["data.example.com"])
    for changed in (url.replace("state=", "state=x"), re.sub(r"iss=[^&]+", "iss=http://evil", url),
                    re.sub(r"code=[^&]+", "code=x", url), re.sub(r"&?code=[^&]+", "", url)):  # fmt: skip
        browser.cookies["data.example.com"] = dict(kept)
        assert reason(browser.open(changed)) == (APP, "INVALID_CREDENTIALS")
    again = Browser(server)
    url = again.to_callback("zoe", f"redirect={APP}")
    kept = dict(again.cookies["data.example.com"])
    assert again.open(url).headers["location"] == APP
    again.cookies["data.example.com"] = kept
    assert reason(again.open(url)) == (APP, "INVALID_CREDENTIALS")  # the code is spent


@pytest.mark.parametrize(
    "redirect",
    ["https://evil.example.com/", f"{APP}/../x", f"{PUBLIC}.evil.example.com/", f"{PUBLIC}@evil.example.com/",
     "//evil.example.com", "/\\evil.example.com", "\\\\evil.example.com", "javascript:alert(1)", "evil", "https:evil",
     f"{PUBLIC}\\@evil.example.com/", "http://data.example.com/", "/a b", "https://[/", "/%0a/x\n"],
)  # fmt: skip
def test_a_login_leads_nowhere_but_where_it_may(server: Server, redirect: str) -> None:
    answer = server.public.get(f"/auth/login/idp?{urlencode({'redirect': redirect})}")
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")


@pytest.mark.parametrize("redirect", [APP, f"{APP}?a=1", f"{PUBLIC}/admin/content?x=1", "/admin", "/"])
def test_pages_of_the_server_and_of_the_list_are_fine(server: Server, redirect: str) -> None:
    answer = server.public.get(f"/auth/login/idp?{urlencode({'redirect': redirect})}")
    assert answer.status == 302
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert SECRET not in answer.headers["location"] + answer.headers["set-cookie"]
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "Secure" in answer.headers["set-cookie"]


def test_an_address_that_is_taken_is_not_taken_over(server: Server) -> None:
    assert reason(Browser(server).log_in("eve")) == (APP, "INVALID_PROVIDER")
    assert user(server, "eve") is None
    made(server, provider="other", external_identifier="otto")
    assert reason(Browser(server).log_in("otto")) == (APP, "INVALID_PROVIDER")


def test_a_suspended_user_stays_out(server: Server) -> None:
    Browser(server).log_in("sam")
    patch(server, f"/users/{user(server, 'sam')['id']}", {"status": "suspended"})
    assert reason(Browser(server).log_in("sam")) == (APP, "INVALID_CREDENTIALS")
    patch(server, f"/users/{user(server, 'sam')['id']}", {"status": "active"})


def test_a_second_factor_is_asked_for_here_too(server: Server) -> None:
    own = Browser(server).log_in("zoe", "").data["access_token"]
    secret = server.acting_as(own).post("/users/me/tfa/generate", {}).data["secret"]
    body = {"secret": secret, "otp": code(secret, -1)}
    assert server.acting_as(own).post("/users/me/tfa/enable", body).status == 204
    assert reason(Browser(server).log_in("zoe")) == (APP, "INVALID_OTP")
    assert Browser(server).log_in("zoe", f"redirect={APP}&otp={code(secret)}").headers["location"] == APP
    patch(server, f"/users/{user(server, 'zoe')['id']}", {"tfa_secret": None})


def test_the_options_say_who_may_register_with_which_role(provider: int, tmp_path: Path) -> None:
    with serving(load_settings(variables(tmp_path, provider), cwd=tmp_path)) as port:
        roles = [Server(port).post("/roles", {"name": name}).data["id"] for name in ("editors", "others")]
    more = {
        "AUTH_IDP_ROLE_MAPPING": f'json:{{"editors": "{roles[0]}"}}',
        "AUTH_IDP_DEFAULT_ROLE_ID": roles[1],
        "AUTH_IDP_IDENTIFIER_KEY": "email",
        "AUTH_DISABLE_DEFAULT": "true",
        "AUTH_IDP_MODE": "cookie",
    }
    with serving(load_settings(variables(tmp_path, provider, **more), cwd=tmp_path)) as port:
        server, browser = Server(port), Browser(Server(port))
        assert browser.log_in("zoe").headers["location"] == APP
        assert set(browser.cookies["data.example.com"]) == {"directus_refresh_token"}
        assert user(server, "zoe@example.com")["role"] == roles[0]
        Browser(server).log_in("otto")
        assert user(server, "otto@example.com")["role"] == roles[1]
        assert reason(Browser(server).log_in("max")) == (APP, "INVALID_CREDENTIALS")  # an address that is not verified
        off = server.public.post("/auth/login", {"email": "admin@example.com", "password": PASSWORD})
        assert (off.status, off.code) == (404, "ROUTE_NOT_FOUND")
        assert server.public.get("/auth").json["disableDefault"] is True
    closed = {"AUTH_IDP_ALLOW_PUBLIC_REGISTRATION": "false", **more}
    with serving(load_settings(variables(tmp_path, provider, **closed), cwd=tmp_path)) as port:
        assert reason(Browser(Server(port)).log_in("sam")) == (APP, "INVALID_CREDENTIALS")
        assert Browser(Server(port)).log_in("zoe").headers["location"] == APP  # known already


def test_a_provider_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    with serving(load_settings(variables(tmp_path, 1), cwd=tmp_path)) as port:
        server = Server(port).public
        assert reason(server.get(f"/auth/login/idp?redirect={APP}")) == (APP, "SERVICE_UNAVAILABLE")
        assert reason(server.get("/auth/login/idp")) == (f"{PUBLIC}/admin/login", "SERVICE_UNAVAILABLE")
        unknown = server.get("/auth/login/nobody")
        assert (unknown.status, unknown.code) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize(
    "wrong",
    [{"AUTH_IDP_CLIENT_ID": ""}, {"AUTH_IDP_DRIVER": "saml"}, {"AUTH_IDP_ISSUER_URL": "canary"}, {"PUBLIC_URL": ""},
     {"AUTH_PROVIDERS": "idp,other"}, {"AUTH_IDP_ROLE_MAPPING": '["canary"]'}, {"AUTH_IDP_NO_SUCH": "canary"},
     {"AUTH_PROVIDERS": "default"}],
)  # fmt: skip
def test_options_that_cannot_be_right_are_refused_at_the_start(wrong: dict[str, str], tmp_path: Path) -> None:
    given = {name: value for name, value in {**variables(tmp_path, 1), **wrong}.items() if value}
    with pytest.raises(InvalidSettings) as refused:
        load_settings(given, cwd=tmp_path)
    assert "canary" not in refused.value.message
    assert SECRET not in refused.value.message


KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
KNOWN = {"issuer": "https://idp.example.com", "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"]}
EXPECTED = {"client_id": "datastead", "nonce": "n", "access_token": "t"}


def id_token(key: Any = KEY, algorithm: str = "RS256", kid: str = "one", **claims: Any) -> str:
    now = int(time.time())
    own = {"iss": KNOWN["issuer"], "aud": "datastead", "sub": "zoe", "nonce": "n", "iat": now, "exp": now + 300}
    kept = {name: value for name, value in {**own, **claims}.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": kid}, kept, key, algorithms=[algorithm])


def by_hand(algorithm: str, secret: bytes | None = None) -> str:
    """What a library refuses to make: without a signature, or signed with the public key as a secret."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"iss": KNOWN["issuer"], "aud": "datastead", "sub": "zoe", "nonce": "n", "iat": 1, "exp": 9_999_999_999}
    signed = f"{part(json.dumps({'alg': algorithm, 'kid': 'one'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), 'sha256')) if secret else ''}"


def test_an_id_token_that_holds_names_the_user() -> None:
    assert verified(id_token(), KeySet([KEY]), KNOWN, EXPECTED)["sub"] == "zoe"


WRONG = {
    "another issuer": id_token(iss="https://evil.example.com"),
    "another audience": id_token(aud="other"),
    "another party": id_token(aud=["datastead", "other"], azp="other"),
    "no party": id_token(aud=["other", "datastead"]),
    "another nonce": id_token(nonce="x"),
    "no nonce": id_token(nonce=None),
    "expired": id_token(exp=int(time.time()) - 120),
    "no end": id_token(exp=None),
    "of the future": id_token(iat=int(time.time()) + 600, nbf=int(time.time()) + 600),
    "nobody": id_token(sub=None),
    "another access token": id_token(at_hash="x"),
    "another key": id_token(OTHER),
    "an unknown key": id_token(OTHER, kid="two"),
    "the public key as a secret": by_hand("HS256", KEY.as_pem(private=False)),
    "not signed": by_hand("none"),
    "no token": "x",
}


@pytest.mark.parametrize("token", WRONG.values(), ids=WRONG)
def test_an_id_token_that_does_not_hold_is_refused(token: str) -> None:
    with pytest.raises((JoseError, ValueError)):
        verified(token, KeySet([KEY]), KNOWN, EXPECTED)
