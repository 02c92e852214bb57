"""Identity: people and their directory, accounts' sessions, staff, clients, the message box."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0006"
down_revision = "0005"

TABLES = (
    """
    CREATE TABLE identity.citizen (
      citizen_id uuid NOT NULL,
      name bytea,
      national_id bytea,
      phone bytea,
      address bytea,
      birth_date bytea,
      assurance integer NOT NULL CHECK (assurance BETWEEN 0 AND 5),
      assured_at timestamptz NOT NULL,
      registered_at timestamptz NOT NULL,
      erased_at timestamptz,
      CONSTRAINT pk_citizen PRIMARY KEY (citizen_id)
    )
    """,
    # The one way from a number to a citizen: keyed digests, removed by erasure. It is not sharded by citizen.
    """
    CREATE TABLE identity.directory (
      kind text NOT NULL CHECK (kind IN ('resident-number', 'phone')),
      digest bytea NOT NULL CHECK (length(digest) = 16),
      citizen_id uuid NOT NULL,
      since timestamptz NOT NULL,
      CONSTRAINT pk_directory PRIMARY KEY (kind, digest),
      CONSTRAINT fk_directory_citizen_id_citizen FOREIGN KEY (citizen_id) REFERENCES identity.citizen (citizen_id)
    )
    """,
    "CREATE UNIQUE INDEX uq_directory_citizen_id ON identity.directory (citizen_id, kind)",
    """
    CREATE TABLE identity.session (
      session_id uuid NOT NULL,
      holder_id uuid NOT NULL,
      holder_kind text NOT NULL CHECK (holder_kind IN ('citizen', 'staff')),
      client_id text NOT NULL,
      generation integer NOT NULL CHECK (generation >= 1),
      turned_at timestamptz NOT NULL,
      authenticated_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL,
      ended_at timestamptz,
      ended_for text,
      CONSTRAINT pk_session PRIMARY KEY (session_id),
      CONSTRAINT ck_session_ended CHECK ((ended_at IS NULL) = (ended_for IS NULL))
    )
    """,
    "CREATE INDEX ix_session_holder_id ON identity.session (holder_id)",
    """
    CREATE TABLE identity.staff (
      staff_id uuid NOT NULL,
      username text NOT NULL,
      display_name text NOT NULL,
      password text NOT NULL,
      roles text[] NOT NULL,
      office text NOT NULL,
      client_id text NOT NULL,
      added_at timestamptz NOT NULL,
      disabled_at timestamptz,
      CONSTRAINT pk_staff PRIMARY KEY (staff_id),
      CONSTRAINT uq_staff_username UNIQUE (username)
    )
    """,
    """
    CREATE TABLE identity.client (
      client_id text NOT NULL,
      title text NOT NULL,
      secret text NOT NULL,
      added_at timestamptz NOT NULL,
      CONSTRAINT pk_client PRIMARY KEY (client_id)
    )
    """,
    """
    CREATE TABLE identity.message (
      citizen_id uuid NOT NULL,
      message_id uuid NOT NULL,
      code text NOT NULL,
      params jsonb NOT NULL,
      sent_at timestamptz NOT NULL,
      CONSTRAINT pk_message PRIMARY KEY (citizen_id, message_id)
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    name = role("identity")
    op.execute(f"GRANT SELECT, INSERT ON identity.citizen, identity.session, identity.staff TO {name}")
    op.execute(f"GRANT SELECT, INSERT ON identity.client, identity.message TO {name}")
    op.execute(f"GRANT SELECT, INSERT, DELETE ON identity.directory TO {name}")
    op.execute(
        "GRANT UPDATE (name, national_id, phone, address, birth_date, assurance, assured_at, erased_at) "
        f"ON identity.citizen TO {name}"
    )
    op.execute(f"GRANT UPDATE (generation, turned_at, expires_at, ended_at, ended_for) ON identity.session TO {name}")
    # A password is never changed here, nor a name: who forgot one gets an account anew.
    op.execute(f"GRANT UPDATE (roles, client_id, disabled_at) ON identity.staff TO {name}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
