"""The city's purposes, schema and documents, and a next bundle put in force. No test here."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from town import Town

from gov_services.cli.documents import seed_bundle
from gov_services.consent import bundles
from gov_services.consent.purpose_files import parse_bundle
from gov_services.consent.purposes import Bundle, Form
from gov_services.consent.vocabulary import Vocabulary
from gov_services.kit.manifest import Manifest
from gov_services.kit.settings import PROJECT_ROOT

SEED = seed_bundle()
GRAPH = PROJECT_ROOT / "graphql"
SCHEMA = Vocabulary.from_sdl((GRAPH / "supergraph.graphql").read_text())
DOCUMENTS = {
    (client, document.name): document
    for document in Manifest.parse((GRAPH / "trusted-documents.json").read_bytes()).documents.values()
    for client in document.clients
}
NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
SHOWN = (Form.PLAIN, Form.MASKED, Form.DERIVED)


async def put_in_force(town: Town, code: str, **changes: Any) -> None:
    """The next bundle, in which a purpose is changed."""
    bundle = parse_bundle(bytes(await town.value("SELECT body FROM consent.bundle ORDER BY version DESC LIMIT 1")))
    await put_bundle_in_force(town, bundle.with_purpose(replace(bundle.purposes[code], **changes)))


async def put_bundle_in_force(town: Town, following: Bundle) -> None:
    """As two officers would."""
    async with town.database.writing() as session:
        await bundles.publish(
            session,
            following,
            key=town.signing_key("bundle"),
            proposed_by="staff:a",
            approved_by="staff:b",
            note="x",
            now=town.clock.now(),
        )
