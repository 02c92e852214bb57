"""Keys: key-encryption keys that were destroyed on purpose. Nothing is wrapped under one of them any more."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only

revision = "0011"
down_revision = "0010"

TABLE = """
    CREATE TABLE keys.retired (
      kek_id text NOT NULL,
      retired_at timestamptz NOT NULL,
      CONSTRAINT pk_retired PRIMARY KEY (kek_id)
    )
    """
# A process that was started before still holds the key in memory: what it wrapped would be lost with its end.
FUNCTION = """
    CREATE FUNCTION keys.refuse_retired() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF EXISTS (SELECT FROM keys.retired AS past WHERE past.kek_id = NEW.kek_id) THEN
        RAISE EXCEPTION 'key-encryption key % is retired', NEW.kek_id USING ERRCODE = 'insufficient_privilege';
      END IF;
      RETURN NEW;
    END $$
    """


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(FUNCTION)
    append_only("keys.retired")
    op.execute(
        "CREATE TRIGGER data_key_under_no_retired BEFORE INSERT OR UPDATE OF kek_id ON keys.data_key "
        "FOR EACH ROW EXECUTE FUNCTION keys.refuse_retired()"
    )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
