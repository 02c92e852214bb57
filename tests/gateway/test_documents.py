"""Trusted documents at the gateway: what the supergraph cannot answer is refused with the manifest, at the start."""

from __future__ import annotations

import hashlib
import json

import pytest

from gov_services.federation.planning import Planning
from gov_services.gateway.documents import Documents
from gov_services.gateway.limits import Limits
from gov_services.kit.manifest import FORMAT, Manifest, ManifestRefused
from gov_services.kit.settings import PROJECT_ROOT


@pytest.fixture(scope="module")
def planning() -> Planning:
    """Plans over the committed supergraph."""
    return Planning((PROJECT_ROOT / "graphql" / "supergraph.graphql").read_text())


def manifest_of(body: str) -> Manifest:
    """A manifest of one operation, called Odd."""
    operation = {
        "id": hashlib.sha256(body.encode()).hexdigest(),
        "name": "Odd",
        "type": "query",
        "body": body,
        "clients": ["citizen-app"],
        "purpose": "own-account",
        "signIn": "required",
        "reads": [],
        "collects": [],
        "personalVariables": False,
        "fetches": {},
    }
    whole = {"format": FORMAT, "version": 1, "manifestVersion": 1, "supergraph": "", "operations": [operation]}
    return Manifest.parse(json.dumps(whole).encode())


@pytest.mark.parametrize(
    "body",
    ["query Odd { nobodyHasThis }", "query Odd {", "", "query Even { me { id } }", "query Odd " + "{ me " * 20_000],
    ids=["unknown field", "half a document", "nothing", "another name", "nested too deeply"],
)
def test_a_document_that_cannot_be_answered_is_refused_with_its_manifest(planning: Planning, body: str) -> None:
    documents = Documents(manifest_of(body), planning, limits=Limits(), allow_adhoc=False)
    with pytest.raises(ManifestRefused, match="the document Odd cannot be answered"):
        documents.warm()


def test_a_document_that_it_can_answer_is_planned(planning: Planning) -> None:
    Documents(manifest_of("query Odd { me { id } }"), planning, limits=Limits(), allow_adhoc=False).warm()
