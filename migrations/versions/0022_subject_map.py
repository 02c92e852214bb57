"""Audit: the map of subjects, from each tag to the entries about it (decision 0023).

The log's process keeps it and sees no entry for that: a number, a commitment and a tag of each. What is kept back, the
database decides by the purposes in force, and the root's entry says so. One transaction advances the map, what is kept
back, and leaves the entry that states the root: none is there without the others.
"""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import role

revision = "0022"
down_revision = "0021"

TABLES = (
    # The log up to `upto` is in the map; `root` is what the entry of that id states. No entry: nothing was mapped yet.
    """
    CREATE TABLE audit.subject_map (
      singleton smallint NOT NULL CHECK (singleton = 1),
      upto bigint NOT NULL CHECK (upto >= 0),
      root bytea NOT NULL CHECK (length(root) = 32),
      entry uuid,
      CONSTRAINT pk_subject_map PRIMARY KEY (singleton)
    )
    """,
    """
    CREATE TABLE audit.subject_page (
      prefix bytea NOT NULL CHECK (length(prefix) <= 63),
      slots bytea NOT NULL CHECK (length(slots) >= 4),
      CONSTRAINT pk_subject_page PRIMARY KEY (prefix)
    )
    """,
    # Mostly hashes: trying to compress them takes time and saves nothing.
    "ALTER TABLE audit.subject_page ALTER COLUMN slots SET STORAGE EXTERNAL",
    # Entries whose purpose was told late, or only how often, when their turn came. `listed_before`: the number before
    # which one was listed at last; null while it is kept back.
    """
    CREATE TABLE audit.withheld (
      seq bigint NOT NULL CHECK (seq >= 0),
      purpose text NOT NULL,
      at timestamptz NOT NULL,
      listed_before bigint CHECK (listed_before > seq),
      CONSTRAINT pk_withheld PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX ix_withheld_kept ON audit.withheld (purpose, at) WHERE listed_before IS NULL",
)

FUNCTIONS = (
    # Purposes in force that are not told at once: after how many days, or (null) only how often.
    """
    CREATE FUNCTION audit.withheld_purposes() RETURNS TABLE (purpose text, days integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      SELECT code, CASE WHEN said ->> 'told' = 'embargo' THEN (said ->> 'embargo_days')::integer END
        FROM (SELECT convert_from(body, 'UTF8')::jsonb -> 'purposes' AS every
                FROM consent.bundle ORDER BY version DESC LIMIT 1) AS newest
       CROSS JOIN LATERAL jsonb_each(every) AS each(code, said)
       WHERE said ->> 'told' <> 'at-once'
    $$
    """,
    # The purposes of what is kept back, each once, however much there is of it.
    """
    CREATE FUNCTION audit.kept_purposes() RETURNS SETOF text
    LANGUAGE sql STABLE AS $$
      WITH RECURSIVE each(purpose) AS (
        SELECT min(purpose) FROM audit.withheld WHERE listed_before IS NULL
        UNION ALL
        SELECT (SELECT min(one.purpose) FROM audit.withheld AS one
                 WHERE one.listed_before IS NULL AND one.purpose > each.purpose)
          FROM each WHERE each.purpose IS NOT NULL
      )
      SELECT purpose FROM each WHERE purpose IS NOT NULL
    $$
    """,
    # Until which moment what was logged under a purpose is told; null for never.
    """
    CREATE FUNCTION audit.told_until(code text, codes text[], days integer[], moment timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE AS $$
      SELECT CASE WHEN array_position(codes, code) IS NULL THEN 'infinity'::timestamptz
                  ELSE moment - make_interval(hours => 24 * days[array_position(codes, code)]) END
    $$
    """,
    # How far the map may go on now: what is described and signed, `batch` entries at most; and whether there is
    # anything in it about anybody, or anything to be told now that was kept back.
    """
    CREATE FUNCTION audit.map_reach(batch integer, codes text[], days integer[], moment timestamptz,
                                    OUT first bigint, OUT upto bigint, OUT due boolean)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      SELECT map.upto, reach.upto, reach.upto > map.upto AND (
               reach.upto - map.upto >= batch
               OR EXISTS (SELECT FROM audit.description AS one
                           WHERE one.seq >= map.upto AND one.seq < reach.upto AND one.subject_tag IS NOT NULL)
               OR EXISTS (SELECT FROM audit.kept_purposes() AS kept(purpose), audit.withheld AS one
                           WHERE one.purpose = kept.purpose AND one.listed_before IS NULL
                             AND one.at <= audit.told_until(kept.purpose, codes, days, moment)))
        FROM audit.subject_map AS map
       CROSS JOIN LATERAL (
         SELECT least(map.upto + batch,
                      coalesce((SELECT max(seq) + 1 FROM audit.description), 0),
                      coalesce((SELECT max(size) FROM audit.checkpoint), 0)) AS upto) AS reach
    $$
    """,
    # What is listed when the map goes on from `first` to `upto`, in that order: what was kept back and may be told now,
    # and of the entries between them those which may. The others are kept back. `audit.listing` states the same rule.
    """
    CREATE FUNCTION audit.map_take(first bigint, upto bigint, codes text[], days integer[], moment timestamptz)
    RETURNS TABLE (number bigint, commitment bytea, tag bytea)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      RETURN QUERY
        WITH released AS (
          UPDATE audit.withheld AS one SET listed_before = first
            FROM audit.kept_purposes() AS kept(purpose)
           WHERE one.purpose = kept.purpose AND one.listed_before IS NULL
             AND one.at <= audit.told_until(kept.purpose, codes, days, moment)
          RETURNING one.seq
        ), fresh AS (
          SELECT one.seq, one.purpose, one.at,
                 coalesce(one.at <= audit.told_until(one.purpose, codes, days, moment), false) AS told
            FROM audit.description AS one
           WHERE one.seq >= first AND one.seq < upto AND one.subject_tag IS NOT NULL
        ), kept_back AS (
          INSERT INTO audit.withheld (seq, purpose, at) SELECT seq, purpose, at FROM fresh WHERE NOT told
        )
        SELECT entry.seq, entry.commitment, said.subject_tag
          FROM (SELECT seq FROM released UNION ALL SELECT seq FROM fresh WHERE told) AS listed
          JOIN audit.entry AS entry ON entry.seq = listed.seq
          JOIN audit.description AS said ON said.seq = listed.seq
         ORDER BY entry.seq;
    END $$
    """,
    """
    CREATE FUNCTION audit.check_subject_map() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      RAISE EXCEPTION 'the map of subjects only goes on' USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
)

TRIGGERS = (
    "CREATE TRIGGER map_only_goes_on BEFORE UPDATE ON audit.subject_map FOR EACH ROW "
    "WHEN (NEW.upto <= OLD.upto OR NEW.entry IS NULL) EXECUTE FUNCTION audit.check_subject_map()",
    "CREATE TRIGGER map_stays BEFORE DELETE OR TRUNCATE ON audit.subject_map "
    "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()",
    "CREATE TRIGGER pages_stay BEFORE DELETE OR TRUNCATE ON audit.subject_page "
    "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()",
    "CREATE TRIGGER withheld_stays BEFORE DELETE OR TRUNCATE ON audit.withheld "
    "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()",
)


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS, *TRIGGERS):
        op.execute(statement)
    # An empty map has the root of the empty tree.
    op.execute("INSERT INTO audit.subject_map (singleton, upto, root) VALUES (1, 0, sha256(''))")
    op.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC")
    keeper, reader = role("audit"), role("privacy")
    called = (
        "audit.withheld_purposes()",
        "audit.map_reach(integer, text[], integer[], timestamptz)",
        "audit.map_take(bigint, bigint, text[], integer[], timestamptz)",
        # It writes one kind of entry, its own: what a root is.
        "audit.open_writer(uuid, text, text, bytea)",
        "audit.append(uuid, bigint, uuid[], bytea[], bytea[], bytea, bytea, boolean)",
        "audit.append_again(uuid, bigint, uuid[], bytea[], bytea[], bytea, bytea)",
    )
    op.execute(f"GRANT EXECUTE ON FUNCTION {', '.join(called)} TO {keeper}")
    op.execute(f"GRANT INSERT (id, salt, body, writer, voucher) ON audit.pending TO {keeper}")
    op.execute(f"GRANT SELECT, UPDATE (upto, root, entry) ON audit.subject_map TO {keeper}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (slots) ON audit.subject_page TO {keeper}")
    op.execute(f"GRANT SELECT ON audit.subject_map, audit.subject_page, audit.withheld TO {reader}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
