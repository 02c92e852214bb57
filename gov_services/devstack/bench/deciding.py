"""What a decision costs: an actor admitted, twenty coordinates decided under a consent. No database, no log."""

from __future__ import annotations

import datetime as dt
import statistics
import time
from uuid import uuid4

from gov_services.consent.policy import Consent, Declared, Facts, admit, decide
from gov_services.consent.purposes import DISCLOSING, Basis, Bundle, Form, NoticeState, Party, Purpose, Relation
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.context import Call, Entrance, EntranceKind

FIELDS = 20
_TEXTS = {"zh-CN": "x", "en": "x"}


def measure(*, rounds: int, repeats: int) -> dict[str, float]:
    """Median microseconds of one decision, and how many of its coordinates are given."""
    coordinates = [f"Citizen.field{number}" for number in range(FIELDS)]
    grants = {name: DISCLOSING[place % len(DISCLOSING)] for place, name in enumerate(coordinates)}
    purpose = _purpose(grants)
    bundle = Bundle(version=1, purposes={purpose.code: purpose}, body=bytes(20_000))
    now, citizen = dt.datetime(2026, 3, 2, 9, 30, tzinfo=dt.UTC), uuid4()
    party = Actor(ActorKind.CLIENT, id=uuid4(), client_id="west-bank", assurance=2)
    call = Call(party, Entrance(EntranceKind.DOCUMENT, "AskAbout", purpose.code), now, "request", reason="loan")
    consent = Consent(
        revision_id=uuid4(), state="given", scope=grants, notice_hash=b"", expires_at=now + dt.timedelta(days=1)
    )
    facts = Facts(subject_id=citizen, known=True, consent=consent)

    def once() -> Declared:
        decided = decide(bundle, admit(bundle, call), call=call, facts=facts, coordinates=coordinates)
        assert isinstance(decided, Declared), "the consent stands"
        return decided

    given = sum(isinstance(one, Form) for one in once().decisions.values())
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(repeats):
            once()
        times.append((time.perf_counter() - begun) / repeats * 1e6)
    return {"fields": FIELDS, "given": given, "decision_us": round(statistics.median(times), 2)}


def _purpose(grants: dict[str, Form]) -> Purpose:
    return Purpose(
        code="loan",
        title=_TEXTS,
        notice=_TEXTS,
        basis=Basis.CONSENT,
        law="",
        article="",
        controller=Party("bureau", {}, ""),
        notice_state=NoticeState.GIVEN,
        grants=grants,
        clients=frozenset({"west-bank"}),
        roles=frozenset(),
        relations=frozenset({Relation.CONSENTED}),
        assurance=1,
        retention_days=1,
        ends_on=None,
        needs_reason=True,
        budget_hour=10,
    )
