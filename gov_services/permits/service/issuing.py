"""Issuing a licence: a number, an entry in the register, a signed credential sealed for its holder."""

from __future__ import annotations

from gov_services.consent.attestations import Claim
from gov_services.consent.disclosure import Disclosure
from gov_services.kit.ids import new_id
from gov_services.permits import store
from gov_services.permits.credential import Particulars, issue_credential
from gov_services.permits.licence_number import new_licence_number
from gov_services.permits.models import CREDENTIAL, ApplicationRow, LicenceRow
from gov_services.permits.service.moving import FIELD, Context, object_of

PRINTED = {
    "Application.businessName": "business_name",
    "Application.businessAddress": "business_address",
    "Application.scope": "scope",
    "Application.applicantName": "applicant_name",
}
"""What a licence says of its holder: coordinate → attribute."""
_TRIES = 5


class RegisterFull(RuntimeError):
    """No free number was found. The dice have 31 ** 6 sides: something else is wrong."""


async def issue_licence(ctx: Context, row: ApplicationRow) -> LicenceRow:
    """Issue the licence of an approved application. The credential leaves with it, to its holder: the log says so.

    Raises NotAsVerified where the applicant was verified under another name since.
    """
    disclosure = await ctx.disclosure_of(row.citizen_id, PRINTED, case_id=row.application_id, object_ref=object_of(row))
    printed = {name: await _printed(disclosure, row, name) for name in PRINTED}
    # What is signed here says who the operator is: the name must be the verified one now, not only when it was written.
    name = printed["Application.applicantName"]
    await ctx.require_attested(row.citizen_id, Claim.NAME, name, field=FIELD)
    service = await store.service(ctx.session, code=row.service_code)
    number, status_index = await _register(ctx, division=service.division)
    credential = issue_credential(
        ctx.ports.licence_key,
        Particulars(
            number=number,
            business_name=printed["Application.businessName"],
            business_address=printed["Application.businessAddress"],
            scope=printed["Application.scope"],
            operator_name=name,
        ),
        issuer=ctx.ports.issuer,
        status_index=status_index,
        now=ctx.now,
    )
    licence_id = new_id(ctx.now)
    sealer = await ctx.sealer(row.citizen_id)
    licence = LicenceRow(
        citizen_id=row.citizen_id,
        licence_id=licence_id,
        application_id=row.application_id,
        number=number,
        credential=sealer.seal(CREDENTIAL, row_id=licence_id, value=credential),
        issued_at=ctx.now,
    )
    ctx.session.add(licence)
    await ctx.session.flush()
    await ctx.record(
        "licence.issued",
        subject=row.citizen_id,
        object_ref=f"licence:{licence_id}",
        recipient="holder",
        disclosed=dict.fromkeys(PRINTED, "PLAIN"),
    )
    return licence


async def _printed(disclosure: Disclosure, row: ApplicationRow, coordinate: str) -> str:
    value = await disclosure.open(coordinate, row, PRINTED[coordinate])
    assert value is not None  # none of these columns is nullable
    return value


async def _register(ctx: Context, *, division: str) -> tuple[str, int]:
    for _ in range(_TRIES):
        number = new_licence_number(division)
        status_index = await store.enter_register(ctx.session, number=number, now=ctx.now)
        if status_index is not None:
            return number, status_index
    raise RegisterFull
