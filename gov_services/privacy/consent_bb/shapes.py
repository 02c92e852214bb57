"""What GovStack's consent API takes in, field by field as its specification has it. It stores nothing.

Source: `api/consent-openapi.yaml` 1.1.0-rc1 of github.com/GovStackWorkingGroup/bb-consent. What the specification does
not know of (`code`, `definition`, `note`, `dpiaId`) is ours, and may be left out.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from gov_services.kit.errors import UserError

BODY_LIMIT_BYTES = 65_536
Text = str | UnsetType
Shape = TypeVar("Shape", bound=msgspec.Struct)


class BodyMalformed(UserError):
    """A body is not of the shape that the operation takes."""

    code = "BAD_BODY"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请求内容有误:{problem}。",
        "en": "The body cannot be read: {problem}.",
    }


class Controller(msgspec.Struct, kw_only=True, rename="camel"):
    """Who answers for it."""

    id: str
    name: str
    url: str


class Individual(msgspec.Struct, kw_only=True, rename="camel"):
    """Whose consent it is."""

    id: str
    external_id: Text = UNSET
    external_id_type: Text = UNSET
    identity_provider_id: Text = UNSET


class Policy(msgspec.Struct, kw_only=True, rename="camel"):
    """Rules by which data is processed."""

    id: str
    name: str
    version: str
    url: str
    jurisdiction: Text = UNSET
    industry_sector: Text = UNSET
    data_retention_period_days: int | UnsetType = UNSET
    geographic_restriction: Text = UNSET
    storage_location: Text = UNSET


class Lifecycle(msgspec.Struct, kw_only=True, rename="camel"):
    """`Draft` or `Complete`."""

    id: str
    name: str


class Revision(msgspec.Struct, kw_only=True, rename="camel"):
    """A state of an object that is kept."""

    id: str
    schema_name: str
    object_id: str
    serialized_snapshot: str
    serialized_hash: str
    timestamp: str
    signed_without_object_id: bool | UnsetType = UNSET
    authorized_by_individual: Individual | UnsetType = UNSET
    authorized_by_other: Text = UNSET
    successor: Revision | UnsetType = UNSET
    predecessor_hash: Text = UNSET
    predecessor_signature: Text = UNSET


class Signature(msgspec.Struct, kw_only=True, rename="camel"):
    """Who agreed to what, and how that is known."""

    id: str
    payload: str
    signature: str
    verification_method: str
    verification_payload: str
    verification_payload_hash: str
    verification_signed_by: str
    timestamp: str
    verification_artifact: Text = UNSET
    verification_signed_as: Text = UNSET
    verification_jws_header: Text = UNSET
    signed_without_object_reference: bool | UnsetType = UNSET
    object_type: Text = UNSET
    object_reference: Text = UNSET


class DataAgreement(msgspec.Struct, kw_only=True, rename="camel"):
    """A purpose, and for whom."""

    id: str
    version: str
    purpose: str
    lawful_basis: str
    dpia: str
    controller: Controller | UnsetType = UNSET
    policy: Policy | UnsetType = UNSET
    data_use: Text = UNSET
    active: bool | UnsetType = UNSET
    forgettable: bool | UnsetType = UNSET
    compatible_with_version: DataAgreement | UnsetType = UNSET
    lifecycle: Lifecycle | UnsetType = UNSET
    signature: Signature | UnsetType = UNSET
    code: Text = UNSET
    """Of the purpose. Ours, as what follows."""
    definition: Text = UNSET
    """The purpose as the reviewed file would have it, in TOML."""
    note: Text = UNSET
    """Why."""
    dpia_id: Text = UNSET
    """Names the impact assessment whose TOML is `dpia`."""


class ConsentRecord(msgspec.Struct, kw_only=True, rename="camel"):
    """A consent."""

    id: str
    data_agreement_revision_hash: str
    state: str
    data_agreement: DataAgreement | UnsetType = UNSET
    data_agreement_revision: Revision | UnsetType = UNSET
    individual: Individual | UnsetType = UNSET
    opt_in: bool | UnsetType = UNSET
    signature: Signature | UnsetType = UNSET


class Webhook(msgspec.Struct, kw_only=True, rename="camel"):
    """Where a party wants to be told of changes."""

    id: str
    payload_url: str
    content_type: str
    disabled: bool
    secret_key: str


class PolicyBody(msgspec.Struct, rename="camel"):
    """Of creating and updating a policy."""

    policy: Policy


class DataAgreementBody(msgspec.Struct, rename="camel"):
    """Of creating and updating an agreement."""

    data_agreement: DataAgreement


class IndividualBody(msgspec.Struct, rename="camel"):
    """Of creating and updating an individual."""

    individual: Individual


class WebhookBody(msgspec.Struct, rename="camel"):
    """Of creating and updating a webhook."""

    webhook: Webhook


class ConsentRecordBody(msgspec.Struct, rename="camel"):
    """Of updating a record."""

    consent_record: ConsentRecord


class SignatureBody(msgspec.Struct, rename="camel"):
    """Of signing a record that is there."""

    signature: Signature


class PairBody(msgspec.Struct, rename="camel"):
    """A record and its signature, made at once."""

    consent_record: ConsentRecord
    signature: Signature


def read_body(content: bytes, shape: type[Shape]) -> Shape:
    """The body as `shape` has it. Raises BodyMalformed, saying where."""
    try:
        return msgspec.json.decode(content, type=shape)
    except (ValueError, RecursionError) as malformed:  # of msgspec, and for what is no UTF-8
        raise BodyMalformed(problem=str(malformed)) from malformed


def said(value: Text) -> str:
    """A text that may have been left out; empty then."""
    return value if isinstance(value, str) else ""
