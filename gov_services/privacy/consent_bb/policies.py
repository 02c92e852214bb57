"""Processing policies: the published rules by which agreements go (PIPL 17), with every revision. They open nothing."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import ClassVar
from urllib.parse import urlsplit

from gov_services.kit.canonical import sha256
from gov_services.kit.database import ReadSession, Session
from gov_services.kit.errors import NotFound, UserError
from gov_services.privacy.consent_bb import shapes, store, views
from gov_services.privacy.consent_bb.models import PolicyRow
from gov_services.privacy.consent_bb.shapes import said
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import WriteContext

CITYS_OWN = 1
"""The policy that an agreement goes by until another is chosen for it."""
LONGEST = 2000
LONGEST_RETENTION_DAYS = 36_500
GENESIS = bytes(32)


class PolicyNotSound(UserError):
    """A policy lacks what it has to say, or says what cannot be."""

    code = "POLICY_NOT_SOUND"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "处理规则有误:{problem}。",
        "en": "The policy cannot stand as it is: {problem}.",
    }


class PolicyInUse(UserError):
    """An agreement in force goes by the policy."""

    code = "POLICY_IN_USE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该处理规则仍被使用({purpose}),不能删除或收紧。",
        "en": "The policy is still gone by ({purpose}): it cannot be ended, nor ask for less time.",
    }


async def read(session: ReadSession, *, number: str) -> Sequence[PolicyRow]:
    """Every revision of the policy of that number. Raises NotFound, of one that has ended too."""
    rows = await store.policy_revisions(session, number=int(number)) if _is_number(number) else []
    if not rows or str(rows[0].number) != number or rows[-1].ended:
        raise NotFound
    return rows


def at_revision(rows: Sequence[PolicyRow], revision_id: str) -> int:
    """Where in `rows` that revision is; the last for none. Raises NotFound."""
    if not revision_id:
        return len(rows) - 1
    for index, row in enumerate(rows):
        if row.hash.hex() == revision_id:
            return index
    raise NotFound


async def first(session: Session, *, now: dt.datetime) -> PolicyRow | None:
    """The city's own policy, as the reviewed file has it; None where policies are there already."""
    await store.lock_policies(session)
    if await store.last_policy_number(session):
        return None
    told = tomllib.loads((files("gov_services.privacy.consent_bb") / "policy.toml").read_text())
    row = PolicyRow(
        number=CITYS_OWN,
        revision=1,
        name=told["name"],
        version=told["version"],
        url=told["url"],
        jurisdiction=told["jurisdiction"],
        sector=told["industry_sector"],
        retention_days=None,
        restriction=told["geographic_restriction"],
        storage=told["storage_location"],
        ended=False,
        made_by="seed",
        made_at=now,
        previous=GENESIS,
    )
    session.add(hashed(row))
    return row


async def create(ctx: WriteContext[PrivacyPorts], *, asked: shapes.Policy) -> PolicyRow:
    """A new policy. Raises PolicyNotSound."""
    await store.lock_policies(ctx.session)
    number = await store.last_policy_number(ctx.session) + 1
    return await _append(ctx, _row(ctx, asked, number, []), "policy.created")


async def update(ctx: WriteContext[PrivacyPorts], *, number: str, asked: shapes.Policy) -> PolicyRow:
    """Another revision of a policy. Raises NotFound, PolicyNotSound, PolicyInUse."""
    await store.lock_policies(ctx.session)
    rows = await read(ctx.session, number=number)
    row = _row(ctx, asked, rows[0].number, rows)
    await _require_room(ctx, row)
    return await _append(ctx, row, "policy.updated")


async def delete(ctx: WriteContext[PrivacyPorts], *, number: str) -> PolicyRow:
    """End a policy that nothing in force goes by; its revisions stay. Raises NotFound, PolicyInUse."""
    await store.lock_policies(ctx.session)
    rows = await read(ctx.session, number=number)
    last = rows[-1]
    goes_by = [
        code
        for code, policy in (await governing(ctx.session, list(ctx.bundle.purposes))).items()
        if policy == last.number
    ]
    if goes_by:
        raise PolicyInUse(purpose=min(goes_by))
    row = _following(ctx, rows)
    row.ended = True
    return await _append(ctx, row, "policy.ended")


async def governing(session: ReadSession, purposes: Sequence[str]) -> dict[str, int]:
    """Purpose → number of the policy that it goes by."""
    chosen = await store.policies_of_purposes(session)
    return {code: chosen.get(code, CITYS_OWN) for code in purposes}


def hashed(row: PolicyRow) -> PolicyRow:
    """The row with the hash over all that it says."""
    row.hash = sha256(views.policy_snapshot(row))
    return row


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _row(ctx: WriteContext[PrivacyPorts], asked: shapes.Policy, number: int, rows: Sequence[PolicyRow]) -> PolicyRow:
    retention = asked.data_retention_period_days
    texts = {
        "name": asked.name,
        "version": asked.version,
        "url": asked.url,
        "jurisdiction": said(asked.jurisdiction),
        "sector": said(asked.industry_sector),
        "restriction": said(asked.geographic_restriction),
        "storage": said(asked.storage_location),
    }
    if any(not texts[name].strip() for name in ("name", "version")):
        raise PolicyNotSound(problem="it has a name and a version")
    if any(len(text) > LONGEST for text in texts.values()):
        raise PolicyNotSound(problem=f"a text of it has at most {LONGEST} characters")
    if not _is_address(asked.url):
        raise PolicyNotSound(problem="url is an address that begins with https://")
    if isinstance(retention, int) and not 0 < retention <= LONGEST_RETENTION_DAYS:
        raise PolicyNotSound(problem=f"dataRetentionPeriodDays is 1 to {LONGEST_RETENTION_DAYS}")
    return PolicyRow(
        number=number,
        revision=len(rows) + 1,
        **texts,
        retention_days=retention if isinstance(retention, int) else None,
        ended=False,
        made_by=ctx.actor.ref,
        made_at=ctx.now,
        previous=rows[-1].hash if rows else GENESIS,
    )


def _following(ctx: WriteContext[PrivacyPorts], rows: Sequence[PolicyRow]) -> PolicyRow:
    last = rows[-1]
    kept = ("number", "name", "version", "url", "jurisdiction", "sector", "retention_days", "restriction", "storage")
    return PolicyRow(
        **{name: getattr(last, name) for name in kept},
        revision=last.revision + 1,
        ended=False,
        made_by=ctx.actor.ref,
        made_at=ctx.now,
        previous=last.hash,
    )


async def _require_room(ctx: WriteContext[PrivacyPorts], row: PolicyRow) -> None:
    """What goes by a policy keeps no longer than it says."""
    if row.retention_days is None:
        return
    for code, policy in (await governing(ctx.session, list(ctx.bundle.purposes))).items():
        if policy == row.number and ctx.bundle.purposes[code].retention_days > row.retention_days:
            raise PolicyInUse(purpose=code)


async def _append(ctx: WriteContext[PrivacyPorts], row: PolicyRow, action: str) -> PolicyRow:
    ctx.session.add(hashed(row))
    await ctx.record(action, subject=None, object_ref=f"policy:{row.number}:{row.hash.hex()}")
    return row


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and not parts.username
    except ValueError:
        return False
