"""Id of a document → trusted document, planned. Ad-hoc documents exist in development only. It decides no purpose."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from gov_services.federation.planning import DocumentInvalid as NotPlanned
from gov_services.federation.planning import Planning, Prepared
from gov_services.gateway.errors import BadRequest, DocumentInvalid, DocumentsEnded, DocumentUnknown
from gov_services.gateway.labels import NONE, Labels
from gov_services.gateway.limits import Limits
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.assertion import ADHOC
from gov_services.kit.errors import Unauthenticated
from gov_services.kit.manifest import Manifest, ManifestRefused, TrustedDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The document of one request, with its plan."""

    id: str
    name: str
    """What metrics and traces call it: the registered name, or `adhoc`."""
    prepared: Prepared
    manifest_version: int
    personal_variables: bool
    adhoc_purpose: str | None = None

    @property
    def is_query(self) -> bool:
        """Whether it only reads."""
        return self.prepared.kind == "query"


class Documents:
    """The registered documents, and in development any other."""

    def __init__(
        self, manifest: Manifest, planning: Planning, *, limits: Limits, allow_adhoc: bool, labels: Labels | None = None
    ) -> None:
        self._labels = labels or Labels()
        self._manifest = manifest
        self._planning = planning
        self._limits = limits
        self._allow_adhoc = allow_adhoc
        self._prepared: dict[tuple[str, frozenset[str]], Prepared] = {}

    def trust(self, manifest: Manifest, planning: Planning) -> Documents:
        """The documents of a newer manifest, all planned, to be put in these documents' place by `replace`.

        Raises ManifestRefused for an older manifest, and where one of its documents cannot be answered. One that ended
        is taken, and answers nothing: see `select`.
        """
        manifest.require_not_before(self._manifest.version)
        made = Documents(manifest, planning, limits=self._limits, allow_adhoc=self._allow_adhoc, labels=self._labels)
        made.warm()
        return made

    def replace(self, newer: Documents) -> None:
        """From now on, answer by what `newer` holds."""
        self._manifest, self._planning, self._prepared = newer._manifest, newer._planning, newer._prepared

    def warm(self) -> None:
        """Plan every registered document, so that no citizen waits for it. Raises ManifestRefused."""
        for document in self._manifest.documents.values():
            self._plan(document, NONE)

    def select(
        self,
        actor: Actor,
        *,
        document_id: str | None,
        text: str | None,
        name: str | None,
        headers: Mapping[str, str],
        now: dt.datetime,
    ) -> Selected:
        """The document that is asked for.

        Raises DocumentUnknown, DocumentsEnded, Unauthenticated, BadRequest, DocumentInvalid.
        """
        if document_id is not None:
            return self._trusted(actor, document_id, now)
        if text is None:
            raise BadRequest(problem="documentId")
        if not self._allow_adhoc:
            raise DocumentUnknown
        return self._adhoc(actor, text, name, headers.get("gov-purpose"))

    def left_s(self, now: dt.datetime) -> float:
        """Seconds until the signatures end; below zero once they did."""
        until = self._manifest.until
        return (until - now).total_seconds() if until is not None else -1.0

    def _trusted(self, actor: Actor, document_id: str, now: dt.datetime) -> Selected:
        try:
            self._manifest.require_in_force(now)
        except ManifestRefused:
            raise DocumentsEnded from None
        document = self._manifest.documents.get(document_id.removeprefix("sha256:"))
        if document is None:
            raise DocumentUnknown
        if document.sign_in == "required" and actor.kind is ActorKind.ANONYMOUS:
            raise Unauthenticated
        if actor.kind is not ActorKind.ANONYMOUS and actor.client_id not in document.clients:
            raise DocumentUnknown
        return Selected(
            id=document.id,
            name=document.name,
            prepared=self._plan(document, self._labels.chosen(self._planning.labels, actor)),
            manifest_version=self._manifest.version,
            personal_variables=document.personal_variables,
        )

    def _adhoc(self, actor: Actor, text: str, name: str | None, purpose: str | None) -> Selected:
        self._limits.check_shape(self._limits.check_text(text))
        try:
            prepared = self._planning.prepare(text, name, self._labels.chosen(self._planning.labels, actor))
        except NotPlanned as refused:
            raise DocumentInvalid(problem="; ".join(error.message for error in refused.errors[:3])) from refused
        if not purpose and prepared.plan.fetches:
            raise BadRequest(problem="Gov-Purpose")  # what the schema itself answers needs none
        return Selected(
            id=ADHOC,
            name=ADHOC,
            prepared=prepared,
            manifest_version=self._manifest.version,
            personal_variables=bool(prepared.plan.fetches),
            adhoc_purpose=purpose,
        )

    def _plan(self, document: TrustedDocument, labels: frozenset[str]) -> Prepared:
        key = document.id, labels
        prepared = self._prepared.get(key)
        if prepared is None:
            try:
                prepared = self._planning.prepare(document.body, document.name, labels)
            except NotPlanned as refused:
                problem = refused.errors[0].message
                raise ManifestRefused(f"the document {document.name} cannot be answered: {problem}") from None
            self._prepared[key] = prepared
        return prepared
