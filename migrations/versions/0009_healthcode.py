"""Health code: sealed declarations, codes issued for minutes. Nothing here outlives thirty days."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0009"
down_revision = "0008"

TABLES = (
    # When a colour ends would tell the colour: it is sealed with it, and every declaration is kept equally long.
    """
    CREATE TABLE healthcode.declaration (
      citizen_id uuid NOT NULL,
      declaration_id uuid NOT NULL,
      evidence bytea NOT NULL,
      outcome bytea NOT NULL,
      declared_at timestamptz NOT NULL,
      keep_until timestamptz NOT NULL,
      CONSTRAINT pk_declaration PRIMARY KEY (citizen_id, declaration_id),
      CONSTRAINT ck_declaration_kept_shortly CHECK (
        keep_until > declared_at AND keep_until <= declared_at + interval '30 days')
    )
    """,
    "CREATE INDEX ix_declaration_keep_until ON healthcode.declaration (keep_until)",
    # One row a code that is shown, so that a code says nothing that a later scan could be matched with.
    """
    CREATE TABLE healthcode.code (
      citizen_id uuid NOT NULL,
      code_id uuid NOT NULL,
      declaration_id uuid NOT NULL,
      issued_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL,
      CONSTRAINT pk_code PRIMARY KEY (citizen_id, code_id),
      CONSTRAINT fk_code_citizen_id_declaration_id FOREIGN KEY (citizen_id, declaration_id)
        REFERENCES healthcode.declaration (citizen_id, declaration_id) ON DELETE CASCADE,
      CONSTRAINT ck_code_lives_shortly CHECK (
        expires_at > issued_at AND expires_at <= issued_at + interval '10 minutes')
    )
    """,
    "CREATE INDEX ix_code_citizen_id_declaration_id ON healthcode.code (citizen_id, declaration_id)",
    "CREATE INDEX ix_code_code_id ON healthcode.code (code_id)",
    "CREATE INDEX ix_code_expires_at ON healthcode.code (expires_at)",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    name = role("healthcode")
    op.execute(f"GRANT SELECT, INSERT, DELETE ON healthcode.declaration, healthcode.code TO {name}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
