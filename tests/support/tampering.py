"""How the least is changed in each column of schema `audit`, and in which row. It changes nothing."""

from __future__ import annotations

NOT_SIGNED_FOR = {
    "pending": {"placed_at"},
    "head": {"unsigned_since"},
    "subject_map": {"singleton"},
}
"""What says when something was, until it has a number: it decides the order of numbers, and the alarm."""
KEPT_ASIDE = {"rejected"}
"""Whatever stands there is itself a finding."""

FLIPS = {
    "bytea": "set_byte({c}, length({c}) / 2, get_byte({c}, length({c}) / 2) # 1)",
    "bigint": "{c} # 1024",
    "integer": "{c} # 8",
    "smallint": "{c}",
    "uuid": "overlay({c}::text placing to_hex((('x' || right({c}::text, 1))::bit(4) # b'0001')::int) from 36)::uuid",
    "text": "overlay({c} placing chr(ascii({c}) # 1) from 1 for 1)",
    "ARRAY": "array_append({c}[2:], 'x')",
    "timestamp with time zone": "{c} + interval '1 microsecond'",
}
"""One bit, or the least that its type has, of a value."""
SPECIAL = {
    ("description", "outcome"): "CASE outcome WHEN 'allowed' THEN 'refused' ELSE 'allowed' END",
    ("description", "code"): "'FORBIDDEM'",
    ("description", "case_id"): "gen_random_uuid()",
    ("batch", "first"): "first + 1",
    ("withheld", "seq"): "seq - 1",
    ("subject_page", "prefix"): "prefix || '\\x00'",
    ("checkpoint", "note"): "overlay(note placing chr(ascii(substr(note, 20, 1)) # 1) from 20 for 1)",
}
ROWS = {
    "entry": "seq = 7",
    "description": "seq = 7",
    "node": "level = 1 AND index = 2",
    "checkpoint": "size = (SELECT min(size) FROM audit.checkpoint)",
    "batch": "(writer, number) = (SELECT writer, number FROM audit.batch WHERE first > 0 ORDER BY first LIMIT 1)",
    "writer": "room = 'permits' AND id IN (SELECT writer FROM audit.batch)",
    "pending": "true",
    "head": "true",
    "subject_map": "true",
    "subject_page": "prefix = (SELECT max(prefix) FROM audit.subject_page)",
    "withheld": "seq = (SELECT min(seq) FROM audit.withheld)",
}
