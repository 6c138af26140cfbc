"""The root fields of `/graphql/system` that are not about items: each does what a route of REST does."""

from datastead.api.graphql.accounts import account_fields
from datastead.api.graphql.call import Fields
from datastead.api.graphql.logging_in import auth_fields
from datastead.api.graphql.modelling import modelling_fields
from datastead.api.graphql.server import server_fields
from datastead.api.graphql.utilities import utility_fields
from datastead.graphql.schema import Types
from datastead.graphql.view import View


def system_fields(view: View, types: Types) -> tuple[Fields, Fields]:
    """The fields of `Query` and of `Mutation`. Whoever has yet to set up a second factor has what that takes."""
    accounts, changing_accounts = account_fields(view, types)
    if view.actor.lacks_tfa:
        return {**server_fields(), **accounts}, {**auth_fields(), **changing_accounts}
    model, changing_model = modelling_fields(view)
    return (
        {**server_fields(), **accounts, **model},
        {**auth_fields(), **changing_accounts, **utility_fields(view, types), **changing_model},
    )
