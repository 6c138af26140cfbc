"""Every error of the project, in one tree.

    DatasteadError
    ├── InvalidSettings, InvalidExtension                     at start
    ├── RequestError                                          what a caller sent
    │   ├── InvalidPayload, InvalidQuery, FailedValidation
    │   ├── RecordNotUnique, NotNullViolation, InvalidForeignKey, ValueTooLong, ValueOutOfRange, ContainsNullValues
    │   ├── InvalidCredentials, InvalidOtp, InvalidIp, InvalidProvider, InvalidToken, TokenExpired, Forbidden
    │   ├── AuthenticationFailed, AuthenticationTimeout, InvalidCollection      over WebSockets
    │   ├── GraphqlValidation
    │   ├── RouteNotFound, MethodNotAllowed, UnsupportedMediaType, UnprocessableContent, RequestsExceeded
    │   ├── ContentTooLarge, RangeNotSatisfiable, IllegalAssetTransformation, StoredFileNotFound
    │   ├── UploadNotFound, UploadOffsetConflict, UploadVersionUnsupported
    │   ├── InvalidFlow, TemplateError, LoopRefused
    │   └── RequestRefused, StepInDoubt, OperationRejected
    ├── ServiceUnavailable
    └── AIError                                               what a model call can end in
        ├── InvalidRequest, ModelNotFound, ModelNotAllowed, ContextLengthExceeded, UnsupportedCapability
        ├── ProviderNotConfigured, InvalidApiKey, RateLimitExceeded, QuotaExceeded, ProviderUnavailable, ProviderTimeout
        ├── ContentFiltered, InvalidOutput
        ├── BudgetExceeded, UnpricedModel
        └── CallInDoubt

`code` and `status` (HTTP) stand on the class; what is particular (the value, the field) on the instance in `details`.
The docstring of a class is its default message. Of what a model call can end in, the class says also why that happens
(`cause`) and what helps (`cure`): the reference page and the command line show it from here.
"""

import json
from typing import Any, ClassVar


class DatasteadError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    status: ClassVar[int] = 500

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details = details
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class InvalidSettings(DatasteadError):
    """The settings are not valid."""

    code = "INVALID_SETTINGS"


class InvalidExtension(DatasteadError):
    """An extension could not be loaded."""

    code = "INVALID_EXTENSION"


class ServiceUnavailable(DatasteadError):
    """The service is not available."""

    code = "SERVICE_UNAVAILABLE"
    status = 503


class RequestError(DatasteadError):
    """The request cannot be carried out."""

    code = "INVALID_PAYLOAD"
    status = 400


class InvalidPayload(RequestError):
    """The payload is not valid."""


class InvalidQuery(RequestError):
    """The query is not valid."""

    code = "INVALID_QUERY"


class FailedValidation(RequestError):
    """A field has a value that is not allowed."""

    code = "FAILED_VALIDATION"


class RecordNotUnique(RequestError):
    """The value has to be unique."""

    code = "RECORD_NOT_UNIQUE"


class NotNullViolation(RequestError):
    """The field needs a value."""

    code = "NOT_NULL_VIOLATION"


class InvalidForeignKey(RequestError):
    """The item that the value refers to does not exist."""

    code = "INVALID_FOREIGN_KEY"


class ValueTooLong(RequestError):
    """The value is too long for the field."""

    code = "VALUE_TOO_LONG"


class ValueOutOfRange(RequestError):
    """The value is out of the field's range."""

    code = "VALUE_OUT_OF_RANGE"


class ContainsNullValues(RequestError):
    """The field holds nulls, so that it cannot be made required."""

    code = "CONTAINS_NULL_VALUES"


class InvalidCredentials(RequestError):
    """The credentials are not valid."""

    code = "INVALID_CREDENTIALS"
    status = 401


class InvalidOtp(RequestError):
    """The one-time password is not valid."""

    code = "INVALID_OTP"
    status = 401


class InvalidIp(RequestError):
    """No policy of yours is for the address that you come from."""

    code = "INVALID_IP"
    status = 401


class InvalidProvider(RequestError):
    """This user, or this address, belongs to another way to log in."""

    code = "INVALID_PROVIDER"
    status = 403


class TokenExpired(RequestError):
    """The token has expired."""

    code = "TOKEN_EXPIRED"
    status = 401


class InvalidToken(RequestError):
    """The token is not valid."""

    code = "INVALID_TOKEN"
    status = 403


class Forbidden(RequestError):
    """This does not exist, or you are not allowed to see or do it."""

    code = "FORBIDDEN"
    status = 403


class AuthenticationFailed(RequestError):
    """Authentication failed."""

    code = "AUTH_FAILED"
    status = 401


class AuthenticationTimeout(RequestError):
    """Authentication timed out."""

    code = "AUTH_TIMEOUT"
    status = 401


class InvalidCollection(RequestError):
    """The collection does not exist, or you are not allowed to see it."""

    code = "INVALID_COLLECTION"
    status = 403


class GraphqlValidation(RequestError):
    """GraphQL validation error."""

    code = "GRAPHQL_VALIDATION"


class RouteNotFound(RequestError):
    """There is no such route."""

    code = "ROUTE_NOT_FOUND"
    status = 404


class MethodNotAllowed(RequestError):
    """The route does not take this method."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class UnsupportedMediaType(RequestError):
    """The content type is not supported here."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class UnprocessableContent(RequestError):
    """The request is well formed, and cannot be carried out."""

    code = "UNPROCESSABLE_CONTENT"
    status = 422


class ContentTooLarge(RequestError):
    """The file is too large."""

    code = "CONTENT_TOO_LARGE"
    status = 413


class RangeNotSatisfiable(RequestError):
    """The file has no such range of bytes."""

    code = "RANGE_NOT_SATISFIABLE"
    status = 416


class IllegalAssetTransformation(RequestError):
    """The asset cannot be transformed in this way."""

    code = "ILLEGAL_ASSET_TRANSFORMATION"


class StoredFileNotFound(RequestError):
    """The storage does not have the file."""

    code = "STORED_FILE_NOT_FOUND"
    status = 404


class UploadNotFound(RequestError):
    """There is no such upload, it has expired, or it is another user's."""

    code = "UPLOAD_NOT_FOUND"
    status = 404


class UploadOffsetConflict(RequestError):
    """The bytes do not begin where the upload has ended so far: ask with HEAD where that is, and go on from there."""

    code = "UPLOAD_OFFSET_CONFLICT"
    status = 409


class UploadChecksumMismatch(RequestError):
    """What has come of the upload is not what was sent: send it again."""

    code = "UPLOAD_CHECKSUM_MISMATCH"
    status = 460


class UploadVersionUnsupported(RequestError):
    """The header `Tus-Resumable` has to be `1.0.0`."""

    code = "UPLOAD_VERSION_UNSUPPORTED"
    status = 412


class RequestsExceeded(RequestError):
    """Too many requests: try again later."""

    code = "REQUESTS_EXCEEDED"
    status = 429

    def __init__(self, message: str | None = None, /, *, retry_after_s: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after_s = retry_after_s


class InvalidFlow(RequestError):
    """The flow is not valid."""

    code = "INVALID_PAYLOAD"


class TemplateError(RequestError):
    """The template is not valid."""

    code = "INVALID_PAYLOAD"


class LoopRefused(RequestError):
    """Flows have triggered each other too many times in a row."""

    code = "LOOP_REFUSED"


class RequestRefused(RequestError):
    """The outgoing request is not allowed."""

    code = "REQUEST_REFUSED"
    status = 422


class StepInDoubt(RequestError):
    """The process died while this step was under way, so that it may have been done already."""

    code = "STEP_IN_DOUBT"
    status = 409


class OperationRejected(RequestError):
    """An operation of the flow was rejected.

    `data` is what the rejection says: any JSON value. Where it names a `code` and a `status`, these are answered.
    """

    code = "OPERATION_REJECTED"

    def __init__(self, message: str | None = None, /, *, data: Any = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.data = data


class AIError(DatasteadError):
    """The model call failed.

    `contract_code` and `contract_status` are answered on Directus's own routes, with `code` beside them as `ai_code`.
    `retryable`: the same call may succeed later. `retry_after_s`: seconds the provider asks to wait, where it said so.
    """

    code = "AI_ERROR"
    status = 502
    contract_code: ClassVar[str] = "SERVICE_UNAVAILABLE"
    contract_status: ClassVar[int] = 503
    retryable: ClassVar[bool] = False
    cause: ClassVar[str] = ""
    cure: ClassVar[str] = ""

    def __init__(self, message: str | None = None, /, *, retry_after_s: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after_s = retry_after_s


class InvalidRequest(AIError):
    """The model call is not valid."""

    code = "INVALID_REQUEST"
    status = 400
    contract_code = "INVALID_PAYLOAD"
    contract_status = 400
    cause = "An option has a wrong type or value, or the provider refused the request as malformed."
    cure = "Correct what the message names; `details` has the parameter and the value."


class ModelNotFound(InvalidRequest):
    """There is no such model."""

    code = "MODEL_NOT_FOUND"
    cause = "The id is misspelt, or the provider has no such model or no longer has it."
    cure = "Use an id that `datastead ai models` lists, or declare the model at its endpoint."


class UnsupportedCapability(InvalidRequest):
    """The model cannot do this."""

    code = "UNSUPPORTED_CAPABILITY"
    cause = "The call asks for what the model or its wire format cannot do: files, reasoning, a tier, a forced tool."
    cure = "Use a model that can, or leave the option out; `details.capability` names it."


class ContextLengthExceeded(InvalidRequest):
    """The prompt is longer than the model's context."""

    code = "CONTEXT_LENGTH_EXCEEDED"
    cause = "The prompt, with its tools, files and the room for the answer, has more tokens than the model takes."
    cure = "Shorten the prompt, or use a model with a longer context; `details` has `counted` and `allowed`."


class ModelNotAllowed(AIError):
    """The model is not in the provider's list of allowed models."""

    code = "MODEL_NOT_ALLOWED"
    status = 403
    contract_code = "FORBIDDEN"
    contract_status = 403
    cause = "The provider is configured with a list of models, and this one is not in it."
    cure = "Add it to the provider's `AI_…_ALLOWED_MODELS`."


class ProviderNotConfigured(AIError):
    """The provider has no key, or is not enabled."""

    code = "PROVIDER_NOT_CONFIGURED"
    status = 503
    cause = "No key or address is set for the provider, or `AI_ENABLED` is false."
    cure = "Set the variables that the message names."


class InvalidApiKey(AIError):
    """The provider refused the API key."""

    code = "INVALID_API_KEY"
    status = 502
    cause = "The key is wrong, revoked, or has no right to this model."
    cure = "Check the provider's `AI_…_API_KEY`."


class RateLimitExceeded(AIError):
    """The provider's rate limit is used up."""

    code = "RATE_LIMIT_EXCEEDED"
    status = 429
    retryable = True
    cause = "More requests or tokens a minute than the account may use."
    cure = (
        "Wait, or use another model; where the provider says how long, `retry_after_s` has it, and retries wait for it."
    )


class QuotaExceeded(AIError):
    """The provider's account has no credit left."""

    code = "QUOTA_EXCEEDED"
    status = 402
    cause = "The credit is spent, or the quota of the day or the project is used up."
    cure = "Add credit to the provider's account, or wait for the next period."


class ProviderUnavailable(AIError):
    """The provider does not answer, or answers with an error of its own."""

    code = "PROVIDER_UNAVAILABLE"
    status = 503
    retryable = True
    cause = "The provider is down or overloaded, the connection broke, or the answer was not as documented."
    cure = "Check the provider's base URL and its status page, and try again; `fallbacks` do so at another provider."


class ProviderTimeout(AIError):
    """The provider did not answer in time."""

    code = "TIMEOUT"
    status = 504
    retryable = True
    cause = "No answer came within `timeout`, or the provider gave up on it."
    cure = "Try again, or raise `AI_TIMEOUT_S`."


class ContentFiltered(AIError):
    """The provider's content filter stopped the call."""

    code = "CONTENT_FILTERED"
    status = 422
    cause = "The prompt or the answer is of a kind that the provider does not allow, or the model refused."
    cure = (
        "Change the prompt, or use another model; `details.provider_code` says which filter, where the provider does."
    )


class InvalidOutput(AIError):
    """The model's answer does not have the shape that was asked for."""

    code = "INVALID_OUTPUT"
    result: object | None = None  # the `GenerationResult`, where an answer came; not a detail: those are shown
    cause = (
        "The answer was cut, or the model refused or did not keep to the schema, or gave a tool call broken arguments."
    )
    cure = "Raise `max_tokens`, simplify the schema, or use a model with a native schema mode."


class BudgetExceeded(AIError):
    """The budget does not cover the call."""

    code = "BUDGET_EXCEEDED"
    status = 402
    cause = "A hard budget would not cover the most that the call can cost."
    cure = "Raise the budget, lower `max_tokens`, or wait for its reset; `details` has scope, limit and what is left."


class UnpricedModel(AIError):
    """The model has no known price, and a budget in USD applies to it."""

    code = "UNPRICED_MODEL"
    status = 402
    cause = "A budget in USD cannot hold for a model whose price nobody knows."
    cure = "Give the model a `cost` (0 = free), or use one that is priced."


class CallInDoubt(AIError):
    """The process died while this call was under way, so that it may have been paid already."""

    code = "CALL_IN_DOUBT"
    status = 409
    cause = "A process died between sending the call and writing down its answer."
    cure = "Look at the provider's log, then resolve the call; or let the policy try it again."


def as_json(value: Any) -> str:
    """A value as its sender wrote it, for messages. What cannot be encoded is written as escapes."""
    try:
        return json.dumps(value, ensure_ascii=False, default=repr).encode(errors="backslashreplace").decode()
    except (TypeError, ValueError, RecursionError):  # keys that are no JSON, a circle, or too deep
        return repr(value)
