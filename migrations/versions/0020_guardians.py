"""Guardians of under-14s, directives about relatives' requests, compliance audits that were done.

Whoever turns fourteen does so at a moment that the database can compare with: it lies in clear, in a row of `childhood`
and in the guardians' relations, until the citizen is erased (decision 0022).
"""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0020"
down_revision = "0018"

READERS = ("identity", "permits", "payments", "healthcode", "privacy")
GIVEN_BY_GUARDIAN = """
      ADD COLUMN guardian_id uuid,
      ADD COLUMN guardian_relation_id uuid,
      ADD CONSTRAINT ck_{table}_guardian CHECK ((guardian_id IS NULL) = (guardian_relation_id IS NULL))
"""

TABLES = (
    """
    CREATE TABLE consent.childhood (
      citizen_id uuid NOT NULL,
      until timestamptz NOT NULL,
      CONSTRAINT pk_childhood PRIMARY KEY (citizen_id)
    )
    """,
    # Which officer saw which document; of its number only a keyed digest, to hold it against once more.
    """
    CREATE TABLE identity.guardianship (
      citizen_id uuid NOT NULL,
      guardianship_id uuid NOT NULL,
      guardian_id uuid NOT NULL,
      document text NOT NULL CHECK (document IN ('household-register', 'birth-certificate', 'court-decision')),
      document_digest bytea NOT NULL CHECK (length(document_digest) = 16),
      made_by uuid NOT NULL,
      made_at timestamptz NOT NULL,
      ended_by uuid,
      ended_at timestamptz,
      CONSTRAINT pk_guardianship PRIMARY KEY (citizen_id, guardianship_id),
      CONSTRAINT ck_guardianship_of_two CHECK (guardian_id <> citizen_id),
      CONSTRAINT ck_guardianship_ended CHECK (ended_at IS NOT NULL OR ended_by IS NULL)
    )
    """,
    "CREATE UNIQUE INDEX uq_guardianship_standing ON identity.guardianship (citizen_id, guardian_id) "
    "WHERE ended_at IS NULL",
    "CREATE INDEX ix_guardianship_guardian_id ON identity.guardianship (guardian_id)",
    """
    CREATE TABLE privacy.directive (
      citizen_id uuid NOT NULL,
      kind text NOT NULL CHECK (kind IN ('ACCESS', 'CORRECTION', 'DELETION')),
      number integer NOT NULL CHECK (number > 0),
      choice text NOT NULL CHECK (choice IN ('ALLOWED', 'FORBIDDEN', 'WITHDRAWN')),
      made_at timestamptz NOT NULL,
      CONSTRAINT pk_directive PRIMARY KEY (citizen_id, kind, number)
    )
    """,
    """
    CREATE TABLE privacy.compliance_audit (
      audit_id uuid NOT NULL,
      done_on date NOT NULL,
      auditor text NOT NULL CHECK (auditor <> ''),
      report_hash bytea NOT NULL CHECK (length(report_hash) = 32),
      entered_by uuid NOT NULL,
      entered_at timestamptz NOT NULL,
      CONSTRAINT pk_compliance_audit PRIMARY KEY (audit_id)
    )
    """,
)
INDEXES = (
    "CREATE INDEX ix_standing_guardian ON consent.standing (citizen_id) "
    "WHERE guardian_relation_id IS NOT NULL AND state IN ('given', 'renewed', 'paused')",
)
# A guardian's end is known from the start, and may be brought forward; every other relation ends once.
CHECK_END = """
    CREATE FUNCTION consent.check_relation_end() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF OLD.until IS NOT NULL AND (OLD.relation <> 'guardian' OR NEW.until IS NULL OR NEW.until >= OLD.until) THEN
        RAISE EXCEPTION 'a relation ends once' USING ERRCODE = 'insufficient_privilege';
      END IF;
      RETURN NEW;
    END $$
"""
RELATION = (
    "ALTER TABLE consent.relation DROP CONSTRAINT ck_relation_known, "
    "ADD CONSTRAINT ck_relation_known "
    "CHECK (relation IN ('delegate', 'officer', 'break-glass', 'handler', 'guardian')), "
    "ADD CONSTRAINT ck_relation_guardian_ends CHECK "
    "(relation <> 'guardian' OR (until IS NOT NULL AND case_id IS NULL AND actor_id <> citizen_id))",
    CHECK_END,
    "REVOKE ALL ON FUNCTION consent.check_relation_end() FROM PUBLIC",
    "DROP TRIGGER relation_ends_once ON consent.relation",
    "CREATE TRIGGER relation_ends_once BEFORE UPDATE ON consent.relation "
    "FOR EACH ROW EXECUTE FUNCTION consent.check_relation_end()",
)


def upgrade() -> None:
    for table in ("revision", "standing"):
        op.execute(f"ALTER TABLE consent.{table} {GIVEN_BY_GUARDIAN.format(table=table)}")
    for statement in (*TABLES, *INDEXES, *RELATION):
        op.execute(statement)
    append_only("privacy.directive")
    append_only("privacy.compliance_audit")
    op.execute(
        "CREATE TRIGGER guardianship_is_never_removed BEFORE DELETE OR TRUNCATE ON identity.guardianship "
        "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()"
    )
    for room in READERS:
        op.execute(f"GRANT SELECT ON consent.childhood TO {role(room)}")
    identity, privacy = role("identity"), role("privacy")
    op.execute(f"GRANT INSERT, DELETE ON consent.childhood TO {identity}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (ended_by, ended_at) ON identity.guardianship TO {identity}")
    op.execute(f"GRANT SELECT, INSERT ON privacy.directive, privacy.compliance_audit TO {privacy}")
    op.execute(
        f"CREATE POLICY guardian_stated_by_identity ON consent.relation FOR INSERT TO {identity} "
        "WITH CHECK (relation = 'guardian')"
    )
    op.execute(
        f"CREATE POLICY guardian_ended_by_identity ON consent.relation FOR UPDATE TO {identity} "
        "USING (relation = 'guardian') WITH CHECK (relation = 'guardian')"
    )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
