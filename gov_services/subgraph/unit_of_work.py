"""One root mutation, one use-case, one transaction, one commit; a refusal rolls back and is logged. No rules here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from gov_services.audit.entry import EntryKind
from gov_services.consent.disclosure import ConsentRequired, PurposeNarrowed
from gov_services.consent.entries import entry_for
from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import ServiceError, UserError
from gov_services.subgraph.context import ReadContext, UnrecordedChange, WriteContext, open_write_context

Ports = TypeVar("Ports")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


MOST_BATCHES = 40
"""Of one run of a job."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """What a use-case came to: a result, or what the person can put right."""

    result: Result | None
    errors: tuple[UserError, ...] = ()


async def commit(
    context: ReadContext[Ports],
    use_case: Callable[Concatenate[WriteContext[Ports], Arguments], Awaitable[Result]],
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Outcome[Result]:
    """Run `use_case` in one transaction and commit it. A UserError becomes the outcome's; other errors are raised.

    Either way of failing rolls everything back, and leaves a refusal in the log on a connection of its own.
    """
    database = context.services.discloser.database
    try:
        async with database.writing() as session:
            write = await open_write_context(context.call, context.services, context.disclosures, session=session)
            result = await use_case(write, *args, **kwargs)
            if not write.changes.entries:
                raise UnrecordedChange(getattr(use_case, "__name__", "use-case"))
    except (ConsentRequired, PurposeNarrowed) as withheld:
        # What was withheld is in the disclosure's entry; that the change was refused for it, in none yet.
        withheld.logged = False
        raise
    except UserError as error:
        await log_refusal(context, error)
        return Outcome(None, (error,))
    return Outcome(result)


async def commit_in_batches(
    context: ReadContext[Ports], use_case: Callable[[WriteContext[Ports]], Awaitable[int]], *, batch: int
) -> int:
    """Commit `use_case` until it did less than `batch` in one transaction; how much it did in all.

    MOST_BATCHES times at most: what is left then waits for the next run, so that every run ends.
    """
    done = 0
    for _ in range(MOST_BATCHES):
        step = (await commit(context, use_case)).result or 0
        done += step
        if step < batch:
            break
    return done


async def log_refusal(context: ReadContext[Any], error: ServiceError) -> None:
    """Leave a refusal in the log. Raises AuditUnavailable: a refusal that cannot be logged is not answered either."""
    call = context.call
    entry = entry_for(
        call,
        room=context.services.discloser.room,
        kind=EntryKind.REFUSAL,
        action=call.entrance.name,
        purpose=None,
        policy=b"",
        subject_tag=None,
        actor_tag=await _tag_of_actor(context),
    )
    await context.services.discloser.audit.refuse(replace(entry, outcome="refused", code=error.code))


async def _tag_of_actor(context: ReadContext[Any]) -> bytes | None:
    """What a citizen who was refused is named by, so that the log can say to whom it happened."""
    if context.actor.kind is not ActorKind.CITIZEN:
        return None
    async with context.reading() as session:
        return await context.subject_tag(session, context.actor.id)
