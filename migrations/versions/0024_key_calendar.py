"""Keys: which key-encryption key each holder wraps by, and since when; tombstones come back under retired keys."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0024"
down_revision = "0023"

ROOMS = ("identity", "permits", "payments", "healthcode", "privacy")

TABLE = """
    CREATE TABLE keys.holder (
      holder text NOT NULL,
      data_class text NOT NULL CHECK (data_class IN ('identity', 'permits', 'payments', 'health', 'audit')),
      kek_id text NOT NULL,
      since timestamptz NOT NULL,
      CONSTRAINT pk_holder PRIMARY KEY (holder, data_class)
    )
    """
# As 0011 has it; but a tombstone is under no key, and one that is restored may name a key that is gone by now.
FUNCTION = """
    CREATE OR REPLACE FUNCTION keys.refuse_retired() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF NEW.wrapped IS NOT NULL AND EXISTS (SELECT FROM keys.retired AS past WHERE past.kek_id = NEW.kek_id) THEN
        RAISE EXCEPTION 'key-encryption key % is retired', NEW.kek_id USING ERRCODE = 'insufficient_privilege';
      END IF;
      RETURN NEW;
    END $$
    """


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(FUNCTION)
    op.execute("ALTER TABLE keys.holder ENABLE ROW LEVEL SECURITY")
    for room in ROOMS:
        name = role(room)
        op.execute(f"GRANT SELECT, INSERT, UPDATE (kek_id, since) ON keys.holder TO {name}")
        # A room speaks for itself: what another holds decides when a key is destroyed.
        op.execute(
            f"CREATE POLICY stated_by_{room} ON keys.holder TO {name} "
            f"USING (holder = '{room}') WITH CHECK (holder = '{room}')"
        )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
