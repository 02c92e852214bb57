"""Permits: services, officers, applications with their life cycle and timeline, documents, licences, the register."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0007"
down_revision = "0006"

# (state before, event, state after); the empty state is that of a row not yet there. The table of lifecycle.py as it
# was when this was written: a change there needs a migration, and a test compares the two.
TRANSITIONS = (
    ("", "start", "draft"),
    ("draft", "submit", "submitted"),
    ("submitted", "request-correction", "incomplete"),
    ("incomplete", "correct", "submitted"),
    ("submitted", "accept", "accepted"),
    ("accepted", "request-correction", "correction-requested"),
    ("correction-requested", "correct", "accepted"),
    ("accepted", "assess-fee", "fee-due"),
    ("fee-due", "settle-fee", "under-review"),
    *((state, "refund-fee", "accepted") for state in ("fee-due", "under-review", "recommended")),
    ("under-review", "recommend", "recommended"),
    ("recommended", "approve", "issued"),
    ("issued", "surrender", "surrendered"),
    *((state, "reject", "rejected") for state in ("submitted", "accepted", "under-review", "recommended")),
    *(
        (state, "withdraw", "withdrawn")
        for state in (
            "draft",
            "submitted",
            "incomplete",
            "accepted",
            "correction-requested",
            "fee-due",
            "under-review",
            "recommended",
        )
    ),
)

TABLES = (
    """
    CREATE TABLE permits.transition (
      state_before text NOT NULL,
      event text NOT NULL,
      state_after text NOT NULL,
      CONSTRAINT pk_transition PRIMARY KEY (state_before, event)
    )
    """,
    """
    CREATE TABLE permits.service (
      code text NOT NULL CHECK (code ~ '^[a-z][a-z0-9-]{2,60}$'),
      edition integer NOT NULL CHECK (edition > 0),
      titles jsonb NOT NULL,
      fee_titles jsonb NOT NULL,
      documents jsonb NOT NULL,
      fee_fen integer NOT NULL CHECK (fee_fen > 0),
      statutory_working_days integer NOT NULL CHECK (statutory_working_days BETWEEN 1 AND 90),
      legal_basis text NOT NULL,
      agency text NOT NULL,
      division text NOT NULL CHECK (division ~ '^[0-9]{6}$'),
      loaded_at timestamptz NOT NULL,
      CONSTRAINT pk_service PRIMARY KEY (code)
    )
    """,
    # What this room needs to know of staff, from identity's events.
    """
    CREATE TABLE permits.officer (
      staff_id uuid NOT NULL,
      roles text[] NOT NULL,
      office text NOT NULL,
      noted_at timestamptz NOT NULL,
      CONSTRAINT pk_officer PRIMARY KEY (staff_id)
    )
    """,
    """
    CREATE TABLE permits.application (
      citizen_id uuid NOT NULL,
      application_id uuid NOT NULL,
      service_code text NOT NULL,
      business_name bytea NOT NULL,
      business_address bytea NOT NULL,
      scope bytea NOT NULL,
      applicant_name bytea NOT NULL,
      state text NOT NULL,
      event text NOT NULL,
      moves integer NOT NULL,
      moved_at timestamptz NOT NULL,
      moved_by_kind text NOT NULL CHECK (moved_by_kind IN ('citizen', 'staff', 'system')),
      moved_by uuid,
      officer_id uuid,
      approver_id uuid,
      recommended_by uuid,
      decided_by uuid,
      started_at timestamptz NOT NULL,
      submitted_at timestamptz,
      accepted_at timestamptz,
      due_at timestamptz,
      remaining_working_days integer CHECK (remaining_working_days >= 0),
      bill_id uuid,
      fee_fen integer CHECK (fee_fen > 0),
      rejection text,
      CONSTRAINT pk_application PRIMARY KEY (citizen_id, application_id),
      CONSTRAINT fk_application_service_code_service FOREIGN KEY (service_code) REFERENCES permits.service (code),
      CONSTRAINT ck_application_two_officers CHECK (officer_id <> approver_id),
      CONSTRAINT ck_application_two_decisions CHECK (recommended_by <> decided_by),
      CONSTRAINT ck_application_issued CHECK (
        state NOT IN ('issued', 'surrendered') OR (recommended_by IS NOT NULL AND decided_by IS NOT NULL)),
      CONSTRAINT ck_application_recommended CHECK (state <> 'recommended' OR recommended_by IS NOT NULL),
      CONSTRAINT ck_application_submitted CHECK (state IN ('draft', 'withdrawn') OR submitted_at IS NOT NULL),
      CONSTRAINT ck_application_clock_runs CHECK (
        state NOT IN ('accepted', 'fee-due', 'under-review', 'recommended')
        OR (accepted_at IS NOT NULL AND due_at IS NOT NULL AND remaining_working_days IS NULL)),
      CONSTRAINT ck_application_clock_stops CHECK (
        state <> 'correction-requested' OR (due_at IS NULL AND remaining_working_days IS NOT NULL)),
      CONSTRAINT ck_application_fee CHECK ((bill_id IS NULL) = (fee_fen IS NULL)),
      CONSTRAINT ck_application_fee_assessed CHECK (
        state NOT IN ('fee-due', 'under-review', 'recommended', 'issued', 'surrendered') OR bill_id IS NOT NULL),
      CONSTRAINT ck_application_rejection CHECK ((state = 'rejected') = (rejection IS NOT NULL))
    )
    """,
    "CREATE INDEX ix_application_application_id ON permits.application (application_id)",
    "CREATE INDEX ix_application_officer_id ON permits.application (officer_id, application_id)",
    "CREATE INDEX ix_application_approver_id ON permits.application (approver_id, application_id)",
    """
    CREATE TABLE permits.timeline (
      citizen_id uuid NOT NULL,
      application_id uuid NOT NULL,
      number integer NOT NULL CHECK (number > 0),
      event text NOT NULL,
      state_before text NOT NULL,
      state_after text NOT NULL,
      at timestamptz NOT NULL,
      by_kind text NOT NULL,
      by_id uuid,
      CONSTRAINT pk_timeline PRIMARY KEY (citizen_id, application_id, number),
      CONSTRAINT fk_timeline_citizen_id_application_id FOREIGN KEY (citizen_id, application_id)
        REFERENCES permits.application (citizen_id, application_id)
    )
    """,
    """
    CREATE TABLE permits.correction (
      citizen_id uuid NOT NULL,
      correction_id uuid NOT NULL,
      application_id uuid NOT NULL,
      field text NOT NULL CHECK (field IN ('businessName', 'businessAddress', 'scope', 'documents')),
      note bytea,
      requested_by uuid NOT NULL,
      requested_at timestamptz NOT NULL,
      corrected_at timestamptz,
      CONSTRAINT pk_correction PRIMARY KEY (citizen_id, correction_id),
      CONSTRAINT fk_correction_citizen_id_application_id FOREIGN KEY (citizen_id, application_id)
        REFERENCES permits.application (citizen_id, application_id)
    )
    """,
    # One thing is asked for at a time.
    "CREATE UNIQUE INDEX uq_correction_open ON permits.correction (citizen_id, application_id) "
    "WHERE corrected_at IS NULL",
    """
    CREATE TABLE permits.document (
      citizen_id uuid NOT NULL,
      document_id uuid NOT NULL,
      application_id uuid NOT NULL,
      kind text NOT NULL,
      requested_at timestamptz NOT NULL,
      media_type text CHECK (media_type IN ('application/pdf', 'image/png', 'image/jpeg')),
      size_bytes integer CHECK (size_bytes BETWEEN 1 AND 5242880),
      stored_at timestamptz,
      CONSTRAINT pk_document PRIMARY KEY (citizen_id, document_id),
      CONSTRAINT fk_document_citizen_id_application_id FOREIGN KEY (citizen_id, application_id)
        REFERENCES permits.application (citizen_id, application_id),
      CONSTRAINT ck_document_stored CHECK (
        (stored_at IS NULL) = (media_type IS NULL) AND (stored_at IS NULL) = (size_bytes IS NULL))
    )
    """,
    "CREATE INDEX ix_document_document_id ON permits.document (document_id)",
    "CREATE INDEX ix_document_application_id ON permits.document (citizen_id, application_id)",
    """
    CREATE TABLE permits.settlement (
      citizen_id uuid NOT NULL,
      bill_id uuid NOT NULL,
      application_id uuid NOT NULL,
      amount_fen integer NOT NULL CHECK (amount_fen > 0),
      settled_at timestamptz NOT NULL,
      CONSTRAINT pk_settlement PRIMARY KEY (citizen_id, bill_id)
    )
    """,
    """
    CREATE TABLE permits.refund (
      citizen_id uuid NOT NULL,
      refund_id uuid NOT NULL,
      bill_id uuid NOT NULL,
      ended_at timestamptz,
      CONSTRAINT pk_refund PRIMARY KEY (citizen_id, refund_id)
    )
    """,
    "CREATE INDEX ix_refund_bill_id ON permits.refund (citizen_id, bill_id)",
    # The public register: numbers and whether they hold. It names no citizen, and is not sharded by one.
    """
    CREATE TABLE permits.register (
      number text NOT NULL CHECK (number ~ '^[0-9A-HJ-NP-RTUW-Y]{18}$'),
      status_index integer GENERATED ALWAYS AS IDENTITY (START WITH 0 MINVALUE 0),
      status text NOT NULL CHECK (status IN ('valid', 'surrendered')),
      entered_at timestamptz NOT NULL,
      ended_at timestamptz,
      CONSTRAINT pk_register PRIMARY KEY (number),
      CONSTRAINT uq_register_status_index UNIQUE (status_index),
      CONSTRAINT ck_register_ended CHECK ((status = 'valid') = (ended_at IS NULL))
    )
    """,
    """
    CREATE TABLE permits.licence (
      citizen_id uuid NOT NULL,
      licence_id uuid NOT NULL,
      application_id uuid NOT NULL,
      number text NOT NULL,
      credential bytea NOT NULL,
      issued_at timestamptz NOT NULL,
      CONSTRAINT pk_licence PRIMARY KEY (citizen_id, licence_id),
      CONSTRAINT uq_licence_citizen_id_application_id UNIQUE (citizen_id, application_id),
      CONSTRAINT uq_licence_citizen_id_number UNIQUE (citizen_id, number),
      CONSTRAINT fk_licence_citizen_id_application_id FOREIGN KEY (citizen_id, application_id)
        REFERENCES permits.application (citizen_id, application_id),
      CONSTRAINT fk_licence_number_register FOREIGN KEY (number) REFERENCES permits.register (number)
    )
    """,
    "CREATE INDEX ix_licence_licence_id ON permits.licence (licence_id)",
)

FUNCTIONS = (
    # A move has the next number and is an edge of the life cycle; nothing else changes the state.
    """
    CREATE FUNCTION permits.require_transition() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      before text := CASE WHEN TG_OP = 'INSERT' THEN '' ELSE OLD.state END;
      moves integer := CASE WHEN TG_OP = 'INSERT' THEN 0 ELSE OLD.moves END;
    BEGIN
      IF TG_OP = 'UPDATE' AND NEW.moves = moves AND NEW.state = before AND NEW.event = OLD.event THEN
        RETURN NEW;
      END IF;
      IF NEW.moves = moves + 1 AND EXISTS (
        SELECT FROM permits.transition AS edge
         WHERE edge.state_before = before AND edge.event = NEW.event AND edge.state_after = NEW.state)
      THEN
        RETURN NEW;
      END IF;
      RAISE EXCEPTION 'an application does not go from "%" by "%" to "%"', before, NEW.event, NEW.state
        USING ERRCODE = 'check_violation';
    END $$
    """,
    # The timeline is written by the move itself; nobody else may write it.
    """
    CREATE FUNCTION permits.write_timeline() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF TG_OP = 'UPDATE' AND NEW.moves = OLD.moves THEN
        RETURN NULL;
      END IF;
      INSERT INTO permits.timeline
        (citizen_id, application_id, number, event, state_before, state_after, at, by_kind, by_id)
      VALUES
        (NEW.citizen_id, NEW.application_id, NEW.moves, NEW.event,
         CASE WHEN TG_OP = 'INSERT' THEN '' ELSE OLD.state END, NEW.state, NEW.moved_at, NEW.moved_by_kind,
         NEW.moved_by);
      RETURN NULL;
    END $$
    """,
    # Who decided, and when a step was taken, is written once. A fee that goes back takes the recommendation along.
    """
    CREATE FUNCTION permits.keep_decisions() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      moved boolean := NEW.moves IS DISTINCT FROM OLD.moves;
    BEGIN
      IF NEW.started_at IS DISTINCT FROM OLD.started_at
        OR (OLD.submitted_at IS NOT NULL AND NEW.submitted_at IS DISTINCT FROM OLD.submitted_at)
        OR (OLD.accepted_at IS NOT NULL AND NEW.accepted_at IS DISTINCT FROM OLD.accepted_at)
        OR (OLD.decided_by IS NOT NULL AND NEW.decided_by IS DISTINCT FROM OLD.decided_by)
        OR (OLD.recommended_by IS NOT NULL AND NEW.recommended_by IS DISTINCT FROM OLD.recommended_by
            AND NOT (moved AND NEW.event = 'refund-fee' AND NEW.recommended_by IS NULL))
        OR (NOT moved AND (NEW.moved_at, NEW.moved_by_kind, NEW.moved_by)
            IS DISTINCT FROM (OLD.moved_at, OLD.moved_by_kind, OLD.moved_by))
      THEN
        RAISE EXCEPTION 'what was decided on an application, and when, is not written again'
          USING ERRCODE = 'check_violation';
      END IF;
      RETURN NEW;
    END $$
    """,
    # A licence ends once; its number and its place in the status list are for ever.
    """
    CREATE FUNCTION permits.keep_register() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF (NEW.number, NEW.status_index, NEW.entered_at)
        IS DISTINCT FROM (OLD.number, OLD.status_index, OLD.entered_at)
      THEN
        RAISE EXCEPTION 'an entry of the register keeps its number, place and beginning'
          USING ERRCODE = 'check_violation';
      END IF;
      IF OLD.status <> 'valid' AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'a licence that has ended does not hold again' USING ERRCODE = 'check_violation';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION permits.require_newer_edition() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF NEW.edition <= OLD.edition THEN
        RAISE EXCEPTION 'a service changes with another edition, a newer one' USING ERRCODE = 'check_violation';
      END IF;
      RETURN NEW;
    END $$
    """,
)

ROLE = "permits"
KEPT = ("application", "correction", "document", "refund", "register")
"""Tables whose rows change by their own rules and are never removed."""
UPDATABLE = {
    "application": "business_name, business_address, scope, state, event, moves, moved_at, moved_by_kind, moved_by, "
    "officer_id, approver_id, recommended_by, decided_by, submitted_at, accepted_at, due_at, remaining_working_days, "
    "bill_id, fee_fen, rejection",
    "correction": "corrected_at",
    "document": "media_type, size_bytes, stored_at",
    "register": "status, ended_at",
    "refund": "ended_at",
    "officer": "roles, office, noted_at",
    "service": "edition, titles, fee_titles, documents, fee_fen, statutory_working_days, legal_basis, agency, "
    "division, loaded_at",
}


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS):
        op.execute(statement)
    for before, event, after in TRANSITIONS:
        op.execute(f"INSERT INTO permits.transition VALUES ('{before}', '{event}', '{after}')")  # noqa: S608
    op.execute("REVOKE ALL ON FUNCTION permits.require_transition(), permits.write_timeline() FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER application_keeps_to_its_life_cycle BEFORE INSERT OR UPDATE ON permits.application "
        "FOR EACH ROW EXECUTE FUNCTION permits.require_transition()"
    )
    op.execute(
        "CREATE TRIGGER application_writes_its_timeline AFTER INSERT OR UPDATE ON permits.application "
        "FOR EACH ROW EXECUTE FUNCTION permits.write_timeline()"
    )
    for trigger, table, function in (
        ("application_keeps_its_decisions", "application", "keep_decisions"),
        ("register_keeps_what_has_ended", "register", "keep_register"),
        ("service_changes_by_editions", "service", "require_newer_edition"),
    ):
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE UPDATE ON permits.{table} "
            f"FOR EACH ROW EXECUTE FUNCTION permits.{function}()"
        )
    for table in KEPT:
        op.execute(
            f"CREATE TRIGGER {table}_is_never_removed BEFORE DELETE OR TRUNCATE ON permits.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()"
        )
    for table in ("transition", "timeline", "settlement", "licence"):
        append_only(f"permits.{table}")
    name = role(ROLE)
    op.execute(f"GRANT SELECT ON permits.transition, permits.timeline TO {name}")
    op.execute(f"GRANT SELECT, INSERT ON permits.settlement, permits.licence TO {name}")
    for table, columns in UPDATABLE.items():
        op.execute(f"GRANT SELECT, INSERT, UPDATE ({columns}) ON permits.{table} TO {name}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
