"""Events: one outbox written with the change, one inbox per receiving room, so that an event's effect is made once."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0005"
down_revision = "0004"

ROOMS = ("identity", "permits", "payments", "healthcode", "privacy")


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE events.outbox (
          event_id uuid NOT NULL,
          source text NOT NULL,
          type text NOT NULL,
          citizen_id uuid,
          body bytea NOT NULL,
          published_at timestamptz NOT NULL,
          due_at timestamptz NOT NULL,
          attempts integer NOT NULL DEFAULT 0,
          delivered_at timestamptz,
          CONSTRAINT pk_outbox PRIMARY KEY (event_id)
        )
        """
    )
    op.execute("CREATE INDEX ix_outbox_due_at ON events.outbox (due_at) WHERE delivered_at IS NULL")
    op.execute(
        """
        CREATE TABLE events.inbox (
          room text NOT NULL,
          event_id uuid NOT NULL,
          received_at timestamptz NOT NULL,
          CONSTRAINT pk_inbox PRIMARY KEY (room, event_id)
        )
        """
    )
    op.execute("ALTER TABLE events.inbox ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE events.outbox ENABLE ROW LEVEL SECURITY")
    for room in ROOMS:
        op.execute(f"GRANT INSERT ON events.outbox TO {role(room)}")
        # A room speaks for itself only: others act on what an event's source is known to say.
        op.execute(
            f"CREATE POLICY outbox_of_{room} ON events.outbox FOR INSERT TO {role(room)} WITH CHECK (source = '{room}')"
        )
        op.execute(f"GRANT INSERT, SELECT ON events.inbox TO {role(room)}")
        op.execute(
            f"CREATE POLICY inbox_of_{room} ON events.inbox TO {role(room)} "
            f"USING (room = '{room}') WITH CHECK (room = '{room}')"
        )
    # The worker moves events and knows nothing else: it may neither write one nor change what one says.
    op.execute(f"GRANT SELECT, UPDATE (due_at, attempts, delivered_at) ON events.outbox TO {role('worker')}")
    for verb in ("SELECT", "UPDATE"):
        op.execute(
            f"CREATE POLICY moved_by_worker_{verb.lower()} ON events.outbox FOR {verb} TO {role('worker')} USING (true)"
        )


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
