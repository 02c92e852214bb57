"""A role and a schema for each room; nobody else may use them. Passwords come from files (`db upgrade`)."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0001"
down_revision = None

SCHEMAS = ("keys", "audit", "consent", "events", "identity", "permits", "payments", "healthcode", "privacy")
ROOMS = ("identity", "permits", "payments", "healthcode", "privacy", "audit", "worker")


def upgrade() -> None:
    for room in ROOMS:
        name = role(room)
        # Roles belong to the cluster, not the database: another database of ours may have made them, even just now.
        op.execute(
            f"DO $$ BEGIN CREATE ROLE {name} LOGIN NOINHERIT; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    op.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    for schema in SCHEMAS:
        op.execute(f"CREATE SCHEMA {schema}")
    for room in ("identity", "permits", "payments", "healthcode", "privacy"):
        op.execute(f"GRANT USAGE ON SCHEMA {room}, keys, audit, consent, events TO {role(room)}")
    op.execute(f"GRANT USAGE ON SCHEMA audit TO {role('audit')}")
    op.execute(f"GRANT USAGE ON SCHEMA events, audit TO {role('worker')}")
    op.execute(
        """
        CREATE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION '% on %.% is refused: the table is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
        END $$
        """
    )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
