"""Users by GraphQL: the one who is signed in, a second factor, and those who register or are invited."""

from typing import Any

from graphql import GraphQLArgument, GraphQLBoolean, GraphQLList, GraphQLNonNull, GraphQLString

from datastead.api.graphql.call import Arguments, Call, Fields, entrance, field, system_field
from datastead.auth import invitations, registration, tfa
from datastead.auth.accounts import COLLECTION as USERS
from datastead.auth.accounts import Accounts
from datastead.auth.own import own_globals, own_items, own_permissions
from datastead.data.query import Query
from datastead.errors import InvalidCredentials
from datastead.graphql.reading import Info, Item, Shape, projected
from datastead.graphql.schema import Types
from datastead.graphql.types import JSON, NEEDED, TEXT, plain_object
from datastead.graphql.view import View

ROLES = "directus_roles"
SECRET = plain_object("users_me_tfa_generate_data", secret=GraphQLString, otpauth_url=GraphQLString)
GLOBALS = plain_object(
    "policy_me_globals_type", enforce_tfa=GraphQLBoolean, app_access=GraphQLBoolean, admin_access=GraphQLBoolean
)


def account_fields(view: View, types: Types) -> tuple[Fields, Fields]:
    """The fields of `Query` and of `Mutation`."""
    query: Fields = {
        "permissions_me": system_field(JSON, _read_permissions),
        "policies_me_globals": system_field(GLOBALS, _read_globals),
    }
    mutation: Fields = {
        "users_register": entrance(
            GraphQLBoolean, _register, email=NEEDED, password=NEEDED, verification_url=TEXT,
            first_name=TEXT, last_name=TEXT,
        ),
        "users_register_verify": entrance(GraphQLBoolean, _verify, token=NEEDED),
        "users_invite_accept": entrance(GraphQLBoolean, _accept, token=NEEDED, password=NEEDED),
        "users_me_tfa_generate": entrance(SECRET, _generate_tfa, password=TEXT),
        "users_me_tfa_enable": entrance(GraphQLBoolean, _enable_tfa, otp=NEEDED, secret=NEEDED),
        "users_me_tfa_disable": entrance(GraphQLBoolean, _disable_tfa, otp=NEEDED),
    }  # fmt: skip
    if view.may("create", USERS):
        mutation["users_invite"] = system_field(GraphQLBoolean, _invite, email=NEEDED, role=NEEDED, invite_url=TEXT)
    if view.actor.user is not None and USERS in view.names:
        query["users_me"] = field(types.own(USERS), {}, _read_me)
        query["roles_me"] = field(GraphQLList(GraphQLNonNull(types.own(ROLES))), {}, _read_roles)
        if view.may("update", USERS) or view.actor.has_app_access:
            data = {"data": GraphQLArgument(types.input("update", USERS))}
            mutation["update_users_me"] = field(types.own(USERS), data, _update_me)
    return query, mutation


async def _read_me(call: Call, info: Info, _: Arguments) -> Item:
    """The signed-in user, as far as it may see itself."""
    return await _me(call, *call.selection(info).items({}))


async def _me(call: Call, query: Query, shape: Shape) -> Item:
    if call.ctx.actor.user is None:
        raise InvalidCredentials
    (row,) = await own_items(call.ctx, USERS, [call.ctx.actor.user], query)
    return projected(row, shape)


async def _update_me(call: Call, info: Info, given: Arguments) -> Item:
    asked = call.selection(info).items({})
    await Accounts(call.ctx).update_self(given.get("data") or {})
    return await _me(call, *asked)


async def _read_roles(call: Call, info: Info, _: Arguments) -> list[Item]:
    """The role and its ancestors, as far as the policies let the caller see them."""
    query, shape = call.selection(info).items({})
    return [projected(row, shape) for row in await own_items(call.ctx, ROLES, call.ctx.actor.roles, query)]


async def _read_permissions(call: Call, _: Info, __: Arguments) -> dict[str, Any]:
    return await own_permissions(call.ctx)


async def _read_globals(call: Call, _: Info, __: Arguments) -> dict[str, bool]:
    return await own_globals(call.ctx)


async def _register(call: Call, _: Info, given: Arguments) -> bool:
    names = (*registration.NAMES, "email", "password")
    chosen = {name: given[name] for name in names if name in given}
    await registration.register(call.visitor(), chosen, given.get("verification_url"))
    return True


async def _verify(call: Call, _: Info, given: Arguments) -> bool:
    await registration.verify(call.visitor(), given["token"])
    return True


async def _invite(call: Call, _: Info, given: Arguments) -> bool:
    await invitations.invite(call.ctx, [given["email"]], given["role"], given.get("invite_url"))
    return True


async def _accept(call: Call, _: Info, given: Arguments) -> bool:
    await invitations.accept(call.visitor(), given["token"], given["password"])
    return True


async def _generate_tfa(call: Call, _: Info, given: Arguments) -> dict[str, str]:
    return await tfa.generate(call.ctx, given.get("password"))


async def _enable_tfa(call: Call, _: Info, given: Arguments) -> bool:
    await tfa.enable(call.ctx, given["secret"], given["otp"])
    return True


async def _disable_tfa(call: Call, _: Info, given: Arguments) -> bool:
    await tfa.disable(call.ctx, given["otp"])
    return True
