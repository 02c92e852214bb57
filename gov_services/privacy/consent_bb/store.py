"""All SQL of the consent API, one statement a function. It decides nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Row, exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased

from gov_services.consent.models import RevisionRow, StandingRow
from gov_services.kit.database import ReadSession, Session
from gov_services.privacy.consent_bb.models import AgreementPolicyRow, MessageRow, PolicyRow, WebhookRow
from gov_services.privacy.models import SubjectRow

POLICIES = 0x676F7670
"""Advisory lock of whoever writes a policy: numbers have no gap."""


async def lock_policies(session: Session) -> None:
    """One writer of policies at a time, until the transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(POLICIES)))


async def last_policy_number(session: ReadSession) -> int:
    """The highest number; 0 before the first policy."""
    return (await session.execute(select(func.max(PolicyRow.number)))).scalar() or 0


async def policy_revisions(session: ReadSession, *, number: int) -> Sequence[PolicyRow]:
    """Every revision of one policy, oldest first."""
    query = select(PolicyRow).where(PolicyRow.number == number).order_by(PolicyRow.revision)
    return (await session.execute(query)).scalars().all()


async def policies(session: ReadSession, *, offset: int, limit: int) -> Sequence[PolicyRow]:
    """Policies as they stand, by number; those that have ended are left out."""
    newest = select(PolicyRow).ext(distinct_on(PolicyRow.number)).order_by(PolicyRow.number, PolicyRow.revision.desc())
    standing = aliased(PolicyRow, newest.subquery())
    query = select(standing).where(~standing.ended).order_by(standing.number).offset(offset).limit(limit)
    return (await session.execute(query)).scalars().all()


async def policies_of_purposes(session: ReadSession) -> dict[str, int]:
    """Purpose → number of the policy that it goes by, of those that ever chose one."""
    query = (
        select(AgreementPolicyRow.purpose, AgreementPolicyRow.policy)
        .ext(distinct_on(AgreementPolicyRow.purpose))
        .order_by(AgreementPolicyRow.purpose, AgreementPolicyRow.made_at.desc())
    )
    return {purpose: number for purpose, number in await session.execute(query)}


async def webhook(session: ReadSession, *, webhook_id: UUID) -> WebhookRow | None:
    """A webhook, removed or not."""
    return await session.get(WebhookRow, webhook_id)


async def webhook_for_update(session: Session, *, webhook_id: UUID) -> WebhookRow | None:
    """The same, locked until the transaction ends."""
    return await session.get(WebhookRow, webhook_id, with_for_update=True)


async def webhooks(session: ReadSession, *, client: str, offset: int, limit: int) -> Sequence[WebhookRow]:
    """A party's webhooks, oldest first."""
    query = (
        select(WebhookRow)
        .where(WebhookRow.client == client, WebhookRow.removed_at.is_(None))
        .order_by(WebhookRow.webhook_id)
        .offset(offset)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def webhooks_to_tell(session: ReadSession, *, client: str) -> Sequence[UUID]:
    """Those of a party's webhooks that are not disabled."""
    query = select(WebhookRow.webhook_id).where(
        WebhookRow.client == client, WebhookRow.removed_at.is_(None), ~WebhookRow.disabled
    )
    return (await session.execute(query)).scalars().all()


async def lease_messages(
    session: Session, *, now: dt.datetime, until: dt.datetime, limit: int
) -> Sequence[tuple[MessageRow, WebhookRow]]:
    """Take the oldest message of so many webhooks, where it is due: nobody else tells it before `until`.

    A newer one waits for it, so that a party hears of changes in their order.
    """
    oldest = (
        select(MessageRow.number)
        .ext(distinct_on(MessageRow.webhook_id))
        .order_by(MessageRow.webhook_id, MessageRow.number)
    )
    query = (
        select(MessageRow, WebhookRow)
        .join(WebhookRow, WebhookRow.webhook_id == MessageRow.webhook_id)
        .where(MessageRow.number.in_(oldest), MessageRow.due_at <= now)
        .order_by(MessageRow.due_at)
        .limit(limit)
        .with_for_update(of=MessageRow, skip_locked=True)
    )
    found = [(message, hook) for message, hook in await session.execute(query)]
    for message, _ in found:
        message.due_at = until
    return found


async def message_for_update(session: Session, *, number: int) -> MessageRow | None:
    """A message that is not told yet, locked until the transaction ends."""
    return await session.get(MessageRow, number, with_for_update=True)


async def before(session: ReadSession, revision: RevisionRow) -> RevisionRow | None:
    """The revision before that one; None for the first."""
    key = (revision.citizen_id, revision.purpose, revision.recipient, revision.number - 1)
    return await session.get(RevisionRow, key)


async def given_to(session: ReadSession, *, recipient: str, offset: int, limit: int) -> Sequence[StandingRow]:
    """Consents that a party was ever given, as they stand, by their name."""
    query = (
        select(StandingRow)
        .where(StandingRow.recipient == recipient, _was_given())
        .order_by(StandingRow.consent_id)
        .offset(offset)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


def _was_given() -> ColumnElement[bool]:
    return exists().where(
        RevisionRow.citizen_id == StandingRow.citizen_id,
        RevisionRow.purpose == StandingRow.purpose,
        RevisionRow.recipient == StandingRow.recipient,
        RevisionRow.state.in_(("given", "renewed")),
    )


async def one_given(session: ReadSession, *, consent_id: UUID, recipient: str) -> StandingRow | None:
    """The consent of that name, if that party was ever given it."""
    query = select(StandingRow).where(
        StandingRow.consent_id == consent_id, StandingRow.recipient == recipient, _was_given()
    )
    return (await session.execute(query)).scalar_one_or_none()


async def by_name(session: ReadSession, *, consent_id: UUID) -> StandingRow | None:
    """The consent of that name, whoever's it is."""
    return (await session.execute(select(StandingRow).where(StandingRow.consent_id == consent_id))).scalar_one_or_none()


async def every_consent(session: ReadSession, *, offset: int, limit: int) -> Sequence[Row[StandingRow, bytes]]:
    """Every consent as it stands, with its citizen's tag, by its name. Of who was erased to the last there is none."""
    query = (
        select(StandingRow, SubjectRow.tag)
        .join(SubjectRow, SubjectRow.citizen_id == StandingRow.citizen_id)
        .order_by(StandingRow.consent_id)
        .offset(offset)
        .limit(limit)
    )
    return (await session.execute(query)).all()


async def tag_of(session: ReadSession, *, citizen_id: UUID) -> bytes | None:
    """What stands for a citizen in the log."""
    return (
        await session.execute(select(SubjectRow.tag).where(SubjectRow.citizen_id == citizen_id))
    ).scalar_one_or_none()


async def has_tag(session: ReadSession, *, tag: bytes) -> bool:
    """Whether a tag stands for somebody."""
    return (await session.execute(select(SubjectRow.citizen_id).where(SubjectRow.tag == tag))).first() is not None


async def tags(session: ReadSession, *, offset: int, limit: int) -> Sequence[bytes]:
    """Tags of everybody with a consent of whatever state, in their own order."""
    query = (
        select(SubjectRow.tag)
        .where(select(StandingRow.citizen_id).where(StandingRow.citizen_id == SubjectRow.citizen_id).exists())
        .order_by(SubjectRow.tag)
        .offset(offset)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def chains(session: ReadSession, *, consents: Sequence[StandingRow]) -> dict[UUID, list[RevisionRow]]:
    """The revisions of these consents, oldest first, by the consents' names."""
    found: dict[UUID, list[RevisionRow]] = {row.consent_id: [] for row in consents}
    query = (
        select(RevisionRow)
        .where(
            RevisionRow.citizen_id.in_({row.citizen_id for row in consents}),
            RevisionRow.consent_id.in_(list(found)),
        )
        .order_by(RevisionRow.consent_id, RevisionRow.number)
    )
    for revision in (await session.execute(query)).scalars():
        found[revision.consent_id].append(revision)
    return found
