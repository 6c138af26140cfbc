"""Models over HTTP: `POST /ai/generate` in our own words, and `/ai/v1/*` in those of OpenAI's clients."""

from starlette.routing import Route

from datastead.api.gateway.chat import Chat
from datastead.api.gateway.embeddings import Embeddings
from datastead.api.gateway.endpoint import ModelEndpoint
from datastead.api.gateway.errors import NotFound
from datastead.api.gateway.models import Models
from datastead.api.gateway.native import Native
from datastead.api.gateway.responses import Responses

routes = [
    Route("/ai/v1/chat/completions", ModelEndpoint(Chat()), methods=["POST"]),
    Route("/ai/v1/responses", ModelEndpoint(Responses()), methods=["POST"]),
    Route("/ai/v1/embeddings", Embeddings(), methods=["POST"]),
    Route("/ai/generate", ModelEndpoint(Native()), methods=["POST"]),
    Route("/ai/v1/models", Models(), methods=["GET"]),
    Route("/ai/v1/models/{model:path}", Models(), methods=["GET"]),
    Route("/ai/v1/{rest:path}", NotFound()),
]
