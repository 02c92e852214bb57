"""What an authority confirmed about a citizen, so that other rooms can hold a written value against it. It tells none.

An attestation is a tag of the value under the citizen's own audit key: equal names of two people have different tags,
nobody is found by one, and whoever lacks the keys cannot try names against it. It is stated by identity in the
transaction that raises the assurance level, and ends with the citizen's erasure.
"""

from __future__ import annotations

import datetime as dt
import hmac
import unicodedata
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from gov_services.consent import store
from gov_services.crypto.data_keys import DataKey
from gov_services.kit.database import ReadSession, Session
from gov_services.kit.errors import UserError

_DOTS = str.maketrans(dict.fromkeys("•‧∙⋅・･.", "·"))
"""The middle dots that stand between the parts of a name, in all the ways they are typed."""


class Claim(StrEnum):
    """What can be attested."""

    NAME = "name"


class NotAsVerified(UserError):
    """The name is not the one that the population register confirmed for this account."""

    code = "NAME_NOT_VERIFIED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "姓名与实人认证的姓名不一致。如已更名,请重新认证。",
        "en": "This is not the name that you were verified under. If it has changed, verify your identity again.",
    }


def same_person_spelt(name: str) -> str:
    """A name as it is compared: width, case, spaces and the kinds of middle dots (间隔号) make no other person."""
    folded = unicodedata.normalize("NFKC", name).casefold().translate(_DOTS)
    return "".join(folded.split())


async def attest(session: Session, *, key: DataKey, claim: Claim, value: str, now: dt.datetime) -> None:
    """State that an authority confirmed `value`; what was attested before gives way. `key` is of class AUDIT."""
    await store.keep_attestation(
        session, citizen_id=key.citizen_id, claim=claim.value, digest=_digest(key, claim, value), now=now
    )


async def require_attested(session: ReadSession, *, key: DataKey, claim: Claim, value: str, field: str) -> None:
    """Compare what was written with what was confirmed. Raises NotAsVerified, also where nothing was confirmed."""
    known = await store.attestation(session, citizen_id=key.citizen_id, claim=claim.value)
    if known is None or not hmac.compare_digest(known, _digest(key, claim, value)):
        raise NotAsVerified(field=field)


async def forget(session: Session, *, citizen_id: UUID) -> None:
    """Remove what was attested about an erased citizen."""
    await store.remove_attestations(session, citizen_id=citizen_id)


def _digest(key: DataKey, claim: Claim, value: str) -> bytes:
    return key.tag(f"attestation/1 {claim.value}\0{same_person_spelt(value)}".encode())
