"""Which witnesses must have cosigned before a checkpoint is published (C2SP tlog-policy). It asks nobody.

```
witness <name> <key> [<url>]
group <name> all|any|<k> <member>...
quorum <name>|none
```
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gov_services.audit.note import COSIGNATURE_ED25519, COSIGNATURE_MLDSA44, NoteKey, NoteRefused

NONE = "none"


class PolicyRefused(Exception):
    """The file is no policy; the message names the line."""


@dataclass(frozen=True, slots=True)
class KnownWitness:
    """One that the policy names."""

    name: str
    key: NoteKey
    url: str
    """Where it takes checkpoints; empty for one that we do not ask."""


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """The witnesses, and how many of whom are enough."""

    witnesses: Mapping[str, KnownWitness]
    groups: Mapping[str, tuple[int, tuple[str, ...]]]
    """By name: how many of which members."""
    quorum: str

    def is_met(self, cosigned: Collection[str]) -> bool:
        """Whether the witnesses of these names are enough."""
        return self.quorum == NONE or self._has(self.quorum, cosigned)

    def _has(self, name: str, cosigned: Collection[str]) -> bool:
        if name in self.witnesses:
            return name in cosigned
        wanted, members = self.groups[name]
        return sum(self._has(member, cosigned) for member in members) >= wanted

    @classmethod
    def parse(cls, text: str) -> WitnessPolicy:
        """The policy that a file holds. Raises PolicyRefused."""
        policy = _Reading()
        for number, line in enumerate(text.split("\n"), start=1):
            words = line.replace("\t", " ").split(" ")
            words = [word for word in words if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                policy.take(words)
            except (ValueError, NoteRefused) as refused:
                raise PolicyRefused(f"line {number}: {refused}") from refused
        if policy.quorum is None:
            raise PolicyRefused("there is no line `quorum`")
        return cls(policy.witnesses, policy.groups, policy.quorum)


NOBODY_ASKED = WitnessPolicy({}, {}, NONE)


class _Reading:
    """A policy as far as it has been read."""

    def __init__(self) -> None:
        self.witnesses: dict[str, KnownWitness] = {}
        self.groups: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.quorum: str | None = None

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", key] | ["log", key, _]:
                NoteKey.parse(key)
            case ["witness", name, key] | ["witness", name, key, _]:
                self._new(name)
                self.witnesses[name] = self._witness(name, NoteKey.parse(key), words[3] if len(words) == 4 else "")
            case ["group", name, wanted, *members] if members:
                self._new(name)
                for member in members:
                    self._known(member)
                count = {"all": len(members), "any": 1}.get(wanted) or _number(wanted)
                if not 1 <= count <= len(members):
                    raise ValueError(f"of {len(members)} members {count} are wanted")
                self.groups[name] = (count, tuple(members))
            case ["quorum", name] if self.quorum is None:
                if name != NONE:
                    self._known(name)
                self.quorum = name
            case _:
                raise ValueError(f"it is not understood: {' '.join(words)}")

    def _witness(self, name: str, key: NoteKey, url: str) -> KnownWitness:
        if key.kind not in (COSIGNATURE_ED25519, COSIGNATURE_MLDSA44):
            raise ValueError(f"the key of {name} is of a kind that cosigns nothing")
        if any(one.key.public == key.public for one in self.witnesses.values()):
            raise ValueError(f"the key of {name} is another witness's too")
        return KnownWitness(name, key, url)

    def _new(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise ValueError(f"there is a {name} already")

    def _known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise ValueError(f"there is no {name} above")


def _number(word: str) -> int:
    if not (word.isascii() and word.isdigit()) or word.startswith("0"):
        raise ValueError(f"{word} is no number of members")
    return int(word)
