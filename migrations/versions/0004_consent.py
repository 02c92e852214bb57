"""Consent: signed bundles of purposes, relations, attestations, hash-chained revisions and their projection."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0004"
down_revision = "0003"

RELATIONS = {"identity": "delegate", "permits": "officer"}
"""Room → the kind of relation that its changes make true: cases are permits', delegates are identity's."""
READERS = ("identity", "permits", "payments", "healthcode", "privacy")
TABLES = (
    """
    CREATE TABLE consent.bundle (
      version integer NOT NULL CHECK (version > 0),
      body bytea NOT NULL,
      key_id text NOT NULL,
      signature bytea NOT NULL,
      proposed_by text NOT NULL,
      approved_by text NOT NULL,
      note text NOT NULL,
      made_at timestamptz NOT NULL,
      CONSTRAINT pk_bundle PRIMARY KEY (version),
      CONSTRAINT ck_bundle_two_officers CHECK (proposed_by <> approved_by OR proposed_by = 'seed')
    )
    """,
    """
    CREATE TABLE consent.relation (
      citizen_id uuid NOT NULL,
      relation_id uuid NOT NULL,
      actor_id uuid NOT NULL,
      relation text NOT NULL,
      case_id uuid,
      since timestamptz NOT NULL,
      until timestamptz,
      CONSTRAINT pk_relation PRIMARY KEY (citizen_id, relation_id),
      CONSTRAINT ck_relation_known CHECK (relation IN ('delegate', 'officer', 'break-glass')),
      CONSTRAINT ck_relation_officer_has_case CHECK (relation <> 'officer' OR case_id IS NOT NULL),
      CONSTRAINT ck_relation_ends_after_start CHECK (until IS NULL OR until >= since)
    )
    """,
    """
    CREATE TABLE consent.revision (
      citizen_id uuid NOT NULL,
      purpose text NOT NULL,
      recipient text NOT NULL,
      number integer NOT NULL CHECK (number > 0),
      revision_id uuid NOT NULL,
      consent_id uuid NOT NULL,
      state text NOT NULL,
      scope text[] NOT NULL,
      forms text[] NOT NULL,
      notice_hash bytea NOT NULL,
      bundle_version integer NOT NULL,
      made_by text NOT NULL,
      made_at timestamptz NOT NULL,
      expires_at timestamptz,
      previous bytea NOT NULL CHECK (length(previous) = 32),
      hash bytea NOT NULL CHECK (length(hash) = 32),
      CONSTRAINT pk_revision PRIMARY KEY (citizen_id, purpose, recipient, number),
      CONSTRAINT ck_revision_forms CHECK (cardinality(forms) = cardinality(scope))
    )
    """,
    """
    CREATE TABLE consent.standing (
      citizen_id uuid NOT NULL,
      purpose text NOT NULL,
      recipient text NOT NULL,
      number integer NOT NULL,
      revision_id uuid NOT NULL,
      consent_id uuid NOT NULL,
      state text NOT NULL,
      scope text[] NOT NULL,
      forms text[] NOT NULL,
      notice_hash bytea NOT NULL,
      expires_at timestamptz,
      head bytea NOT NULL,
      CONSTRAINT pk_standing PRIMARY KEY (citizen_id, purpose, recipient)
    )
    """,
    # What an authority confirmed, as a tag under the citizen's audit key: identity states it, rooms compare with it.
    """
    CREATE TABLE consent.attestation (
      citizen_id uuid NOT NULL,
      claim text NOT NULL CHECK (claim IN ('name')),
      digest bytea NOT NULL CHECK (length(digest) = 16),
      attested_at timestamptz NOT NULL,
      CONSTRAINT pk_attestation PRIMARY KEY (citizen_id, claim)
    )
    """,
    "CREATE INDEX ix_relation_actor_id ON consent.relation (citizen_id, actor_id)",
    "CREATE INDEX ix_standing_consent_id ON consent.standing (consent_id)",
)

FUNCTIONS = (
    # A bundle follows the one before it; only the first, the reviewed seed, has one name for both who made it.
    """
    CREATE FUNCTION consent.check_bundle() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF NEW.proposed_by = 'seed' AND EXISTS (SELECT FROM consent.bundle) THEN
        RAISE EXCEPTION 'the seed comes first or not at all' USING ERRCODE = 'insufficient_privilege';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION consent.check_end() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF OLD.until IS NOT NULL THEN
        RAISE EXCEPTION 'a relation ends once' USING ERRCODE = 'insufficient_privilege';
      END IF;
      RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER bundle_is_of_two BEFORE INSERT ON consent.bundle "
    "FOR EACH ROW EXECUTE FUNCTION consent.check_bundle()",
    "CREATE TRIGGER relation_ends_once BEFORE UPDATE ON consent.relation "
    "FOR EACH ROW EXECUTE FUNCTION consent.check_end()",
)


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS):
        op.execute(statement)
    op.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA consent FROM PUBLIC")
    append_only("consent.bundle")
    append_only("consent.revision")
    for room in READERS:
        # Revisions too: a standing consent is believed as far as its revision says the same.
        op.execute(
            f"GRANT SELECT ON consent.bundle, consent.relation, consent.standing, consent.revision TO {role(room)}"
        )
        op.execute(f"GRANT SELECT ON consent.attestation TO {role(room)}")
    op.execute(f"GRANT INSERT, UPDATE (digest, attested_at), DELETE ON consent.attestation TO {role('identity')}")
    # Only the room whose change makes a relation true may state it, or end it.
    op.execute("ALTER TABLE consent.relation ENABLE ROW LEVEL SECURITY")
    for room in READERS:
        op.execute(f"CREATE POLICY read_by_{room} ON consent.relation FOR SELECT TO {role(room)} USING (true)")
    for room, kind in RELATIONS.items():
        op.execute(f"GRANT INSERT, UPDATE (until) ON consent.relation TO {role(room)}")
        op.execute(
            f"CREATE POLICY stated_by_{room} ON consent.relation FOR INSERT TO {role(room)} "
            f"WITH CHECK (relation = '{kind}')"
        )
        op.execute(
            f"CREATE POLICY ended_by_{room} ON consent.relation FOR UPDATE TO {role(room)} "
            f"USING (relation = '{kind}') WITH CHECK (relation = '{kind}')"
        )
    op.execute(f"GRANT INSERT ON consent.revision TO {role('privacy')}")
    op.execute(f"GRANT INSERT, UPDATE ON consent.standing TO {role('privacy')}")
    op.execute(f"GRANT INSERT ON consent.bundle TO {role('privacy')}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
