"""The pure rules of permits: life cycle, terms, numbers, catalogue, links, what a file is."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import event, given
from hypothesis import strategies as st
from sqlalchemy import select

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.crypto.tokens import TokenRefused, sign_token
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.database import Database
from gov_services.kit.working_days import due_on, is_working_day, local_day, term_end, working_days_until
from gov_services.permits import links
from gov_services.permits.app import CATALOGUE
from gov_services.permits.catalogue import CatalogueRefused, load_catalogue
from gov_services.permits.credential import Particulars, ended_in, issue_credential, number_in, qr_code, status_list
from gov_services.permits.filled_in import LONGEST, NotFilledIn, filled_in
from gov_services.permits.licence_number import ALPHABET, check_character, new_licence_number, organization_check
from gov_services.permits.lifecycle import APPLICATION, FINAL, Event, IllegalApplicationChange, State, advance
from gov_services.permits.media import (
    LARGEST_DOCUMENT_BYTES,
    DocumentTooLarge,
    DocumentTypeRefused,
    media_type_of,
)
from gov_services.permits.models import TransitionRow

NOW = dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC)
ISSUER = "https://city.example"
DOCUMENT = UUID("01957a5f-0000-7000-8000-000000000001")


@pytest.fixture
def licence_key(secrets_directory: Path) -> tuple[SigningKey, VerifyKeys]:
    """The key that licences are signed with, and what verifies it."""
    return SigningKey.load(secrets_directory, "licence"), VerifyKeys.load(secrets_directory, "licence")


async def test_the_database_has_the_life_cycle_of_the_code(database: Database) -> None:
    async with database.reading() as session:
        rows = (await session.execute(select(TransitionRow))).scalars().all()

    in_database = {(row.state_before, row.event): row.state_after for row in rows}
    in_code = {
        (before.value if before else "", event.value): after.value for (before, event), after in APPLICATION.items()
    }
    assert in_database == in_code


@given(st.sampled_from([None, *State]), st.sampled_from(Event))
def test_a_step_is_an_edge_of_the_table_or_is_refused(state: State | None, step: Event) -> None:
    if (state, step) in APPLICATION:
        assert advance(state, step) is APPLICATION[state, step]
    else:
        with pytest.raises(IllegalApplicationChange) as refused:
            advance(state, step, field="input.applicationId")
        assert refused.value.field == "input.applicationId"


def test_nothing_leads_on_from_an_end() -> None:
    assert {State.REJECTED, State.WITHDRAWN, State.SURRENDERED} == FINAL


@pytest.mark.parametrize(
    ("day", "working"),
    [
        (dt.date(2026, 10, 1), False),
        (dt.date(2026, 10, 10), True),
        (dt.date(2026, 3, 2), True),
        (dt.date(2026, 3, 1), False),
        (dt.date(2099, 3, 2), True),
        (dt.date(2099, 3, 1), False),
    ],
)
def test_holidays_shifted_days_and_years_without_a_calendar(day: dt.date, working: bool) -> None:
    assert is_working_day(day) is working


@given(st.dates(dt.date(2025, 1, 1), dt.date(2028, 1, 1)), st.integers(0, 60))
def test_a_term_stopped_and_resumed_on_the_same_day_ends_as_it_would_have(start: dt.date, days: int) -> None:
    due = due_on(start, days)

    assert working_days_until(start, due) == days
    assert due_on(start, working_days_until(start, due)) == due


def test_a_term_ends_with_its_last_day_in_beijing() -> None:
    late = dt.datetime(2026, 3, 2, 17, 0, tzinfo=dt.UTC)
    assert local_day(late) == dt.date(2026, 3, 3)
    assert term_end(late, 1) == dt.datetime(2026, 3, 4, 15, 59, 59, tzinfo=dt.UTC)
    with pytest.raises(ValueError, match="not negative"):
        due_on(dt.date(2026, 3, 2), -1)


def test_licence_numbers_carry_both_check_characters() -> None:
    # Worked by hand from GB 11714-1997: 22 * 3 + 10 * 7 = 136, and 136 mod 11 is 4, so that 7 is missing to 11.
    assert organization_check("MA000000") == "7"
    for _ in range(50):
        number = new_licence_number("999999")
        assert len(number) == 18
        assert number.startswith("92999999MA")
        assert set(number) <= set(ALPHABET) | {"X"}
        assert number[16] == organization_check(number[8:16])
        assert number[17] == check_character(number[:17])


@given(st.integers(0, 16), st.sampled_from(ALPHABET))
def test_a_mistyped_character_is_noticed(place: int, letter: str) -> None:
    number = "92999999MA38R4N63"
    changed = number[:place] + letter + number[place + 1 :]
    assert (check_character(changed) == check_character(number)) is (changed == number)


def test_the_catalogue_holds_what_it_must() -> None:
    (service,) = load_catalogue(CATALOGUE.read_text())

    assert (service.code, service.fee_fen, service.statutory_working_days) == ("individual-business-licence", 2000, 3)
    assert service.missing([]) == ["premises-proof"]
    assert service.missing(["premises-proof"]) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("version = 1", "version = 2", "not a catalogue"),
        ("edition = 1\n", "", "'edition' is missing"),
        ("edition = 1", "edition = 0", "an edition is a positive number"),
        ("fee_fen = 2000", "fee_fen = 20.0", "number of fen"),
        ("fee_fen = 2000", "fee_fen = 0", "number of fen"),
        ("statutory_working_days = 3", "statutory_working_days = 0", "working days"),
        ('agency = "示例市市场监督管理局"\n', "", "'agency' is missing"),
        ('kind = "prior-approval"', 'kind = "premises-proof"', "listed twice"),
        (', en = "Individual business licence" }', " }", "a title is given in zh-CN and en"),
    ],
)
def test_a_catalogue_that_lacks_something_is_refused_by_name(before: str, after: str, problem: str) -> None:
    text = CATALOGUE.read_text()
    assert before in text
    with pytest.raises(CatalogueRefused, match=problem):
        load_catalogue(text.replace(before, after, 1))


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(b"%PDF-1.7", "application/pdf"), (b"\x89PNG\r\n\x1a\n..", "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg")],
)
def test_a_file_is_what_its_bytes_say(content: bytes, media_type: str) -> None:
    assert media_type_of(content) == media_type


def test_other_files_empty_ones_and_large_ones_are_refused() -> None:
    for content in (b"MZ\x90", b"<html>", b" %PDF-"):
        with pytest.raises(DocumentTypeRefused):
            media_type_of(content)
    for content in (b"", b"%PDF-" + bytes(LARGEST_DOCUMENT_BYTES)):
        with pytest.raises(DocumentTooLarge):
            media_type_of(content)


@given(st.sampled_from(sorted(LONGEST)), st.text(max_size=220))
def test_what_is_filled_in_is_kept_trimmed_within_its_length_or_refused_by_field(name: str, text: str) -> None:
    try:
        value = filled_in(name, text)
    except NotFilledIn:
        event("refused")
        return
    assert value == value.strip()
    assert 2 <= len(value) <= LONGEST[name]
    assert filled_in(name, value) == value
    assert not set(value) & set("\x00\n\r\t\x7f")


def test_the_longest_licence_fits_its_qr_code(licence_key: tuple[SigningKey, VerifyKeys]) -> None:
    letter = "\U00020bb7"  # four bytes in UTF-8
    particulars = Particulars(
        number="92999999MA38R4N63J",
        business_name=letter * LONGEST["businessName"],
        business_address=letter * LONGEST["businessAddress"],
        scope=letter * LONGEST["scope"],
        operator_name=letter * LONGEST["applicantName"],
    )
    issuer = "https://services.a-city-with-a-long-name.example"
    credential = issue_credential(licence_key[0], particulars, issuer=issuer, status_index=10**6, now=NOW)

    assert qr_code(credential, issuer=issuer).startswith("<svg")


def test_a_credential_names_its_number_to_whom_it_was_issued_by_us(
    licence_key: tuple[SigningKey, VerifyKeys],
) -> None:
    key, keys = licence_key
    particulars = Particulars(
        number="92999999MA38R4N63J", business_name="店", business_address="路", scope="售", operator_name="测"
    )
    credential = issue_credential(key, particulars, issuer=ISSUER, status_index=3, now=NOW)

    assert number_in(credential, keys=keys, issuer=ISSUER, now=NOW) == "92999999MA38R4N63J"
    for issuer, now in (("https://other.example", NOW), (ISSUER, NOW + dt.timedelta(days=4000))):
        with pytest.raises(TokenRefused):
            number_in(credential, keys=keys, issuer=issuer, now=now)


@given(st.integers(1, 300).flatmap(lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1)))))
def test_the_status_list_says_who_ended_and_nobody_else(found: tuple[int, set[int]]) -> None:
    size, ended = found
    key = SigningKey(Ed25519PrivateKey.generate(), "a-key")
    token = status_list(key, ended, size=size, issuer=ISSUER, now=NOW)
    listed = jwt.decode(token, options={"verify_signature": False})["status_list"]

    assert listed["bits"] == 1
    assert {index for index in range(size) if ended_in(listed["lst"], index)} == ended


def test_a_link_says_who_asked_for_which_document_and_ends(secrets_directory: Path) -> None:
    key, keys = SigningKey.load(secrets_directory, "upload"), VerifyKeys.load(secrets_directory, "upload")
    staff = Actor(
        kind=ActorKind.STAFF, id=UUID(int=7 << 76), client_id="counter", roles=frozenset({"permit-officer"}), office="n"
    )
    token = links.sign_link(
        key,
        type=links.DOWNLOAD_TYPE,
        document_id=DOCUMENT,
        actor=staff,
        issuer=ISSUER,
        now=NOW,
        expires=NOW + links.DOWNLOAD_LIFETIME,
    )

    link = links.read_link(keys, token, type=links.DOWNLOAD_TYPE, issuer=ISSUER, now=NOW)

    assert link.document_id == DOCUMENT
    assert link.actor(UUID(int=1)) == staff
    with pytest.raises(TokenRefused):
        links.read_link(keys, token, type=links.UPLOAD_TYPE, issuer=ISSUER, now=NOW)
    with pytest.raises(TokenRefused):
        links.read_link(keys, token, type=links.DOWNLOAD_TYPE, issuer=ISSUER, now=NOW + links.DOWNLOAD_LIFETIME)


def test_a_token_of_the_right_type_that_is_no_link_is_refused(secrets_directory: Path) -> None:
    key, keys = SigningKey.load(secrets_directory, "upload"), VerifyKeys.load(secrets_directory, "upload")
    issued = int(NOW.timestamp())
    claims = {"iss": ISSUER, "aud": links.UPLOAD_TYPE, "iat": issued, "exp": issued + 60, "v": 1, "sub": "nothing"}

    with pytest.raises(TokenRefused, match="not a link"):
        links.read_link(
            keys, sign_token(key, claims, type=links.UPLOAD_TYPE), type=links.UPLOAD_TYPE, issuer=ISSUER, now=NOW
        )
