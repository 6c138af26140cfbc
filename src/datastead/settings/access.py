"""`AccessSettings`: the variables of mail, of links in it, and of getting in. A part of `Settings`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from datastead.settings.values import Duration, HttpUrl, JsonObject, Names

Milliseconds = Annotated[float, Field(ge=0, le=60_000)]


class OpenIdProvider(BaseModel):
    """Somebody else who knows users: `AUTH_<NAME>_<OPTION>`, for a name of `AUTH_PROVIDERS`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    driver: Literal["openid"]
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    issuer_url: HttpUrl
    scope: str = "openid profile email"
    identifier_key: str = "sub"
    allow_public_registration: bool = False
    require_verified_email: bool = False
    default_role_id: str | None = None
    sync_user_info: bool = False
    group_claim_name: str = "groups"
    role_mapping: JsonObject = Field(default_factory=dict)
    redirect_allow_list: Names = Field(default_factory=list)
    mode: Literal["session", "cookie"] = "session"
    login_timeout: Duration = 300.0
    params: JsonObject = Field(default_factory=dict)
    label: str | None = None
    icon: str = "account_circle"


class AccessSettings(BaseModel):
    """How people are let in, and how mail reaches them."""

    email_from: str = Field("no-reply@example.com", description="Whom mail is from.")
    email_transport: Literal["sendmail", "smtp", "console"] = Field(
        "sendmail",
        description="How mail is sent. `console` prints it, with the links in it: for development.",
    )
    email_sendmail_path: str = Field("/usr/sbin/sendmail", description="The program of transport `sendmail`.")
    email_smtp_host: str = Field("localhost", description="The mail server of transport `smtp`.")
    email_smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    email_smtp_user: str | None = Field(None, description="The user at the mail server; unset = none is named.")
    email_smtp_password: SecretStr | None = Field(None, description="The password of that user.")
    email_smtp_secure: bool = Field(
        False, description="Whether the connection begins with TLS (port 465); else STARTTLS is used where offered."
    )
    email_smtp_ignore_tls: bool = Field(False, description="Whether STARTTLS is not used, although it is offered.")
    email_templates_path: str = Field(
        "templates", description="A folder of templates, `<name>.html`, for the operation `mail` of flows."
    )

    password_reset_url_allow_list: Names = Field(
        default_factory=list, description="Pages that mail about a forgotten password may lead to, as `reset_url`."
    )
    user_invite_url_allow_list: Names = Field(
        default_factory=list, description="Pages that invitations may lead to, as `invite_url`."
    )
    user_register_url_allow_list: Names = Field(
        default_factory=list, description="Pages that mail about a registration may lead to, as `verification_url`."
    )
    password_reset_token_ttl: Duration = Field(86_400.0, description="How long such a link is good, such as `1d`.")
    user_invite_token_ttl: Duration = Field(604_800.0, description="How long an invitation is good, such as `7d`.")
    email_verification_token_ttl: Duration = Field(
        604_800.0, description="How long the link of a registration is good, such as `7d`."
    )

    login_stall_time: Milliseconds = Field(500.0, description="A failed login is answered after this time, in ms.")
    register_stall_time: Milliseconds = Field(750.0, description="A registration is answered after this time, in ms.")
    rate_limiter_registration_enabled: bool = Field(True, description="Whether one address may register only so often.")
    rate_limiter_registration_points: int = Field(5, ge=1, description="How often within the duration.")
    rate_limiter_registration_duration: float = Field(60, gt=0, description="That duration, in seconds.")

    rate_limiter_enabled: bool = Field(False, description="Whether one address may send only so many requests.")
    rate_limiter_points: int = Field(50, ge=1, description="How many within the duration, in each process.")
    rate_limiter_duration: float = Field(1, gt=0, description="That duration, in seconds.")
    rate_limiter_global_enabled: bool = Field(False, description="Whether all together may send only so many requests.")
    rate_limiter_global_points: int = Field(1000, ge=1, description="How many within the duration, in each process.")
    rate_limiter_global_duration: float = Field(1, gt=0, description="That duration, in seconds.")

    auth_providers: Names = Field(default_factory=list, description="Who else may sign users in, by commas: `google`.")
    auth_provider_options: dict[str, OpenIdProvider] = Field(
        default_factory=dict, repr=False,
        description="Each provider's options, read from `AUTH_<NAME>_DRIVER=openid`, `AUTH_<NAME>_CLIENT_ID` ….",
    )  # fmt: skip
    auth_disable_default: bool = Field(False, description="Whether nobody logs in with an email and a password.")
