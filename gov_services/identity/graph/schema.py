"""The schema of the identity subgraph, put together. It resolves nothing."""

from __future__ import annotations

from functools import cache

import strawberry

from gov_services.identity.graph.accounts import AccountMutation
from gov_services.identity.graph.citizens import Citizen, CitizenQuery
from gov_services.identity.graph.guardians import GuardianMutation, GuardianQuery
from gov_services.identity.graph.messages import MessageQuery, MessageSubscription
from gov_services.subgraph.schema import Schema, build_schema


@strawberry.type(name="Query", description="Questions.")
class Query(CitizenQuery, MessageQuery, GuardianQuery):
    """All root fields of the subgraph."""


@strawberry.type(name="Mutation", description="Changes: one a document, each with an input and a payload.")
class Mutation(AccountMutation, GuardianMutation):
    """All changes of the subgraph."""


@strawberry.type(name="Subscription", description="What is told as it changes, each time decided and logged anew.")
class Subscription(MessageSubscription):
    """What can be listened to."""


@cache
def create_schema() -> Schema:
    """The subgraph's schema, with nothing connected."""
    return build_schema(query=Query, mutation=Mutation, subscription=Subscription, types=[Citizen])
