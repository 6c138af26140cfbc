"""`Budget`: what one request may ask for. Limits of requests count a GraphQL request once, however much it asks for."""

from dataclasses import dataclass

from datastead.errors import InvalidQuery

MAX_VISITED = 10_000
MAX_HASHES = 10
MAX_MODELS = 5


@dataclass
class Budget:
    """What one request may still ask for: lists and single items (`selects`), fields, to be let in, hashes, and all
    that the database has (`models`)."""

    selects: int
    fields: int = MAX_VISITED
    logins: int = 1
    hashes: int = MAX_HASHES
    models: int = MAX_MODELS

    def take_login(self) -> None:
        """One attempt to be let in: of several in a request, limits would count one."""
        self.logins -= 1
        if self.logins < 0:
            raise too_much(
                "more than one of the mutations `auth_*`, `users_me_tfa_*`, `users_register*`, `users_invite_accept`"
            )

    def take_hash(self) -> None:
        """One hash more, which takes time and memory on purpose."""
        self.hashes -= 1
        if self.hashes < 0:
            raise too_much(f"more than {MAX_HASHES} hashes")

    def take_model(self) -> None:
        """All collections, fields or relations once more, or what is made of them: as large as the database is."""
        self.models -= 1
        if self.models < 0:
            raise too_much(f"the whole model more than {MAX_MODELS} times")

    def take_select(self) -> None:
        """One list more, or a single item that has arguments."""
        self.selects -= 1
        if self.selects < 0:
            raise too_much("more lists and items than `GRAPHQL_MAX_SELECTS`")

    def take_field(self) -> None:
        """One field more."""
        self.fields -= 1
        if self.fields < 0:
            raise too_much(f"more than {MAX_VISITED} fields")


def too_much(what: str) -> InvalidQuery:
    """The error for it."""
    return InvalidQuery(f"The request asks for {what}.", reason=f"the request asks for {what}")
