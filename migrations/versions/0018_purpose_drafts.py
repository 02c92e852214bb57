"""Privacy: drafts of purposes: written, assessed where the law asks, decided on by a second officer."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0018"
down_revision = "0017"

# The table of privacy/lifecycle.py as it was when this was written; a test compares the two.
DRAFT_EDGES = (
    ("", "DRAFT"),
    ("DRAFT", "ASSESSED"),
    ("DRAFT", "APPROVED"),
    ("DRAFT", "REFUSED"),
    ("DRAFT", "WITHDRAWN"),
    ("ASSESSED", "APPROVED"),
    ("ASSESSED", "REFUSED"),
    ("ASSESSED", "WITHDRAWN"),
)

TABLE = """
    CREATE TABLE privacy.purpose_draft (
      draft_id uuid NOT NULL,
      code text NOT NULL,
      definition text NOT NULL,
      replaces bytea CHECK (length(replaces) = 32),
      note text NOT NULL CHECK (note <> ''),
      assessment_id text,
      assessment text,
      assessed_by uuid,
      state text NOT NULL,
      made_by uuid NOT NULL,
      made_at timestamptz NOT NULL,
      decided_by uuid,
      decided_at timestamptz,
      bundle_version integer,
      CONSTRAINT pk_purpose_draft PRIMARY KEY (draft_id),
      CONSTRAINT ck_purpose_draft_two_officers CHECK (state = 'WITHDRAWN' OR decided_by <> made_by),
      CONSTRAINT ck_purpose_draft_assessed CHECK ((assessment IS NULL) = (assessment_id IS NULL)
        AND (assessment IS NULL) = (assessed_by IS NULL) AND (state <> 'ASSESSED' OR assessment IS NOT NULL)),
      CONSTRAINT ck_purpose_draft_in_force CHECK ((state = 'APPROVED') = (bundle_version IS NOT NULL))
    )
"""


def upgrade() -> None:
    op.execute(TABLE)
    pairs = ", ".join(f"'{before}>{after}'" for before, after in DRAFT_EDGES)
    op.execute(
        "CREATE TRIGGER purpose_draft_keeps_to_its_life_cycle BEFORE INSERT OR UPDATE OF state "
        f"ON privacy.purpose_draft FOR EACH ROW EXECUTE FUNCTION privacy.require_transition({pairs})"
    )
    op.execute(
        "CREATE TRIGGER purpose_draft_is_never_removed BEFORE DELETE OR TRUNCATE ON privacy.purpose_draft "
        "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()"
    )
    name = role("privacy")
    op.execute(f"GRANT SELECT, INSERT ON privacy.purpose_draft TO {name}")
    op.execute(
        "GRANT UPDATE (assessment_id, assessment, assessed_by, state, decided_by, decided_at, bundle_version) "
        f"ON privacy.purpose_draft TO {name}"
    )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
