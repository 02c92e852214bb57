"""Publishing: enough witnesses first, tiles before the checkpoint, and no way back that nobody notices."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from bodies import Bodies
from obstore.store import LocalStore
from sqlalchemy import text
from structlog.testing import capture_logs
from tile_client import LogBroken, TileClient

from gov_services.audit import publish, store
from gov_services.audit.checkpoint import verifier_key
from gov_services.audit.cosignature import cosigned_at
from gov_services.audit.entry import Entry
from gov_services.audit.findings import Fault
from gov_services.audit.integrate import Integrator, LogInconsistent
from gov_services.audit.log import AuditLog
from gov_services.audit.note import NoteKey, divide
from gov_services.audit.publish import Published, Publisher
from gov_services.audit.verify import Report, Trust, verify_log
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.errors import DatabaseUnavailable

pytestmark = pytest.mark.untraced

NOW = dt.datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=dt.UTC)
MakeEntry = Callable[..., Entry]
MakePublisher = Callable[..., Publisher]
RoomDatabase = Callable[[str], Database]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def log_vkey(log_key: SigningKey, origin: str) -> NoteKey:
    return NoteKey.parse(verifier_key(origin, log_key.public_bytes))


@pytest.fixture
def bodies(tmp_path: Path, log_vkey: NoteKey, clock: FrozenClock) -> Bodies:
    return Bodies(tmp_path, log_vkey, clock)


@pytest.fixture
async def reaching(bodies: Bodies) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP that leads to the two bodies."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(bodies.handle_async_request)) as http:
        yield http


@pytest.fixture
def reader(objects: LocalStore, log_vkey: NoteKey) -> TileClient:
    async def fetch(path: str) -> bytes:
        return bytes(await (await objects.get_async(path)).bytes_async())

    return TileClient(fetch, str(log_vkey))


async def test_a_client_that_knows_the_specification_alone_follows_the_log(
    permits_log: AuditLog, integrator: Integrator, publisher: Publisher, reader: TileClient, make_entry: MakeEntry
) -> None:
    known = None
    for count in (1, 2, 252, 1, 1, 260):
        await permits_log.append([make_entry() for _ in range(count)])
        await integrator.run_once()
        assert await publisher.run_once() is not None
        known = await reader.follow(known)
    assert known is not None
    assert known[0] == 517


async def test_what_a_tile_grew_through_goes_when_it_is_whole(
    permits_log: AuditLog, integrator: Integrator, publisher: Publisher, tmp_path: Path, make_entry: MakeEntry
) -> None:
    for count in (1, 2, 253):
        await permits_log.append([make_entry() for _ in range(count)])
        await integrator.run_once()
        await publisher.run_once()
    lying = {str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*") if path.is_file()}
    assert lying == {"checkpoint", "tile/0/000", "tile/entries/000", "tile/1/000.p/1"}


@pytest.mark.parametrize("path", ["tile/0/000.p/9", "tile/entries/000.p/9", "checkpoint"])
async def test_what_is_lost_or_altered_in_the_folder_is_noticed_and_named(
    permits_log: AuditLog,
    integrator: Integrator,
    publisher: Publisher,
    reader: TileClient,
    room_database: RoomDatabase,
    objects: LocalStore,
    trust: Trust,
    tmp_path: Path,
    make_entry: MakeEntry,
    path: str,
) -> None:
    async def verified() -> Report:
        async with room_database("privacy").reading() as session:
            return await verify_log(session, trust, objects=objects)

    await permits_log.append([make_entry() for _ in range(9)])
    await integrator.run_once()
    await publisher.run_once()
    await reader.follow()
    sound = await verified()
    assert (sound.sound, sound.tiles, sound.published) == (True, 2, 1)
    lying = tmp_path / "tree" / path
    data = bytearray(lying.read_bytes())
    data[40] ^= 1
    lying.write_bytes(bytes(data))
    with pytest.raises((LogBroken, Exception)) as found:
        await reader.follow()
    assert found.type.__name__ in ("LogBroken", "InvalidSignature", "ValueError", "UnicodeDecodeError")
    altered = Fault.CHECKPOINT_FORGED if path == "checkpoint" else Fault.TILE_ALTERED
    assert altered in {one.fault for one in (await verified()).findings}
    lying.unlink()
    with pytest.raises(FileNotFoundError):
        await reader.follow()
    lost = [(one.fault, one.where) for one in (await verified()).findings]
    assert lost == ([] if path == "checkpoint" else [(Fault.TILE_LOST, path.replace("/", " ", 1))])


async def test_nothing_is_published_before_enough_witnesses_cosigned(
    permits_log: AuditLog,
    integrator: Integrator,
    make_publisher: MakePublisher,
    bodies: Bodies,
    reaching: httpx.AsyncClient,
    reader: TileClient,
    make_entry: MakeEntry,
    log_keys: VerifyKeys,
) -> None:
    publisher = make_publisher(bodies.policy("all"), reaching)
    await permits_log.append([make_entry() for _ in range(5)])
    await integrator.run_once()
    bodies.away.add("w2.example")
    with capture_logs() as told:
        assert await publisher.run_once() is None
    assert ("too few witnesses", ["w1.example"]) in [(one["event"], one.get("cosigned")) for one in told]
    with pytest.raises(FileNotFoundError):
        await reader.checkpoint()
    await permits_log.append([make_entry() for _ in range(5)])
    await integrator.run_once()
    bodies.away.clear()
    published = await publisher.run_once()
    assert published is not None
    assert published.checkpoint.size == 10
    _, (own, *cosigned) = divide(published.note)
    assert own.name == published.checkpoint.origin
    for signature, cosigner in zip(cosigned, bodies.cosigners, strict=True):
        assert cosigned_at(signature, cosigner.key, published.checkpoint) == NOW.replace(microsecond=0)
    assert (await reader.follow())[0] == 10


async def test_a_clock_that_is_apart_from_a_witness_s_is_told(
    permits_log: AuditLog,
    integrator: Integrator,
    make_publisher: MakePublisher,
    bodies: Bodies,
    reaching: httpx.AsyncClient,
    make_entry: MakeEntry,
) -> None:
    publisher = make_publisher(bodies.policy("any"), reaching, clock=FrozenClock(NOW + dt.timedelta(seconds=5)))
    await permits_log.append([make_entry()])
    await integrator.run_once()
    with capture_logs() as told:
        await publisher.run_once()
    assert [(one["event"], one["seconds"]) for one in told if one["log_level"] == "critical"] == [
        ("clocks are apart", 5.0)
    ] * 2


CUT_OFF = (
    "SET LOCAL session_replication_role = replica",
    "DELETE FROM audit.entry WHERE seq >= 3",
    "DELETE FROM audit.node WHERE (index + 1) << level > 3",
    "DELETE FROM audit.checkpoint WHERE size > 3",
    "UPDATE audit.head SET next = 3",
)


async def restore(administrator: Database) -> None:
    """The database as it was when three entries were signed."""
    async with administrator.writing() as session:
        for statement in CUT_OFF:
            await session.execute(text(statement))


@pytest.fixture
def a_city(
    room_database: RoomDatabase,
    log_key: SigningKey,
    log_keys: VerifyKeys,
    clock: FrozenClock,
    origin: str,
    make_publisher: MakePublisher,
    bodies: Bodies,
    reaching: httpx.AsyncClient,
) -> Callable[[], tuple[Integrator, Publisher]]:
    """A log's process started anew, which has no file of its own: it knows what others know."""

    def started() -> tuple[Integrator, Publisher]:
        publisher = make_publisher(bodies.policy("any"), reaching)
        integrator = Integrator(
            room_database("audit"), log_key, clock, keys=log_keys, origin=origin, elsewhere=publisher
        )
        return integrator, publisher

    return started


async def grow(log: AuditLog, city: tuple[Integrator, Publisher], make_entry: MakeEntry) -> None:
    for _ in range(2):
        await log.append([make_entry() for _ in range(3)])
        assert await city[0].run_once() is not None
        assert await city[1].run_once() is not None


async def test_a_restored_backup_is_not_signed_over_what_has_been_published(
    permits_log: AuditLog,
    a_city: Callable[[], tuple[Integrator, Publisher]],
    bodies: Bodies,
    administrator: Database,
    make_entry: MakeEntry,
) -> None:
    await grow(permits_log, a_city(), make_entry)
    await restore(administrator)
    bodies.away = {"w1.example", "w2.example"}
    integrator, _ = a_city()
    with pytest.raises(OSError, match="too few witnesses"):
        await integrator.run_once()
    bodies.away.clear()
    with pytest.raises(LogInconsistent):
        await integrator.run_once()


async def test_a_restored_backup_is_not_signed_over_what_a_witness_knows(
    permits_log: AuditLog,
    a_city: Callable[[], tuple[Integrator, Publisher]],
    administrator: Database,
    objects: LocalStore,
    make_entry: MakeEntry,
    tmp_path: Path,
) -> None:
    """The folder was restored with the database, or lost: the witnesses were not."""
    await grow(permits_log, a_city(), make_entry)
    await restore(administrator)
    (tmp_path / "tree" / "checkpoint").unlink()
    integrator, publisher = a_city()
    with pytest.raises(LogInconsistent, match="knows 6 entries, and there are 3"):
        await integrator.run_once()
    with pytest.raises(LogInconsistent):
        await publisher.known_elsewhere()
    async with administrator.reading() as session:
        assert (await session.execute(text("SELECT max(size) FROM audit.checkpoint"))).scalar_one() == 3


async def test_a_log_begun_anew_is_signed_no_further_than_a_witness_allows(
    permits_log: AuditLog,
    a_city: Callable[[], tuple[Integrator, Publisher]],
    administrator: Database,
    make_entry: MakeEntry,
    tmp_path: Path,
) -> None:
    await grow(permits_log, a_city(), make_entry)
    (tmp_path / "tree" / "checkpoint").unlink()
    async with administrator.writing() as session:
        for statement in (
            "SET LOCAL session_replication_role = replica",
            "DELETE FROM audit.node",
            "DELETE FROM audit.checkpoint",
            "UPDATE audit.entry SET commitment = sha256(commitment)",
        ):
            await session.execute(text(statement))
    integrator, _ = a_city()
    with pytest.raises(LogInconsistent):
        await integrator.run_once()
    async with administrator.reading() as session:
        signed = (await session.execute(text("SELECT size FROM audit.checkpoint"))).scalars().all()
    # The empty tree contradicts nobody.
    assert signed == [0]


async def test_a_long_log_comes_out_in_steps_that_are_not_done_twice(
    permits_log: AuditLog,
    integrator: Integrator,
    publisher: Publisher,
    reader: TileClient,
    make_entry: MakeEntry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publish, "TILES_STEP", 256)
    await permits_log.append([make_entry() for _ in range(700)])
    assert (await integrator.run_once()) is not None
    put, gave_out, done = publisher._put_tiles, [], []

    async def short_of_time(old: int, new: int) -> None:
        if old and old not in gave_out:
            gave_out.append(old)
            raise OSError("no more time")
        await put(old, new)
        done.append(old)

    monkeypatch.setattr(publisher, "_put_tiles", short_of_time)
    runs = 0
    while (published := await run_if_there_is_time(publisher)) is None:
        runs += 1
        assert runs < 30, (gave_out, done)
    assert published.checkpoint.size == 700
    assert (gave_out, done) == ([256, 512], [0, 256, 512])
    assert (await reader.follow())[0] == 700
    # Moved away, all of it is written anew.
    (tmp_path / "tree").rename(tmp_path / "away")
    (tmp_path / "tree").mkdir()
    while await run_if_there_is_time(publisher) is None:
        runs += 1
        assert runs < 30, done
    assert (await reader.follow())[0] == 700


async def run_if_there_is_time(publisher: Publisher) -> Published | None:
    """One run; None where it stops short, as it may on a machine that is slow for a while, too."""
    try:
        return await publisher.run_once()
    except DatabaseUnavailable:
        return None


@pytest.mark.parametrize("body", ["\u00b2\n", "", "x", "-1\n", "9" * 5000 + "\n"])
async def test_an_answer_that_makes_no_sense_is_no_answer(
    permits_log: AuditLog,
    integrator: Integrator,
    make_publisher: MakePublisher,
    bodies: Bodies,
    make_entry: MakeEntry,
    body: str,
) -> None:
    await permits_log.append([make_entry()])
    await integrator.run_once()
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(409, text=body))) as http:
        assert await make_publisher(bodies.policy("any"), http).run_once() is None


async def test_one_process_at_a_time_publishes(
    permits_log: AuditLog,
    integrator: Integrator,
    publisher: Publisher,
    administrator: Database,
    make_entry: MakeEntry,
) -> None:
    await permits_log.append([make_entry()])
    await integrator.run_once()
    async with administrator.writing() as session:
        assert await store.take_publishing(session)
        assert await publisher.run_once() is None
    published = await publisher.run_once()
    assert published is not None
    assert published.checkpoint.size == 1
