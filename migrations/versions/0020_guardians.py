"""Directives about relatives' requests, compliance audits that were done."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0020"
down_revision = "0018"

TABLES = (
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


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    append_only("privacy.directive")
    append_only("privacy.compliance_audit")
    op.execute(f"GRANT SELECT, INSERT ON privacy.directive, privacy.compliance_audit TO {role('privacy')}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
