"""Privacy: whom a tag stands for, what is held by law, proposals to narrow, findings, erasures, how far jobs read."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0010"
down_revision = "0009"

# (state before, state after); the empty state is that of a row not yet there. The table of lifecycle.py as it was when
# this was written: a change there needs a migration, and a test compares the two.
NARROWING_EDGES = (("", "PROPOSED"), ("PROPOSED", "APPROVED"), ("PROPOSED", "REFUSED"))

TABLES = (
    """
    CREATE TABLE privacy.subject (
      citizen_id uuid NOT NULL,
      tag bytea NOT NULL CHECK (length(tag) = 16),
      since timestamptz NOT NULL,
      CONSTRAINT pk_subject PRIMARY KEY (citizen_id)
    )
    """,
    "CREATE INDEX ix_subject_tag ON privacy.subject (tag)",
    # What other rooms' facts say that a law has kept of a citizen, and since when.
    """
    CREATE TABLE privacy.held_class (
      citizen_id uuid NOT NULL,
      data_class text NOT NULL CHECK (data_class IN ('permits', 'payments')),
      since timestamptz NOT NULL,
      CONSTRAINT pk_held_class PRIMARY KEY (citizen_id, data_class)
    )
    """,
    """
    CREATE TABLE privacy.narrowing (
      narrowing_id uuid NOT NULL,
      purpose text NOT NULL,
      coordinate text NOT NULL,
      form text CHECK (form IN ('MASKED', 'DERIVED')),
      note text NOT NULL,
      declared integer NOT NULL,
      opened integer NOT NULL,
      since timestamptz NOT NULL,
      state text NOT NULL,
      proposed_by uuid NOT NULL,
      proposed_at timestamptz NOT NULL,
      decided_by uuid,
      decided_at timestamptz,
      bundle_version integer,
      CONSTRAINT pk_narrowing PRIMARY KEY (narrowing_id),
      CONSTRAINT ck_narrowing_state CHECK (state IN ('PROPOSED', 'APPROVED', 'REFUSED')),
      CONSTRAINT ck_narrowing_two_officers CHECK (decided_by IS NULL OR decided_by <> proposed_by),
      CONSTRAINT ck_narrowing_decided CHECK ((state = 'PROPOSED') = (decided_by IS NULL)),
      CONSTRAINT ck_narrowing_in_force CHECK ((state = 'APPROVED') = (bundle_version IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX uq_narrowing_open ON privacy.narrowing (purpose, coordinate) WHERE state = 'PROPOSED'",
    """
    CREATE TABLE privacy.finding (
      finding_id uuid NOT NULL,
      kind text NOT NULL,
      actor text NOT NULL,
      purpose text NOT NULL,
      entry_id uuid NOT NULL,
      found_at timestamptz NOT NULL,
      CONSTRAINT pk_finding PRIMARY KEY (finding_id),
      CONSTRAINT uq_finding_entry_id_kind UNIQUE (entry_id, kind)
    )
    """,
    """
    CREATE TABLE privacy.erasure (
      citizen_id uuid NOT NULL,
      erasure_id uuid NOT NULL,
      made_at timestamptz NOT NULL,
      destroyed text[] NOT NULL,
      kept text[] NOT NULL,
      kept_until timestamptz[] NOT NULL,
      CONSTRAINT pk_erasure PRIMARY KEY (citizen_id, erasure_id),
      CONSTRAINT uq_erasure_citizen_id UNIQUE (citizen_id),
      CONSTRAINT ck_erasure_kept_until CHECK (cardinality(kept) = cardinality(kept_until))
    )
    """,
    """
    CREATE TABLE privacy.watermark (
      job text NOT NULL,
      seq bigint NOT NULL,
      CONSTRAINT pk_watermark PRIMARY KEY (job)
    )
    """,
)

FUNCTIONS = (
    # No change but along an edge: what was decided is not written over either.
    """
    CREATE FUNCTION privacy.require_transition() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      before text := CASE WHEN TG_OP = 'INSERT' THEN '' ELSE OLD.state END;
    BEGIN
      IF before || '>' || NEW.state = ANY (TG_ARGV) THEN
        RETURN NEW;
      END IF;
      RAISE EXCEPTION '%.% does not go from "%" to "%"', TG_TABLE_SCHEMA, TG_TABLE_NAME, before, NEW.state
        USING ERRCODE = 'check_violation';
    END $$
    """,
)

# A file or a voucher is kept for its term, so its class is destroyed only where there is neither: no fact of it, no
# case for a file, no open case that may yet bring a bill. 0002 lets privacy destroy the classes that are never held.
NOT_HELD = """
    data_class IN ('permits', 'payments')
    AND NOT EXISTS (SELECT FROM privacy.held_class AS held WHERE held.citizen_id = data_key.citizen_id
                      AND held.data_class = data_key.data_class)
    AND NOT EXISTS (SELECT FROM consent.relation AS tie WHERE tie.citizen_id = data_key.citizen_id
                      AND tie.case_id IS NOT NULL AND (data_key.data_class = 'permits' OR tie.until IS NULL))
"""


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS):
        op.execute(statement)
    pairs = ", ".join(f"'{before}>{after}'" for before, after in NARROWING_EDGES)
    op.execute(
        "CREATE TRIGGER narrowing_keeps_to_its_life_cycle BEFORE INSERT OR UPDATE ON privacy.narrowing "
        f"FOR EACH ROW EXECUTE FUNCTION privacy.require_transition({pairs})"
    )
    op.execute(
        "CREATE TRIGGER narrowing_is_never_removed BEFORE DELETE OR TRUNCATE ON privacy.narrowing "
        "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()"
    )
    append_only("privacy.finding")
    append_only("privacy.erasure")
    name = role("privacy")
    op.execute(f"GRANT SELECT, INSERT ON privacy.subject, privacy.finding, privacy.erasure TO {name}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (since) ON privacy.held_class TO {name}")
    op.execute(f"CREATE POLICY seen_where_nothing_is_held ON keys.data_key FOR SELECT TO {name} USING ({NOT_HELD})")
    op.execute(
        f"CREATE POLICY destroyed_where_nothing_is_held ON keys.data_key FOR UPDATE TO {name} "
        f"USING ({NOT_HELD} AND destroyed_at IS NULL) "
        f"WITH CHECK ({NOT_HELD} AND destroyed_at IS NOT NULL AND wrapped IS NULL)"
    )
    op.execute(f"GRANT SELECT, INSERT ON privacy.narrowing TO {name}")
    op.execute(f"GRANT UPDATE (state, decided_by, decided_at, bundle_version) ON privacy.narrowing TO {name}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON privacy.watermark TO {name}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
