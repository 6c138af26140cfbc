"""Datastead: a self-hosted data platform with AI built in.

Everything public is here, and loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datastead.ai.context_window import TokenCount as TokenCount
    from datastead.ai.conversation import message_json as message_json
    from datastead.ai.data import with_data as with_data
    from datastead.ai.embedding import EmbeddingResult as EmbeddingResult
    from datastead.ai.engine import AI as AI
    from datastead.ai.engine import GenerationResult as GenerationResult
    from datastead.ai.models import ModelDefinition as ModelDefinition
    from datastead.ai.models import build_custom_models as build_custom_models
    from datastead.ai.models import get_model_definition as get_model_definition
    from datastead.ai.vocabularies import count_tokens as count_tokens
    from datastead.ai.vocabularies import truncate_tokens as truncate_tokens
    from datastead.context import PUBLIC as PUBLIC
    from datastead.context import SYSTEM as SYSTEM
    from datastead.context import Actor as Actor
    from datastead.context import Context as Context
    from datastead.data.evaluation import failures_of as failures_of
    from datastead.data.items import Items as Items
    from datastead.data.project import about_project as about_project
    from datastead.data.query import Query as Query
    from datastead.events import Bus as Bus
    from datastead.events import Event as Event
    from datastead.extensions import Chain as Chain
    from datastead.extensions import Decoder as Decoder
    from datastead.extensions import Options as Options
    from datastead.extensions import Provider as Provider
    from datastead.extensions import Registry as Registry
    from datastead.extensions import Trigger as Trigger
    from datastead.extensions import TriggerRequest as TriggerRequest
    from datastead.extensions import operation as operation
    from datastead.extensions import provider as provider
    from datastead.extensions import storage as storage
    from datastead.extensions import template_filter as template_filter
    from datastead.extensions import trigger as trigger
    from datastead.files.files import Files as Files
    from datastead.files.files import Upload as Upload
    from datastead.files.storage import Storage as Storage
    from datastead.mail import Mail as Mail
    from datastead.mail import addresses as addresses
    from datastead.outgoing import Answer as Answer
    from datastead.outgoing import fetch as fetch
    from datastead.settings import Settings as Settings

_HOMES = {
    "datastead.ai.conversation": ("message_json",),
    "datastead.ai.data": ("with_data",),
    "datastead.ai.embedding": ("EmbeddingResult",),
    "datastead.ai.engine": ("AI", "GenerationResult"),
    "datastead.ai.models": ("ModelDefinition", "build_custom_models", "get_model_definition"),
    "datastead.ai.context_window": ("TokenCount",),
    "datastead.ai.vocabularies": ("count_tokens", "truncate_tokens"),
    "datastead.context": ("PUBLIC", "SYSTEM", "Actor", "Context"),
    "datastead.data.evaluation": ("failures_of",),
    "datastead.data.items": ("Items",),
    "datastead.data.project": ("about_project",),
    "datastead.data.query": ("Query",),
    "datastead.events": ("Bus", "Event"),
    "datastead.extensions": (
        "Chain", "Decoder", "Options", "Provider", "Registry", "Trigger", "TriggerRequest",
        "operation", "provider", "storage", "template_filter", "trigger",
    ),
    "datastead.files.files": ("Files", "Upload"),
    "datastead.files.storage": ("Storage",),
    "datastead.mail": ("Mail", "addresses"),
    "datastead.outgoing": ("Answer", "fetch"),
    "datastead.settings": ("Settings",),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605  names are loaded on first use
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module `datastead` has no `{name}`")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
