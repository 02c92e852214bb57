"""Privacy: requests that people make under their rights, restriction of processing, the register of breaches."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0017"
down_revision = "0016"

READERS = ("identity", "permits", "payments", "healthcode", "privacy")
# The table of privacy/rights.py as it was when this was written; a test compares the two.
RIGHT_EDGES = (
    ("", "RECEIVED"),
    ("RECEIVED", "TAKEN"),
    ("RECEIVED", "WITHDRAWN"),
    ("TAKEN", "WITHDRAWN"),
    ("TAKEN", "GRANTED"),
    ("TAKEN", "REFUSED"),
)
BREACH_EDGES = (("", "OPEN"), ("OPEN", "CLOSED"))

TABLES = (
    """
    CREATE TABLE consent.restriction (
      citizen_id uuid NOT NULL,
      restriction_id uuid NOT NULL,
      level text NOT NULL CHECK (level IN ('objected', 'storage-only')),
      since timestamptz NOT NULL,
      until timestamptz,
      CONSTRAINT pk_restriction PRIMARY KEY (citizen_id, restriction_id),
      CONSTRAINT ck_restriction_ends_after_start CHECK (until IS NULL OR until >= since)
    )
    """,
    # Text and answer are a person's own words, sealed under the class that outlives an erasure.
    """
    CREATE TABLE privacy.right_request (
      citizen_id uuid NOT NULL,
      request_id uuid NOT NULL,
      kind text NOT NULL,
      about text NOT NULL,
      text bytea NOT NULL,
      state text NOT NULL,
      made_at timestamptz NOT NULL,
      due_at timestamptz NOT NULL,
      taken_by uuid,
      taken_at timestamptz,
      reason text,
      answer bytea,
      answered_at timestamptz,
      CONSTRAINT pk_right_request PRIMARY KEY (citizen_id, request_id),
      CONSTRAINT ck_right_request_taken CHECK (state IN ('RECEIVED', 'WITHDRAWN') OR taken_by IS NOT NULL),
      CONSTRAINT ck_right_request_answered CHECK ((state IN ('GRANTED', 'REFUSED')) = (answered_at IS NOT NULL)),
      CONSTRAINT ck_right_request_says_why CHECK ((state = 'REFUSED') = (reason IS NOT NULL))
    )
    """,
    "CREATE INDEX ix_right_request_waiting ON privacy.right_request (made_at) WHERE state IN ('RECEIVED', 'TAKEN')",
    """
    CREATE TABLE privacy.breach (
      breach_id uuid NOT NULL,
      grade text NOT NULL CHECK (grade IN ('ordinary', 'relatively-major', 'major', 'especially-major')),
      kinds text NOT NULL CHECK (kinds <> ''),
      cause text NOT NULL CHECK (cause <> ''),
      harm text NOT NULL CHECK (harm <> ''),
      measures text NOT NULL CHECK (measures <> ''),
      advice text NOT NULL CHECK (advice <> ''),
      contact text NOT NULL CHECK (contact <> ''),
      actor text NOT NULL,
      since timestamptz NOT NULL,
      until timestamptz NOT NULL,
      found_at timestamptz NOT NULL,
      entered_by uuid NOT NULL,
      report_due_at timestamptz NOT NULL,
      reported_at timestamptz,
      report_number text,
      people integer,
      told_at timestamptz,
      not_told_because text,
      state text NOT NULL,
      CONSTRAINT pk_breach PRIMARY KEY (breach_id),
      CONSTRAINT ck_breach_span CHECK (until >= since),
      CONSTRAINT ck_breach_told CHECK (told_at IS NULL OR not_told_because IS NULL),
      CONSTRAINT ck_breach_closed CHECK (state = 'OPEN' OR (reported_at IS NOT NULL
        AND (told_at IS NOT NULL OR not_told_because IS NOT NULL)))
    )
    """,
)
NOT_HELD = """
    data_class IN ('permits', 'payments')
    AND NOT EXISTS (SELECT FROM privacy.held_class AS held WHERE held.citizen_id = data_key.citizen_id
                      AND held.data_class = data_key.data_class)
    AND NOT EXISTS (SELECT FROM consent.relation AS tie WHERE tie.citizen_id = data_key.citizen_id
                      AND tie.relation = 'officer' AND (data_key.data_class = 'permits' OR tie.until IS NULL))
"""
NEVER_REMOVED = ("privacy.right_request", "privacy.breach", "consent.restriction")


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for table, edges in (("right_request", RIGHT_EDGES), ("breach", BREACH_EDGES)):
        pairs = ", ".join(f"'{before}>{after}'" for before, after in edges)
        op.execute(
            f"CREATE TRIGGER {table}_keeps_to_its_life_cycle BEFORE INSERT OR UPDATE OF state ON privacy.{table} "
            f"FOR EACH ROW EXECUTE FUNCTION privacy.require_transition({pairs})"
        )
    for table in NEVER_REMOVED:
        op.execute(
            f"CREATE TRIGGER {table.partition('.')[2]}_is_never_removed BEFORE DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER restriction_ends_once BEFORE UPDATE ON consent.restriction "
        "FOR EACH ROW EXECUTE FUNCTION consent.check_end()"
    )
    for room in READERS:
        op.execute(f"GRANT SELECT ON consent.restriction TO {role(room)}")
    name = role("privacy")
    op.execute(f"GRANT INSERT, UPDATE (until) ON consent.restriction TO {name}")
    op.execute(f"GRANT SELECT, INSERT ON privacy.right_request, privacy.breach TO {name}")
    op.execute(
        f"GRANT UPDATE (state, taken_by, taken_at, reason, answer, answered_at) ON privacy.right_request TO {name}"
    )
    op.execute(
        "GRANT UPDATE (state, reported_at, report_number, people, told_at, not_told_because) "
        f"ON privacy.breach TO {name}"
    )
    # Whoever takes a person's request reads what they wrote: a relation of privacy's own, to that request alone.
    op.execute(
        "ALTER TABLE consent.relation DROP CONSTRAINT ck_relation_known, "
        "ADD CONSTRAINT ck_relation_known CHECK (relation IN ('delegate', 'officer', 'break-glass', 'handler')), "
        "ADD CONSTRAINT ck_relation_handler_has_case CHECK (relation <> 'handler' OR case_id IS NOT NULL)"
    )
    op.execute(f"GRANT INSERT, UPDATE (until) ON consent.relation TO {name}")
    op.execute(
        f"CREATE POLICY stated_by_privacy ON consent.relation FOR INSERT TO {name} WITH CHECK (relation = 'handler')"
    )
    op.execute(
        f"CREATE POLICY ended_by_privacy ON consent.relation FOR UPDATE TO {name} "
        "USING (relation = 'handler') WITH CHECK (relation = 'handler')"
    )
    # As 0010 has it; a case is an officer's.
    for policy in ("seen_where_nothing_is_held", "destroyed_where_nothing_is_held"):
        op.execute(f"DROP POLICY {policy} ON keys.data_key")
    op.execute(f"CREATE POLICY seen_where_nothing_is_held ON keys.data_key FOR SELECT TO {name} USING ({NOT_HELD})")
    op.execute(
        f"CREATE POLICY destroyed_where_nothing_is_held ON keys.data_key FOR UPDATE TO {name} "
        f"USING ({NOT_HELD} AND destroyed_at IS NULL) "
        f"WITH CHECK ({NOT_HELD} AND destroyed_at IS NOT NULL AND wrapped IS NULL)"
    )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
