"""Keys: wrapped data keys. A destroyed one is a tombstone for good; a room sees its own classes only."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0002"
down_revision = "0001"

READERS = {
    "identity": "identity",
    "permits": "permits",
    "payments": "payments",
    "healthcode": "health",
    "privacy": "audit",
}
"""Room → its own class. The audit class is read by all: subject tags are made with it."""

ERASABLE = "data_class IN ('identity', 'health')"
"""What an erasure destroys at once: the classes without a hold (privacy/holds.py)."""

TABLE = """
    CREATE TABLE keys.data_key (
      citizen_id uuid NOT NULL,
      data_class text NOT NULL CHECK (data_class IN ('identity', 'permits', 'payments', 'health', 'audit')),
      version integer NOT NULL CHECK (version BETWEEN 1 AND 65535),
      kek_id text NOT NULL,
      wrapped bytea,
      commitment bytea NOT NULL CHECK (length(commitment) = 32),
      created_at timestamptz NOT NULL,
      destroyed_at timestamptz,
      reason text,
      CONSTRAINT pk_data_key PRIMARY KEY (citizen_id, data_class, version),
      CONSTRAINT ck_data_key_tombstone CHECK ((destroyed_at IS NULL) = (wrapped IS NOT NULL)),
      CONSTRAINT ck_data_key_reason CHECK ((destroyed_at IS NULL) = (reason IS NULL))
    )
    """
# Nobody brings a destroyed key back, and no key of its citizen and class is made after it: the owner included.
# With the definer's rights, because a tombstone of a class that a room does not see counts all the same.
FUNCTION = """
    CREATE FUNCTION keys.keep_tombstones() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION 'a key is destroyed by overwriting it, never by removing its row'
          USING ERRCODE = 'insufficient_privilege';
      END IF;
      IF TG_OP = 'UPDATE' THEN
        IF OLD.destroyed_at IS NOT NULL OR NEW.citizen_id <> OLD.citizen_id OR NEW.data_class <> OLD.data_class
           OR NEW.version <> OLD.version OR NEW.commitment <> OLD.commitment THEN
          RAISE EXCEPTION 'a tombstone stays, and a key stays whose it is' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
      END IF;
      IF EXISTS (SELECT FROM keys.data_key AS past WHERE past.citizen_id = NEW.citizen_id
                   AND past.data_class = NEW.data_class AND past.destroyed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'a destroyed key is never made again' USING ERRCODE = 'insufficient_privilege';
      END IF;
      RETURN NEW;
    END $$
    """


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(FUNCTION)
    op.execute(
        "CREATE TRIGGER data_key_keeps_tombstones BEFORE INSERT OR UPDATE OR DELETE ON keys.data_key "
        "FOR EACH ROW EXECUTE FUNCTION keys.keep_tombstones()"
    )
    op.execute(
        "CREATE TRIGGER data_key_is_not_truncated BEFORE TRUNCATE ON keys.data_key "
        "FOR EACH STATEMENT EXECUTE FUNCTION keys.keep_tombstones()"
    )
    op.execute("ALTER TABLE keys.data_key ENABLE ROW LEVEL SECURITY")
    for room, data_class in READERS.items():
        op.execute(f"GRANT SELECT ON keys.data_key TO {role(room)}")
        op.execute(
            f"CREATE POLICY read_by_{room} ON keys.data_key FOR SELECT TO {role(room)} "
            f"USING (data_class IN ('{data_class}', 'audit'))"
        )
    # Registration makes keys of every class; what it has made of other classes it cannot read back.
    op.execute(f"GRANT INSERT ON keys.data_key TO {role('identity')}")
    op.execute(f"CREATE POLICY made_by_identity ON keys.data_key FOR INSERT TO {role('identity')} WITH CHECK (true)")
    # Erasure sees that the keys stand which no law holds, and overwrites those; it holds no key-encryption key but that
    # of the log's class. (A column grant cannot tell classes apart, so it sees wrapped keys of these two as well.)
    op.execute(f"GRANT UPDATE (wrapped, destroyed_at, reason) ON keys.data_key TO {role('privacy')}")
    op.execute(f"CREATE POLICY seen_by_erasure ON keys.data_key FOR SELECT TO {role('privacy')} USING ({ERASABLE})")
    op.execute(
        f"CREATE POLICY destroyed_by_privacy ON keys.data_key FOR UPDATE TO {role('privacy')} "
        f"USING ({ERASABLE} AND destroyed_at IS NULL) "
        f"WITH CHECK ({ERASABLE} AND destroyed_at IS NOT NULL AND wrapped IS NULL)"
    )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
