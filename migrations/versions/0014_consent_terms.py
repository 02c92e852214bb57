"""Consent: terms (how often, how long kept), pause, and readings that are counted on the primary.

A reading is taken under the lock of the row that a withdrawal changes too: whoever comes second, another reader or the
citizen who withdraws, finds what the first has done.
"""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0014"
down_revision = "0013"

READERS = ("identity", "permits", "payments", "healthcode", "privacy")
TERMS = """
      ADD COLUMN uses integer CHECK (uses > 0),
      ADD COLUMN times integer CHECK (times > 0),
      ADD COLUMN per text CHECK (per IN ('hour', 'day', 'week', 'month')),
      ADD COLUMN keep_days integer CHECK (keep_days > 0),
      ADD COLUMN given integer,
      ADD CONSTRAINT ck_{table}_frequency CHECK ((times IS NULL) = (per IS NULL)),
      ADD CONSTRAINT ck_{table}_given CHECK ((given IS NULL) = (keep_days IS NULL) AND given <= number)
"""

TABLES = (
    # One row a request that read under a counted consent: it counts once, however many rooms it asks.
    """
    CREATE TABLE consent.reading (
      citizen_id uuid NOT NULL,
      purpose text NOT NULL,
      recipient text NOT NULL,
      given integer NOT NULL,
      request_id text NOT NULL,
      taken_at timestamptz NOT NULL,
      CONSTRAINT pk_reading PRIMARY KEY (citizen_id, purpose, recipient, given, request_id)
    )
    """,
)

# What runs out is looked for every minute, among all consents of the city.
INDEXES = (
    "CREATE INDEX ix_standing_expires_at ON consent.standing (expires_at) "
    "WHERE state IN ('given', 'renewed', 'paused')",
    "CREATE INDEX ix_standing_uses ON consent.standing (uses) "
    "WHERE uses IS NOT NULL AND state IN ('given', 'renewed', 'paused')",
)

# `changed`: the consent is not the one any more that was decided on. `spent`: others have read as often as it allows.
TAKE = """
    CREATE FUNCTION consent.take(
      p_citizen uuid, p_purpose text, p_recipient text, p_revision uuid, p_request text, p_now timestamptz
    ) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      stands consent.standing%ROWTYPE;
      period interval;
    BEGIN
      SELECT * INTO stands FROM consent.standing
       WHERE citizen_id = p_citizen AND purpose = p_purpose AND recipient = p_recipient FOR NO KEY UPDATE;
      IF stands.revision_id IS DISTINCT FROM p_revision OR stands.given IS NULL THEN
        RETURN 'changed';
      END IF;
      IF EXISTS (SELECT FROM consent.reading WHERE citizen_id = p_citizen AND purpose = p_purpose
                    AND recipient = p_recipient AND given = stands.given AND request_id = p_request) THEN
        RETURN 'taken';
      END IF;
      IF stands.uses <= (SELECT count(*) FROM consent.reading WHERE citizen_id = p_citizen AND purpose = p_purpose
                            AND recipient = p_recipient AND given = stands.given) THEN
        RETURN 'spent';
      END IF;
      period := CASE stands.per WHEN 'month' THEN interval '720 hours' WHEN 'week' THEN interval '168 hours'
                                WHEN 'day' THEN interval '24 hours' WHEN 'hour' THEN interval '1 hour' END;
      IF stands.times <= (SELECT count(*) FROM consent.reading WHERE citizen_id = p_citizen AND purpose = p_purpose
                             AND recipient = p_recipient AND taken_at > p_now - period) THEN
        RETURN 'spent';
      END IF;
      INSERT INTO consent.reading VALUES (p_citizen, p_purpose, p_recipient, stands.given, p_request, p_now);
      RETURN 'taken';
    END $$
"""
SIGNATURE = "consent.take(uuid, text, text, uuid, text, timestamptz)"


def upgrade() -> None:
    for table in ("revision", "standing"):
        op.execute(f"ALTER TABLE consent.{table} {TERMS.format(table=table)}")
    for statement in (*TABLES, *INDEXES, TAKE):
        op.execute(statement)
    append_only("consent.reading")
    op.execute(f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC")
    for room in READERS:
        op.execute(f"GRANT SELECT ON consent.reading TO {role(room)}")
        op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO {role(room)}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
