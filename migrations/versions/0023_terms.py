"""What is kept ends: with its term after an erasure, by a party's word after a consent, by a strike after a review."""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0023"
down_revision = "0022"

TABLES = (
    """
    CREATE TABLE privacy.kept_class (
      citizen_id uuid NOT NULL,
      data_class text NOT NULL CHECK (data_class IN ('permits', 'payments', 'audit')),
      until timestamptz NOT NULL,
      ended_at timestamptz,
      CONSTRAINT pk_kept_class PRIMARY KEY (citizen_id, data_class),
      CONSTRAINT ck_kept_class_term CHECK (ended_at >= until)
    )
    """,
    "CREATE INDEX ix_kept_class_until ON privacy.kept_class (until) WHERE ended_at IS NULL",
    """
    INSERT INTO privacy.kept_class (citizen_id, data_class, until)
    SELECT made.citizen_id, kept.data_class, kept.until
      FROM privacy.erasure AS made, unnest(made.kept, made.kept_until) AS kept (data_class, until)
    """,
    """
    CREATE TABLE privacy.party_reading (
      citizen_id uuid NOT NULL,
      purpose text NOT NULL,
      recipient text NOT NULL,
      last_at timestamptz NOT NULL,
      CONSTRAINT pk_party_reading PRIMARY KEY (citizen_id, purpose, recipient)
    )
    """,
    """
    CREATE TABLE privacy.deletion (
      citizen_id uuid NOT NULL,
      consent_id uuid NOT NULL,
      given integer NOT NULL CHECK (given > 0),
      recipient text NOT NULL CHECK (recipient <> ''),
      method text NOT NULL CHECK (method IN ('erased', 'key-destroyed', 'anonymized', 'nothing-kept')),
      deleted_on date NOT NULL,
      attested_at timestamptz NOT NULL,
      CONSTRAINT pk_deletion PRIMARY KEY (citizen_id, consent_id, given)
    )
    """,
    """
    CREATE TABLE healthcode.review (
      citizen_id uuid NOT NULL,
      request_id uuid NOT NULL,
      officer_id uuid NOT NULL,
      taken_at timestamptz NOT NULL,
      CONSTRAINT pk_review PRIMARY KEY (citizen_id, request_id)
    )
    """,
    """
    CREATE TABLE healthcode.strike (
      citizen_id uuid NOT NULL,
      strike_id uuid NOT NULL,
      request_id uuid NOT NULL,
      declaration_id uuid NOT NULL,
      ground text NOT NULL CHECK (ground IN ('wrong-person', 'wrong-result', 'outdated')),
      parts bytea NOT NULL,
      proposed_by uuid NOT NULL,
      proposed_at timestamptz NOT NULL,
      CONSTRAINT pk_strike PRIMARY KEY (citizen_id, strike_id),
      CONSTRAINT uq_strike_citizen_id_strike_id_proposed_by UNIQUE (citizen_id, strike_id, proposed_by)
    )
    """,
    """
    CREATE TABLE healthcode.strike_decision (
      citizen_id uuid NOT NULL,
      strike_id uuid NOT NULL,
      proposed_by uuid NOT NULL,
      approved boolean NOT NULL,
      decided_by uuid NOT NULL,
      decided_at timestamptz NOT NULL,
      CONSTRAINT pk_strike_decision PRIMARY KEY (citizen_id, strike_id),
      CONSTRAINT ck_strike_decision_by_another CHECK (decided_by <> proposed_by),
      CONSTRAINT fk_strike_decision_citizen_id_strike_id_proposed_by FOREIGN KEY (citizen_id, strike_id, proposed_by)
        REFERENCES healthcode.strike (citizen_id, strike_id, proposed_by)
    )
    """,
    "CREATE INDEX ix_review_request_id ON healthcode.review (request_id)",
    "CREATE INDEX ix_strike_strike_id ON healthcode.strike (strike_id)",
    "CREATE INDEX ix_strike_proposed_at ON healthcode.strike (proposed_at)",
    "CREATE INDEX ix_session_expires_at ON identity.session (expires_at)",
    "CREATE INDEX ix_message_sent_at ON identity.message (sent_at)",
)
FUNCTION = """
    CREATE FUNCTION privacy.keep_terms() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF OLD.ended_at IS NOT NULL OR NEW.until < OLD.until
         OR (NEW.citizen_id, NEW.data_class) <> (OLD.citizen_id, OLD.data_class) THEN
        RAISE EXCEPTION 'a term moves on and ends once' USING ERRCODE = 'check_violation';
      END IF;
      RETURN NEW;
    END $$
    """
# What stayed at an erasure, until its term has ended. Wrapped keys of these are seen with it, by a room that holds no
# key-encryption key of theirs.
KEPT = """
    EXISTS (SELECT FROM privacy.kept_class AS kept WHERE kept.citizen_id = data_key.citizen_id
              AND kept.data_class = data_key.data_class AND kept.ended_at IS NULL)
"""
# The database holds the destruction against the facts itself: no term, no later file or voucher and no open case of
# the citizen reaches beyond the moment at which the key says that it was destroyed. The years are privacy.holds'.
OVER = """
    destroyed_at IS NOT NULL AND wrapped IS NULL
    AND EXISTS (SELECT FROM privacy.kept_class AS kept WHERE kept.citizen_id = data_key.citizen_id
                  AND kept.data_class = data_key.data_class AND kept.until <= data_key.destroyed_at)
    AND NOT EXISTS (SELECT FROM privacy.held_class AS held WHERE held.citizen_id = data_key.citizen_id
                      AND held.data_class = data_key.data_class
                      AND held.since + CASE held.data_class WHEN 'permits' THEN interval '10 years'
                            WHEN 'payments' THEN interval '30 years' END > data_key.destroyed_at)
    AND (data_key.data_class = 'audit'
         OR NOT EXISTS (SELECT FROM consent.relation AS tie WHERE tie.citizen_id = data_key.citizen_id
                          AND tie.relation = 'officer' AND tie.until IS NULL))
"""


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    op.execute(FUNCTION)
    op.execute(
        "CREATE TRIGGER kept_class_keeps_terms BEFORE UPDATE ON privacy.kept_class "
        "FOR EACH ROW EXECUTE FUNCTION privacy.keep_terms()"
    )
    op.execute(
        "CREATE TRIGGER kept_class_is_never_removed BEFORE DELETE OR TRUNCATE ON privacy.kept_class "
        "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()"
    )
    append_only("privacy.deletion")
    privacy, identity = role("privacy"), role("identity")
    op.execute(f"GRANT SELECT, INSERT ON privacy.deletion TO {privacy}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (last_at) ON privacy.party_reading TO {privacy}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (until, ended_at) ON privacy.kept_class TO {privacy}")
    op.execute(f"GRANT DELETE ON privacy.subject TO {privacy}")
    op.execute(f"CREATE POLICY seen_while_kept ON keys.data_key FOR SELECT TO {privacy} USING ({KEPT})")
    op.execute(
        f"CREATE POLICY destroyed_when_its_term_is_over ON keys.data_key FOR UPDATE TO {privacy} "
        f"USING ({KEPT} AND destroyed_at IS NULL) WITH CHECK ({OVER})"
    )
    health = role("healthcode")
    for table in ("review", "strike", "strike_decision"):
        append_only(f"healthcode.{table}")
        op.execute(f"GRANT SELECT, INSERT ON healthcode.{table} TO {health}")
    # The second officer of a strike handles that strike, and no request: privacy states those.
    op.execute(f"GRANT INSERT, UPDATE (until) ON consent.relation TO {health}")
    mine = (
        "relation = 'handler' AND EXISTS (SELECT FROM healthcode.strike AS strike WHERE strike.citizen_id = "
        "relation.citizen_id AND strike.strike_id = relation.case_id AND strike.proposed_by <> relation.actor_id)"
    )
    op.execute(
        f"CREATE POLICY strike_stated_by_healthcode ON consent.relation FOR INSERT TO {health} WITH CHECK ({mine})"
    )
    op.execute(
        f"CREATE POLICY strike_ended_by_healthcode ON consent.relation FOR UPDATE TO {health} "
        f"USING ({mine}) WITH CHECK ({mine})"
    )
    op.execute(f"GRANT DELETE ON identity.session, identity.message TO {identity}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
