"""`gov-services privacy`: the record of processing activities, what does not fit, and what the trail says can go."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import rich_click as click

from gov_services.cli import documents, installation
from gov_services.cli.database import load_all_models
from gov_services.cli.failing import failing_in_one_line
from gov_services.consent.bundles import Bundles
from gov_services.consent.purposes import Bundle
from gov_services.consent.vocabulary import Vocabulary
from gov_services.crypto.columns import sealed_columns
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.clock import SystemClock, local_day
from gov_services.kit.database import Base, Database, ReadSession
from gov_services.kit.errors import LOCALES
from gov_services.kit.manifest import Manifest, TrustedDocument
from gov_services.kit.settings import PROJECT_ROOT, Settings, load_settings
from gov_services.privacy import store
from gov_services.privacy.lint import Remark, Rule, lint
from gov_services.privacy.minimization import RARE, USUAL
from gov_services.privacy.records import activities, as_plain, places
from gov_services.privacy.service.audits import count_due
from gov_services.privacy.service.evidence import suggestions
from gov_services.privacy.service.findings import ASKED_AT_LEAST
from gov_services.subgraph.manifests import MANIFEST

Answer = TypeVar("Answer")
_TEXT = re.compile(r'"([\w.-]+)"')
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
COMMITTED = click.option("--committed", is_flag=True, help="Of the reviewed files alone, without a database.")


@click.group("privacy")
def privacy_group() -> None:
    """Personal data: where it is and why, what does not fit, what nobody needs."""


@privacy_group.command("map")
@click.option("--by-field", is_flag=True, help="A line for each coordinate instead of a record for each purpose.")
@click.option("--language", type=click.Choice(LOCALES), default="en", show_default=True)
@COMMITTED
@AS_JSON
def privacy_map(by_field: bool, language: str, committed: bool, as_json: bool) -> None:
    """The record of processing activities: made of the schema, the purposes in force and the columns."""
    settings = load_settings()
    vocabulary, bundle = _vocabulary(settings), _bundle(settings, committed=committed)
    if by_field:
        found = places(bundle, vocabulary, _columns())
        if as_json:
            click.echo(json.dumps(as_plain(found), ensure_ascii=False, indent=2))
            return
        for place in found:
            purposes = ", ".join(f"{code} {form}" for code, form in place.purposes.items()) or "no purpose"
            click.echo(f"{place.coordinate}  {place.category}, {place.sensitivity}  [{place.stored}]  {purposes}")
        return
    records = activities(bundle, vocabulary, locale=language)
    if as_json:
        click.echo(json.dumps(as_plain(records), ensure_ascii=False, indent=2))
        return
    for record in records:
        click.echo(f"{record.purpose}: {record.title}")
        for name, value in as_plain([record])[0].items():
            if name not in ("purpose", "title") and value not in ("", [], {}, False):
                click.echo(f"  {name.replace('_', ' ')}: {_line(value)}")
    click.echo(f"{len(records)} activities, bundle version {bundle.version}")


@privacy_group.command("lint")
@COMMITTED
@AS_JSON
def privacy_lint(committed: bool, as_json: bool) -> None:
    """Coordinates without purpose, purposes without use, documents that over-ask; exits 1 when there is any."""
    settings = load_settings()
    vocabulary = _vocabulary(settings)
    manifest = Manifest.parse((settings.graph_directory / MANIFEST).read_bytes())
    trusted = list(manifest.documents.values())
    bundle = _bundle(settings, committed=committed)
    found = lint(bundle, vocabulary, trusted, names=_texts("**"), opens=_texts("service"))
    if not committed:
        found += _asked(settings, lambda session: _from_the_trail(session, bundle, trusted))
    if as_json:
        remarks = [{"rule": item.rule, "about": item.about, "text": item.text} for item in found]
        click.echo(json.dumps(remarks, ensure_ascii=False, indent=2))
    else:
        for item in found:
            click.echo(str(item))
    if found:
        raise SystemExit(1)
    if not as_json:
        click.echo(f"{len(vocabulary)} coordinates, {len(bundle.purposes)} purposes: all fits")


@privacy_group.command("narrow")
@AS_JSON
def privacy_narrow(as_json: bool) -> None:
    """The steps that the trail bears out. An officer proposes them, and a second one decides."""
    settings = load_settings()
    vocabulary, bundle = _vocabulary(settings), _bundle(settings, committed=False)
    now = SystemClock().now()
    found = _asked(settings, lambda session: suggestions(session, bundle, vocabulary, now=now))
    if as_json:
        plain = [
            {
                "purpose": item.purpose,
                "coordinate": item.coordinate,
                "granted": item.granted,
                "step": item.step,
                "why": item.why,
                "since": item.since.isoformat(),
                "declared": item.declared,
                "opened": item.opened,
                "used": item.used,
            }
            for item in found
        ]
        click.echo(json.dumps(plain, indent=2))
        return
    for item in found:
        counts = f"declared {item.declared}, opened {item.opened}, shown {item.used}"
        click.echo(
            f"{item.step:<5} {item.purpose} {item.coordinate} ({item.granted}): {item.why} "
            f"since {local_day(item.since)}, {counts}"
        )
    click.echo(f"{len(found)} steps suggested")


@privacy_group.command("audits")
@AS_JSON
def privacy_audits(as_json: bool) -> None:
    """How many people are concerned, and when the next compliance audit is due; exits 1 when it is overdue."""
    now = SystemClock().now()
    found = _asked(load_settings(), lambda session: count_due(session, now=now))
    overdue = found.is_overdue(local_day(now))
    if as_json:
        plain = {
            "persons": found.persons,
            "everyYears": found.every_years,
            "lastOn": found.last_on.isoformat() if found.last_on else None,
            "dueOn": found.due_on.isoformat() if found.due_on else None,
            "overdue": overdue,
        }
        click.echo(json.dumps(plain, indent=2))
    else:
        last = f"the last on {found.last_on}" if found.last_on else "none was done yet"
        due = f"due on {found.due_on}" if found.due_on else "not due"
        click.echo(
            f"{found.persons} persons: an audit every {found.every_years} years, {last}; the next is {due}"
            + (", which is over" if overdue else "")
        )
    if overdue:
        raise SystemExit(1)


def _line(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {form}" for name, form in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _vocabulary(settings: Settings) -> Vocabulary:
    return Vocabulary.from_sdl((settings.graph_directory / "supergraph.graphql").read_text())


def _bundle(settings: Settings, *, committed: bool) -> Bundle:
    if committed:
        return documents.seed_bundle()
    keys = VerifyKeys.load(settings.secrets_directory, "bundle")
    return _asked(settings, Bundles(keys).current)


def _asked(settings: Settings, ask: Callable[[ReadSession], Awaitable[Answer]]) -> Answer:
    installation.require_database(settings)

    async def asking() -> Answer:
        database = Database(settings.room_database_url("privacy"), pool_size=1, application="gov-services privacy")
        try:
            async with database.reading() as session:
                return await ask(session)
        finally:
            await database.close()

    with failing_in_one_line():
        return asyncio.run(asking())


def _columns() -> dict[str, str]:
    load_all_models()
    return {
        sealed.coordinate: f"{table.fullname}.{column.name}, sealed as {sealed.data_class}"
        for table, column, sealed in sealed_columns(Base.metadata)
    }


def _texts(folder: str) -> frozenset[str]:
    """Every short text that stands by itself in the rooms' modules, or in those folders of theirs."""
    sources = (path.read_text() for path in sorted((PROJECT_ROOT / "gov_services").glob(f"*/{folder}/*.py")))
    return frozenset(text for source in sources for text in _TEXT.findall(source))


async def _from_the_trail(session: ReadSession, bundle: Bundle, trusted: list[TrustedDocument]) -> list[Remark]:
    """Purposes that nobody used for thirteen months, and documents that ask for what they never open."""
    today = local_day(SystemClock().now())
    used = await store.purposes_used(session, since=today - RARE)
    names = {document.id: document.name for document in trusted}
    found = [
        Remark(Rule.UNUSED, code, f"nobody used it in {RARE.days} days")
        for code, purpose in sorted(bundle.purposes.items())
        if purpose.grants and purpose.relations and code not in used
    ]
    for use in await store.asked_in_vain(session, since=today - USUAL, at_least=ASKED_AT_LEAST):
        document = names.get(use.document, use.document)
        found.append(Remark(Rule.OVER_ASKING, document, f"asks for {use.coordinate} and never opens it"))
    return found
