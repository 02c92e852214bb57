"""What a change of the graph would do: what breaks, and what looks personal and is not marked. It changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from graphql.utilities import find_breaking_changes

from gov_services.consent.vocabulary import Vocabulary
from gov_services.federation.planning import DocumentInvalid, Planning
from gov_services.gateway.authorization import FEATURES
from gov_services.kit.manifest import Manifest
from gov_services.subgraph.manifests import MANIFEST
from graphql import GraphQLSchema, get_named_type, is_input_object_type, is_object_type

REVIEWED = "reviewed-fields.txt"
"""Coordinates that look personal and are not, each with its reason after a `#`."""
WORDS = re.compile(
    "name|phone|mobile|email|address|birth|birthday|gender|sex|age|nationality|passport|identity|resident|national|"
    "ethnicity|religion|marital|spouse|guardian|parent|child|disease|diagnosis|symptom|vaccination|health|blood|face|"
    "fingerprint|biometric|account|bank|card|salary|income|location|latitude|longitude|licence|plate|payer|applicant|"
    "holder|citizen|photo|signature"
)
CHINESE = re.compile(
    "姓名|电话|手机|邮箱|住址|地址|生日|出生|性别|年龄|民族|身份证|护照|证件号|监护|"
    "病|症状|疫苗|健康|人脸|指纹|账号|银行卡|收入|位置"
)
_VALUES = frozenset({"String", "ID", "Int", "Float", "Date", "DateTime"})


@dataclass(slots=True)
class Review:
    """What was found, a line each."""

    breaks_documents: list[str] = field(default_factory=list)
    breaks_nobody: list[str] = field(default_factory=list)
    looks_personal: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found that must be mended first."""
        return not self.breaks_documents and not self.looks_personal


def review(supergraph: Path, graph_directory: Path, *, against: Path | None) -> Review:
    """Review a supergraph for the registered documents; `against` is the one that clients know now."""
    found = Review()
    text = supergraph.read_text()
    planning = Planning(text, understood=FEATURES)
    manifest = Manifest.parse((graph_directory / MANIFEST).read_bytes())
    for document in sorted(manifest.documents.values(), key=lambda item: (sorted(item.clients), item.name)):
        try:
            planning.prepare(document.body, document.name)
        except DocumentInvalid as invalid:
            found.breaks_documents.append(f"{', '.join(sorted(document.clients))}/{document.name}: {invalid}")
    if against is not None:
        old = Planning(against.read_text(), understood=FEATURES).public_schema
        found.breaks_nobody = [item.description for item in find_breaking_changes(old, planning.public_schema)]
    reviewed = reviewed_fields(graph_directory / REVIEWED)
    marked = Vocabulary.from_sdl(text)
    found.looks_personal = [
        item for item in personal_looking(planning.public_schema) if item not in marked and item not in reviewed
    ]
    return found


def reviewed_fields(path: Path) -> frozenset[str]:
    """The coordinates in the file of those that were looked at. A line without a reason does not count."""
    if not path.exists():
        return frozenset()
    lines = (line.partition("#") for line in path.read_text().splitlines())
    return frozenset(coordinate.strip() for coordinate, _, reason in lines if coordinate.strip() and reason.strip())


def personal_looking(schema: GraphQLSchema) -> Iterator[str]:
    """Coordinates of plain values whose names or descriptions speak of a person."""
    for type_name, item in sorted(schema.type_map.items()):
        if type_name.startswith("__") or not (is_object_type(item) or is_input_object_type(item)):
            continue
        for name, member in item.fields.items():
            named = get_named_type(member.type)
            if named.name in _VALUES and (_speaks(name) or CHINESE.search(member.description or "")):
                yield f"{type_name}.{name}"


def _speaks(name: str) -> bool:
    words = {word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return any(WORDS.fullmatch(word) for word in words)
