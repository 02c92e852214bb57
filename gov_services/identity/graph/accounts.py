"""Registration, signing in, sessions, staff and the counter in GraphQL."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import strawberry

from gov_services.consent.personal import Personal
from gov_services.identity.graph.citizens import Citizen, citizen_of
from gov_services.identity.service import accounts, citizens, sessions, staff
from gov_services.identity.service.sessions import Tokens
from gov_services.subgraph.types import UserErrorType, context_of, user_errors
from gov_services.subgraph.unit_of_work import Outcome, commit

NAME = Personal(category="name", sensitivity="general")
NUMBER = Personal(category="identifier", sensitivity="sensitive")
PHONE = Personal(category="contact", sensitivity="general")
ADDRESS = Personal(category="address", sensitivity="general")
Input = strawberry.argument(description="What it takes.")


@strawberry.input(description="Who registers.")
class RegisterInput:
    """As on the identity card."""

    name: str = strawberry.field(description="Name as on the identity card.", directives=[NAME])
    national_id: str = strawberry.field(description="Resident identity number.", directives=[NUMBER])
    phone: str = strawberry.field(description="Mobile number, for codes.", directives=[PHONE])
    address: str = strawberry.field(description="Address.", directives=[ADDRESS])


@strawberry.input(description="Where to send a code.")
class RequestSignInCodeInput:
    """A phone."""

    phone: str = strawberry.field(description="Mobile number.", directives=[PHONE])


@strawberry.input(description="A code that was sent.")
class SignInInput:
    """Phone and code."""

    phone: str = strawberry.field(description="Mobile number.", directives=[PHONE])
    code: str = strawberry.field(description="The six digits.")


@strawberry.input(description="A session to go on with.")
class RefreshSessionInput:
    """The refresh token turns with every use."""

    refresh_token: str = strawberry.field(description="The last refresh token.")


@strawberry.input(description="What to match with the population register.")
class VerifyIdentityInput:
    """As on the identity card."""

    name: str = strawberry.field(description="Name as on the identity card.", directives=[NAME])
    national_id: str = strawberry.field(description="Resident identity number.", directives=[NUMBER])


@strawberry.input(description="A member of staff.")
class StaffSignInInput:
    """User name and password."""

    username: str = strawberry.field(description="User name.")
    password: str = strawberry.field(description="Password.")


@strawberry.input(description="A phone to replace, for who stands at the counter.")
class ReplacePhoneInput:
    """The full number that they present, and the new phone."""

    national_id: str = strawberry.field(description="Full resident identity number.", directives=[NUMBER])
    new_phone: str = strawberry.field(description="The new mobile number.", directives=[PHONE])


@strawberry.input(description="Whom an emergency is about.")
class BreakGlassInput:
    """The reason is stated as for every look-up."""

    national_id: str = strawberry.field(description="Full resident identity number.", directives=[NUMBER])
    minutes: int = strawberry.field(default=30, description="For how long, sixty minutes at most.")


@strawberry.type(description="A signed-in session.")
class SessionTokens:
    """What a client keeps."""

    access_token: str = strawberry.field(description="Bearer token for ten minutes.")
    refresh_token: str = strawberry.field(description="For the next access token; turns with every use.")
    expires_at: dt.datetime = strawberry.field(description="When the access token expires.")


@strawberry.type(description="What became of a registration.")
class RegisterPayload:
    """Nobody is signed in by registering."""

    registered: bool = strawberry.field(description="Whether it was done.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.type(description="What became of asking for a code.")
class RequestSignInCodePayload:
    """The same for every phone."""

    sent: bool = strawberry.field(description="Whether a code is on its way, if the phone is registered.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.type(description="A session, or why there is none.")
class SessionPayload:
    """For signing in and for going on."""

    session: SessionTokens | None = strawberry.field(description="The session.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.type(description="What became of signing out.")
class SignOutPayload:
    """The refresh token is void; the access token ends by itself."""

    signed_out: bool = strawberry.field(description="Whether it was done.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.type(description="What became of a verification.")
class VerifyIdentityPayload:
    """Read anew, after the commit."""

    verified: strawberry.Private[bool]
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")

    @strawberry.field(description="The citizen, with the level reached.")
    async def citizen(self, info: strawberry.Info) -> Citizen | None:
        """Read after the commit."""
        ctx = context_of(info)
        return citizen_of(ctx, await citizens.read_me(ctx)) if self.verified else None


@strawberry.type(description="What became of replacing a phone.")
class ReplacePhonePayload:
    """The citizen is told."""

    replaced: bool = strawberry.field(description="Whether it was done.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.type(description="What became of breaking the glass.")
class BreakGlassPayload:
    """The citizen is told, and somebody else looks into it."""

    until: dt.datetime | None = strawberry.field(description="Until when it holds.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


def session_of(tokens: Tokens | None) -> SessionTokens | None:
    """Tokens as GraphQL shows them."""
    if tokens is None:
        return None
    return SessionTokens(
        access_token=tokens.access_token, refresh_token=tokens.refresh_token, expires_at=tokens.expires_at
    )


@strawberry.type
class AccountMutation:
    """Changes of accounts and sessions."""

    @strawberry.mutation(description="Register as a citizen.")
    async def register(
        self,
        info: strawberry.Info,
        input: Annotated[RegisterInput, Input],
    ) -> RegisterPayload:
        """Assurance level 2."""
        outcome: Outcome[UUID] = await commit(
            context_of(info),
            accounts.register,
            name=input.name,
            national_id=input.national_id,
            phone=input.phone,
            address=input.address,
        )
        return RegisterPayload(registered=outcome.result is not None, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Ask for a code to sign in with.")
    async def request_sign_in_code(
        self,
        info: strawberry.Info,
        input: Annotated[RequestSignInCodeInput, Input],
    ) -> RequestSignInCodePayload:
        """It is not told whether the phone is registered."""
        outcome = await accounts.request_sign_in_code(context_of(info), phone=input.phone)
        return RequestSignInCodePayload(sent=bool(outcome.result), user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Sign in with a code.")
    async def sign_in(
        self,
        info: strawberry.Info,
        input: Annotated[SignInInput, Input],
    ) -> SessionPayload:
        """Six digits, ten minutes, five tries."""
        outcome = await commit(context_of(info), accounts.sign_in, phone=input.phone, code=input.code)
        tokens = outcome.result.tokens if outcome.result else None
        return SessionPayload(session=session_of(tokens), user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Go on with a session.")
    async def refresh_session(
        self,
        info: strawberry.Info,
        input: Annotated[RefreshSessionInput, Input],
    ) -> SessionPayload:
        """A used token that comes back ends the session."""
        outcome = await sessions.refresh_session(context_of(info), refresh_token=input.refresh_token)
        return SessionPayload(session=session_of(outcome.result), user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Sign out.")
    async def sign_out(self, info: strawberry.Info) -> SignOutPayload:
        """Ends this session."""
        outcome = await commit(context_of(info), sessions.sign_out)
        return SignOutPayload(signed_out=bool(outcome.result), user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Match name and number with the population register; reaches level 3.")
    async def verify_identity(
        self,
        info: strawberry.Info,
        input: Annotated[VerifyIdentityInput, Input],
    ) -> VerifyIdentityPayload:
        """The level stands in the next access token."""
        outcome = await accounts.verify_identity(context_of(info), name=input.name, national_id=input.national_id)
        return VerifyIdentityPayload(verified=outcome.result is not None, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Sign in as a member of staff.")
    async def staff_sign_in(
        self,
        info: strawberry.Info,
        input: Annotated[StaffSignInInput, Input],
    ) -> SessionPayload:
        """Twelve hours in all."""
        outcome = await commit(context_of(info), staff.sign_in_staff, username=input.username, password=input.password)
        return SessionPayload(session=session_of(outcome.result), user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="In an emergency, give oneself leave to read about one citizen, for a while.")
    async def break_glass(
        self,
        info: strawberry.Info,
        input: Annotated[BreakGlassInput, Input],
    ) -> BreakGlassPayload:
        """Somebody else looks into it afterwards, and the citizen is told."""
        outcome = await citizens.break_glass(context_of(info), national_id=input.national_id, minutes=input.minutes)
        return BreakGlassPayload(until=outcome.result, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Replace the phone of a citizen who stands at the counter.")
    async def replace_phone(
        self,
        info: strawberry.Info,
        input: Annotated[ReplacePhoneInput, Input],
    ) -> ReplacePhonePayload:
        """Their sessions end, and they are told."""
        outcome = await citizens.replace_phone(
            context_of(info), national_id=input.national_id, new_phone=input.new_phone
        )
        return ReplacePhonePayload(replaced=outcome.result is not None, user_errors=user_errors(outcome, info))
