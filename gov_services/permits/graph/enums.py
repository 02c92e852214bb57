"""The enums of permits in the graph, value by value as the life cycle has them. They carry no rule."""

from __future__ import annotations

from enum import Enum

import strawberry


@strawberry.enum(name="ApplicationState", description="Where an application stands.")
class ApplicationStateType(Enum):
    DRAFT = strawberry.enum_value("draft", description="Begun, not submitted.")
    SUBMITTED = strawberry.enum_value("submitted", description="Submitted; an officer looks at it.")
    INCOMPLETE = strawberry.enum_value("incomplete", description="Something is to be put right before acceptance.")
    ACCEPTED = strawberry.enum_value("accepted", description="Accepted (受理); the statutory time runs.")
    CORRECTION_REQUESTED = strawberry.enum_value(
        "correction-requested", description="Something is to be put right (补正); the statutory time stands still."
    )
    FEE_DUE = strawberry.enum_value("fee-due", description="The fee is to be paid.")
    UNDER_REVIEW = strawberry.enum_value("under-review", description="Paid; the officer reviews (审核).")
    RECOMMENDED = strawberry.enum_value("recommended", description="Another officer decides (核准).")
    ISSUED = strawberry.enum_value("issued", description="The licence is issued.")
    REJECTED = strawberry.enum_value("rejected", description="It was rejected.")
    WITHDRAWN = strawberry.enum_value("withdrawn", description="The applicant took it back.")
    SURRENDERED = strawberry.enum_value("surrendered", description="The holder gave the licence back (注销).")


@strawberry.enum(name="Correctable", description="What can be asked for in a correction.")
class CorrectableType(Enum):
    BUSINESS_NAME = strawberry.enum_value("businessName", description="Name of the business.")
    BUSINESS_ADDRESS = strawberry.enum_value("businessAddress", description="Where the business is.")
    SCOPE = strawberry.enum_value("scope", description="What the business does.")
    DOCUMENTS = strawberry.enum_value("documents", description="A document, uploaded again.")


@strawberry.enum(name="Rejection", description="Why an application is rejected.")
class RejectionType(Enum):
    NOT_ELIGIBLE = strawberry.enum_value("not-eligible", description="The applicant may not run such a business.")
    NAME_TAKEN = strawberry.enum_value("name-taken", description="The name is taken, or not allowed.")
    PREMISES_UNFIT = strawberry.enum_value("premises-unfit", description="The premises may not be used for it.")
    SCOPE_RESTRICTED = strawberry.enum_value("scope-restricted", description="The business needs an approval first.")
    UNTRUE = strawberry.enum_value("untrue", description="What was submitted is not true.")


@strawberry.enum(name="LicenceStatus", description="Whether a licence holds.")
class LicenceStatusType(Enum):
    VALID = strawberry.enum_value("valid", description="It holds.")
    SURRENDERED = strawberry.enum_value("surrendered", description="Its holder gave it back.")


@strawberry.enum(name="StepBy", description="Who took a step of an application.")
class StepByType(Enum):
    CITIZEN = strawberry.enum_value("citizen", description="The applicant.")
    STAFF = strawberry.enum_value("staff", description="An officer.")
    SYSTEM = strawberry.enum_value("system", description="The system, on a fact such as a payment.")
