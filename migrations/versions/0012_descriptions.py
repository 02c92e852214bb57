"""Audit: what the log is searched by is worked out after an entry is durable.

The path that a caller waits for is an insert into a table with two indexes. What an entry says stands in
`audit.description`, written moments later; `audit.described` adds the entries that have none yet, so that a search
misses nothing. Text that is no entry, or that speaks for another room than its writer's, is described as malformed and
as its writer's, and named by verification.
"""

from __future__ import annotations

from alembic import op

from gov_services.kit.migration import append_only, role

revision = "0012"
down_revision = "0011"

TABLES = (
    """
    CREATE TABLE audit.description (
      seq bigint NOT NULL,
      id uuid NOT NULL,
      at timestamptz NOT NULL,
      room text NOT NULL,
      kind text NOT NULL,
      action text NOT NULL,
      actor text NOT NULL,
      client text NOT NULL,
      purpose text NOT NULL,
      outcome text NOT NULL CHECK (outcome IN ('allowed', 'refused')),
      code text,
      office text,
      request text NOT NULL,
      subject_tag bytea,
      object text,
      case_id uuid,
      coordinates text[] NOT NULL,
      forms text[] NOT NULL,
      CONSTRAINT pk_description PRIMARY KEY (seq)
    )
    """,
)

MOVED = (
    """
    INSERT INTO audit.description
    SELECT seq, id, at, room, kind, said ->> 'action', actor, client, purpose, outcome, code, said ->> 'office',
           said ->> 'request', subject_tag, object, case_id, coordinates, forms
      FROM audit.entry CROSS JOIN LATERAL (SELECT convert_from(body, 'UTF8')::jsonb AS said OFFSET 0) AS parsed
    """,
    "DROP FUNCTION audit.append(bytea[], bytea[])",
    "DROP FUNCTION audit.asked(text, text, text, timestamptz)",
    "DROP FUNCTION audit.move_pending(integer)",
    "DROP TRIGGER pending_is_an_entry ON audit.pending",
    "DROP FUNCTION audit.check_pending()",
    "DROP FUNCTION audit.number(audit.entry[])",
    "DROP FUNCTION audit.is_whole(audit.entry)",
    "DROP FUNCTION audit.describe(bytea[], bytea[])",
    """
    ALTER TABLE audit.entry
      DROP COLUMN at, DROP COLUMN room, DROP COLUMN kind, DROP COLUMN actor, DROP COLUMN client, DROP COLUMN purpose,
      DROP COLUMN outcome, DROP COLUMN code, DROP COLUMN subject_tag, DROP COLUMN object, DROP COLUMN case_id,
      DROP COLUMN coordinates, DROP COLUMN forms, DROP COLUMN numbered_at,
      ADD COLUMN writer uuid, ADD COLUMN voucher bytea
    """,
)

INDEXES = (
    "CREATE INDEX ix_description_subject_tag ON audit.description (subject_tag, seq) WHERE subject_tag IS NOT NULL",
    "CREATE INDEX ix_description_actor ON audit.description (actor, seq)",
    "CREATE INDEX ix_description_client ON audit.description (client, seq)",
    "CREATE INDEX ix_description_purpose ON audit.description (purpose, seq)",
    "CREATE INDEX ix_description_asked ON audit.description (purpose, at) WHERE kind IN ('read', 'refusal')",
    "CREATE INDEX ix_description_coordinates ON audit.description USING gin (coordinates)",
    "CREATE INDEX ix_description_at ON audit.description USING brin (at)",
    "CREATE INDEX ix_description_refused ON audit.description (seq) WHERE outcome = 'refused'",
)

FUNCTIONS = (
    # What entries say, by their numbers. Raises a data exception for what has no text of an entry at all; what is not
    # whole comes out as it is. OFFSET 0 has each text read once. Called only by functions that pin search_path.
    """
    CREATE FUNCTION audit.describe(numbers bigint[], bodies bytea[]) RETURNS SETOF audit.description
    LANGUAGE sql STABLE AS $$
      SELECT number,
             CASE WHEN said ->> 'v' = 'gov-audit/1' THEN (said ->> 'id')::uuid END,
             (said ->> 'at')::timestamptz,
             said ->> 'room',
             said ->> 'kind',
             said ->> 'action',
             said ->> 'actor',
             said ->> 'client',
             said ->> 'purpose',
             said ->> 'outcome',
             said ->> 'code',
             said ->> 'office',
             said ->> 'request',
             decode(said ->> 'subject_tag', 'hex'),
             said ->> 'object',
             (said ->> 'case')::uuid,
             ARRAY(SELECT pair ->> 0 FROM jsonb_array_elements(said -> 'coordinates') AS pair),
             ARRAY(SELECT pair ->> 1 FROM jsonb_array_elements(said -> 'coordinates') AS pair)
        FROM unnest(numbers, bodies) AS given(number, body)
       CROSS JOIN LATERAL (SELECT convert_from(body, 'UTF8')::jsonb AS said OFFSET 0) AS parsed
    $$
    """,
    # What every entry has, no longer than Entry allows it and than an index takes.
    """
    CREATE FUNCTION audit.is_whole(given audit.description) RETURNS boolean
    LANGUAGE sql IMMUTABLE AS $$
      SELECT (given.id, given.at, given.room, given.kind, given.action, given.actor, given.client, given.purpose,
              given.outcome, given.request) IS NOT NULL
         AND given.outcome IN ('allowed', 'refused') AND isfinite(given.at)
         AND greatest(octet_length(given.room), octet_length(given.kind), octet_length(given.actor),
                      octet_length(given.client), octet_length(given.purpose), octet_length(given.code),
                      octet_length(given.object), octet_length(given.subject_tag)) <= 500
         AND NOT EXISTS (SELECT FROM unnest(given.coordinates || given.forms) AS part
                          WHERE part IS NULL OR octet_length(part) > 500)
    $$
    """,
    # The descriptions of up to `batch` entries from `begin` on, one each whatever they say. All at once, and one by one
    # only where a text is none.
    """
    CREATE FUNCTION audit.describe_from(begin bigint, batch integer) RETURNS SETOF audit.description
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      one audit.entry;
      found audit.description;
      together audit.description[];
      rooms jsonb;
    BEGIN
      SELECT jsonb_object_agg(id, room) INTO rooms FROM audit.writer WHERE id IN (
        SELECT writer FROM audit.entry WHERE seq >= begin AND seq < begin + batch);
      BEGIN
        SELECT array_agg(CASE WHEN audit.is_whole(said) AND said.id = given.id
                               AND said.room = coalesce(rooms ->> given.writer::text, said.room)
                              THEN said ELSE audit.malformed(given, rooms ->> given.writer::text) END)
          INTO together
          FROM (SELECT array_agg(seq) AS numbers, array_agg(body) AS bodies FROM audit.entry
                 WHERE seq >= begin AND seq < begin + batch) AS these
         CROSS JOIN LATERAL audit.describe(these.numbers, these.bodies) AS said
          JOIN audit.entry AS given ON given.seq = said.seq
         WHERE these.numbers IS NOT NULL;
        RETURN QUERY SELECT * FROM unnest(together);
        RETURN;
      EXCEPTION WHEN data_exception OR program_limit_exceeded THEN NULL;
      END;
      FOR one IN SELECT * FROM audit.entry WHERE seq >= begin AND seq < begin + batch LOOP
        BEGIN
          SELECT * INTO found FROM audit.describe(ARRAY[one.seq], ARRAY[one.body]);
          IF NOT audit.is_whole(found) OR found.id <> one.id
             OR found.room <> coalesce(rooms ->> one.writer::text, found.room) THEN
            found := audit.malformed(one, rooms ->> one.writer::text);
          END IF;
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
          found := audit.malformed(one, rooms ->> one.writer::text);
        END;
        RETURN NEXT found;
      END LOOP;
    END $$
    """,
    # An entry that says nothing which can be read, or speaks for another: what is known of it.
    """
    CREATE FUNCTION audit.malformed(given audit.entry, room text) RETURNS audit.description
    LANGUAGE sql STABLE AS $$
      SELECT given.seq, given.id, to_timestamp(0), coalesce(room, ''), 'malformed', '', '', '', '', 'refused',
             'MALFORMED', NULL, '', NULL::bytea, NULL, NULL::uuid, '{}'::text[], '{}'::text[]
    $$
    """,
    # The entries that have no description yet: moments' worth.
    """
    CREATE FUNCTION audit.tail() RETURNS SETOF audit.description
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      SELECT * FROM audit.describe_from(coalesce((SELECT max(seq) + 1 FROM audit.description), 0), 2147483647)
    $$
    """,
    "CREATE VIEW audit.described AS SELECT * FROM audit.description UNION ALL SELECT * FROM audit.tail()",
    # Writes the next descriptions; how many. One works at a time.
    """
    CREATE FUNCTION audit.describe_next(batch integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      added bigint;
    BEGIN
      IF NOT pg_try_advisory_xact_lock(7453305845786306306) THEN
        RETURN 0;
      END IF;
      INSERT INTO audit.description
      SELECT * FROM audit.describe_from(coalesce((SELECT max(seq) + 1 FROM audit.description), 0), batch);
      GET DIAGNOSTICS added = ROW_COUNT;
      RETURN added;
    END $$
    """,
    # When an actor, or an office, asked about people under a purpose since a moment: for counters that were lost. One
    # moment for each that was looked up, and for each about whom a request decided without looking up.
    """
    CREATE FUNCTION audit.asked(by_actor text, by_office text, under text, since timestamptz) RETURNS timestamptz[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      WITH asked AS (
        SELECT one.at, one.id, one.subject_tag,
               action = 'look-up' AS looked_up,
               bool_or(action = 'look-up') OVER (PARTITION BY request) AS sought
          FROM audit.described AS one
         WHERE one.purpose = under AND one.at > since AND one.kind IN ('read', 'refusal')
           AND (by_actor IS NULL OR one.actor = by_actor) AND (by_office IS NULL OR one.office = by_office)
           AND action IN ('look-up', 'disclosure')
      ), people AS (
        SELECT max(at) AS at FROM asked
         WHERE looked_up OR NOT sought
         GROUP BY CASE WHEN looked_up OR subject_tag IS NULL THEN id::text ELSE encode(subject_tag, 'hex') END
      )
      SELECT coalesce(array_agg(at ORDER BY at), '{}') FROM people
    $$
    """,
)

WRITERS = ("identity", "permits", "payments", "healthcode", "privacy", "worker")


def upgrade() -> None:
    for statement in (*TABLES, *MOVED, *INDEXES, *FUNCTIONS):
        op.execute(statement)
    append_only("audit.description")
    op.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC")
    for room in WRITERS:
        op.execute(f"GRANT EXECUTE ON FUNCTION audit.asked(text, text, text, timestamptz) TO {role(room)}")
    op.execute(f"GRANT SELECT ON audit.described, audit.description TO {role('privacy')}")
    op.execute(f"GRANT EXECUTE ON FUNCTION audit.tail() TO {role('privacy')}")
    op.execute(f"GRANT EXECUTE ON FUNCTION audit.describe_next(integer) TO {role('audit')}")


def downgrade() -> None:
    raise NotImplementedError("forward only: restore a backup instead")
