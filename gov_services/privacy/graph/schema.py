"""The schema of the privacy subgraph, put together. It resolves nothing."""

from __future__ import annotations

from functools import cache

import strawberry

from gov_services.privacy.graph.audits import AuditMutation, AuditQuery
from gov_services.privacy.graph.breaches import BreachMutation, BreachQuery
from gov_services.privacy.graph.consents import CitizenReference, ConsentMutation, ConsentQuery
from gov_services.privacy.graph.deletions import DeletionMutation
from gov_services.privacy.graph.directives import DirectiveMutation, DirectiveQuery
from gov_services.privacy.graph.drafts import DraftMutation, DraftQuery
from gov_services.privacy.graph.erasure import ErasureMutation
from gov_services.privacy.graph.findings import FindingMutation, FindingQuery
from gov_services.privacy.graph.history import HistoryQuery
from gov_services.privacy.graph.requests import RequestMutation, RequestQuery
from gov_services.privacy.graph.review import ReviewMutation, ReviewQuery
from gov_services.privacy.graph.rights import RightMutation, RightQuery
from gov_services.privacy.graph.use_reports import UseReportMutation
from gov_services.subgraph.schema import Schema, build_schema


@strawberry.type(name="Query", description="Questions.")
class Query(
    ConsentQuery,
    RequestQuery,
    HistoryQuery,
    ReviewQuery,
    FindingQuery,
    RightQuery,
    DirectiveQuery,
    BreachQuery,
    DraftQuery,
    AuditQuery,
):
    """All root fields of the subgraph."""


@strawberry.type(name="Mutation", description="Changes: one a document, each with an input and a payload.")
class Mutation(
    ConsentMutation,
    RequestMutation,
    ReviewMutation,
    FindingMutation,
    UseReportMutation,
    DeletionMutation,
    RightMutation,
    DirectiveMutation,
    BreachMutation,
    DraftMutation,
    AuditMutation,
    ErasureMutation,
):
    """All changes of the subgraph."""


@cache
def create_schema() -> Schema:
    """The subgraph's schema, with nothing connected."""
    return build_schema(query=Query, mutation=Mutation, types=[CitizenReference])
