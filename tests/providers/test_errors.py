"""The error tables: each code of the contract out of each wire format's refusals, and the numbers in their words."""

import pytest

from datastead.errors import AIError
from tests.providers.documented import provider


def openai(message, status=400, code=None, kind="invalid_request_error", **more):
    return status, {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def anthropic(message, status=400, kind="invalid_request_error"):
    return status, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def google(message, status=400, name="INVALID_ARGUMENT", details=()):
    return status, {"error": {"code": status, "message": message, "status": name, "details": list(details)}}


def quota(window):
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": f"Tokens{window}"}]}


BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("name", "answer", "code"),
    [
        ("openai", openai("Incorrect API key", 401, "invalid_api_key"), "INVALID_API_KEY"),
        ("openai", openai("Slow down", 429, "rate_limit_exceeded", "tokens"), "RATE_LIMIT_EXCEEDED"),
        ("openai", openai("No credit", 429, "insufficient_quota", "insufficient_quota"), "QUOTA_EXCEEDED"),
        ("openai", openai("Too long", 400, "context_length_exceeded"), "CONTEXT_LENGTH_EXCEEDED"),
        ("openai", openai("No model", 404, "model_not_found"), "MODEL_NOT_FOUND"),
        ("openai", openai("Flagged", 400, "content_policy_violation"), "CONTENT_FILTERED"),
        ("openai", openai("Sorry", 503, None, "server_error"), "PROVIDER_UNAVAILABLE"),
        ("openai", openai("Too slow", 504), "TIMEOUT"),
        ("openai", openai("Unknown parameter", 400, "unknown_parameter"), "INVALID_REQUEST"),
        ("anthropic", anthropic("invalid x-api-key", 401, "authentication_error"), "INVALID_API_KEY"),
        ("anthropic", anthropic("no access", 403, "permission_error"), "INVALID_API_KEY"),
        ("anthropic", anthropic("slow down", 429, "rate_limit_error"), "RATE_LIMIT_EXCEEDED"),
        ("anthropic", anthropic("Your credit balance is too low"), "QUOTA_EXCEEDED"),
        ("anthropic", anthropic("pay", 402, "billing_error"), "QUOTA_EXCEEDED"),
        ("anthropic", anthropic("prompt is too long: 9 tokens > 8 maximum"), "CONTEXT_LENGTH_EXCEEDED"),
        ("anthropic", anthropic("model: x", 404, "not_found_error"), "MODEL_NOT_FOUND"),
        ("anthropic", anthropic("Overloaded", 529, "overloaded_error"), "PROVIDER_UNAVAILABLE"),
        ("anthropic", anthropic("Too slow", 504, "timeout_error"), "TIMEOUT"),
        ("anthropic", anthropic("top_k: Input should be positive"), "INVALID_REQUEST"),
        ("anthropic", anthropic("too large", 413, "request_too_large"), "INVALID_REQUEST"),
        ("google", google("API key not valid", details=[BAD_KEY]), "INVALID_API_KEY"),
        ("google", google("Denied", 403, "PERMISSION_DENIED"), "INVALID_API_KEY"),
        ("google", google("Quota", 429, "RESOURCE_EXHAUSTED", [quota("PerMinute")]), "RATE_LIMIT_EXCEEDED"),
        ("google", google("Quota", 429, "RESOURCE_EXHAUSTED", [quota("PerDay")]), "QUOTA_EXCEEDED"),
        ("google", google("Your prepayment credits are depleted.", 429, "RESOURCE_EXHAUSTED"), "QUOTA_EXCEEDED"),
        (
            "google",
            google("The input token count (9) exceeds the maximum number of tokens allowed (8)."),
            "CONTEXT_LENGTH_EXCEEDED",
        ),
        ("google", google("models/x is not found", 404, "NOT_FOUND"), "MODEL_NOT_FOUND"),
        ("google", google("Overloaded", 503, "UNAVAILABLE"), "PROVIDER_UNAVAILABLE"),
        ("google", google("Too slow", 504, "DEADLINE_EXCEEDED"), "TIMEOUT"),
        ("google", google("Bad request", 400, "FAILED_PRECONDITION"), "INVALID_REQUEST"),
    ],
)
def test_a_refusal_is_the_code_that_its_table_says(name, answer, code):
    status, body = answer
    error = provider(name).error(status, {"retry-after": "3"}, body)
    assert error.code == code
    assert error.details["provider_status"] == status
    assert error.retry_after_s == 3


@pytest.mark.parametrize(
    ("name", "answer", "numbers"),
    [
        (
            "openai",
            openai(
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 130512 tokens.",
                code="context_length_exceeded",
            ),
            (130_512, 128_000),
        ),
        (
            "openai",
            openai(
                "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300001 tokens.",
                code="context_length_exceeded",
            ),
            (300_001, 272_000),
        ),
        ("openai", openai("Too long for this model.", code="context_length_exceeded"), (None, None)),
        (
            "openai-compatible",
            openai(
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the"
                " messages, 1000 in the completion).",
                kind="BadRequestError",
            ),
            (5_000, 4_096),
        ),
        (
            "openai-compatible",
            openai(
                "This endpoint's maximum context length is 32768 tokens. However, you requested about 50000 tokens"
                " (49000 of text input, 1000 in the output)."
            ),
            (50_000, 32_768),
        ),
        (
            "openai-compatible",
            openai(
                "the request exceeds the available context size, try increasing it",
                kind="exceed_context_size_error",
                n_prompt_tokens=5_000,
                n_ctx=4_096,
            ),
            (5_000, 4_096),
        ),
        (
            "openai-compatible",
            openai("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it"),
            (5_000, 4_096),
        ),
        ("anthropic", anthropic("prompt is too long: 210000 tokens > 200000 maximum"), (210_000, 200_000)),
        (
            "anthropic",
            anthropic("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease them"),
            (210_000, 200_000),
        ),
        (
            "google",
            google("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
            (1_200_000, 1_048_576),
        ),
        (
            "google",
            google("The input token count is 1200000 but model only supports up to 1048576."),
            (1_200_000, 1_048_576),
        ),
    ],
)
def test_a_prompt_that_is_too_long_says_how_much(name, answer, numbers):
    error = provider(name).error(answer[0], {}, answer[1])
    assert error.code == "CONTEXT_LENGTH_EXCEEDED"
    assert (error.details.get("counted"), error.details.get("allowed")) == numbers


def all_errors(cls=AIError):
    return [each for child in cls.__subclasses__() for each in (child, *all_errors(child))]


@pytest.mark.parametrize("error", [each for each in all_errors() if each.__module__ == "datastead.errors"])
def test_every_error_of_a_model_call_has_a_cause_and_a_cure_of_its_own(error):
    assert vars(error)["cause"].endswith(".")
    assert vars(error)["cure"].endswith(".")
