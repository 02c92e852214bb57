"""Which room may do what with wrapped keys: erasure destroys what no law holds, and sees no more."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import text

from gov_services.kit.database import Database

RoomDatabase = Callable[[str], Database]
CLASSES = ("audit", "health", "identity", "payments", "permits")


async def test_privacy_neither_destroys_nor_sees_keys_of_classes_that_are_held(
    room_database: RoomDatabase, database: Database
) -> None:
    async with database.writing() as session:
        for name in CLASSES:
            await session.execute(
                text(
                    "INSERT INTO keys.data_key "
                    "(citizen_id, data_class, version, kek_id, wrapped, commitment, created_at) "
                    "VALUES (gen_random_uuid(), :name, 1, 'k', 'w', sha256('x'), now())"
                ),
                {"name": name},
            )
        await session.execute(
            text(
                "INSERT INTO privacy.held_class (citizen_id, data_class, since) SELECT citizen_id, data_class, now() "
                "FROM keys.data_key WHERE data_class IN ('payments', 'permits')"
            )
        )
    async with room_database("privacy").writing() as session:
        seen = await session.execute(text("SELECT data_class FROM keys.data_key ORDER BY 1"))
        assert list(seen.scalars()) == ["audit", "health", "identity"]
        await session.execute(text("UPDATE keys.data_key SET wrapped = NULL, destroyed_at = now(), reason = 'r'"))
    async with database.reading() as session:
        gone = await session.execute(
            text("SELECT data_class FROM keys.data_key WHERE destroyed_at IS NOT NULL ORDER BY 1")
        )
        assert list(gone.scalars()) == ["health", "identity"]
