"""How trusted documents come in force: their author signs, then an officer who saw what changes. It builds none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gov_services.crypto.keys import KeyRefused
from gov_services.crypto.signing import SigningKey
from gov_services.kit.manifest import Manifest, ManifestRefused, TrustedDocument
from gov_services.kit.manifest_statement import MOST_DAYS, Office, Signature, Statement
from gov_services.kit.settings import Settings
from gov_services.subgraph.manifests import MANIFEST, MANIFEST_SIGNATURE, key_name, load_keys, require_signed

PROPOSED = "trusted-documents.proposed.sig"
"""What the author signed and the officer did not yet. What is in force serves on beside it."""
IN_FORCE = "trusted-documents.in-force.json"
"""The manifest that was signed last, as it was then: what the next one is held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What would be trusted that is not, and the other way round."""

    before: int | None
    """Version in force; None: there is none."""
    after: int
    hash: str
    """Of the manifest that was looked at: an approval names it."""
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def lines(self) -> list[str]:
        """The same for a person, a line a document."""
        begun = "none is in force" if self.before is None else f"version {self.before} is in force"
        told = [f"manifest version {self.after} ({self.hash}); {begun}"]
        told += [f"  new      {one}" for one in self.added]
        told += [f"  gone     {one}" for one in self.removed]
        told += [f"  changed  {one}" for one in self.changed]
        return told if len(told) > 1 else [*told, "  no document changes"]


def propose(settings: Settings, *, days: int, now: dt.datetime) -> Statement:
    """Sign the committed manifest as its author, for `days` from now. Raises ManifestRefused, KeyRefused."""
    if not 1 <= days <= MOST_DAYS:
        raise ManifestRefused(f"a manifest is signed for 1 to {MOST_DAYS} days")
    manifest = _committed(settings)
    until = (now + dt.timedelta(days=days)).replace(microsecond=0)
    unsigned = Statement(version=manifest.version, hash=manifest.hash, until=until, signatures={})
    statement = _signed(settings, unsigned, Office.AUTHOR)
    settings.runtime_directory.mkdir(parents=True, exist_ok=True)
    _put(settings.runtime_directory / PROPOSED, statement.encode().encode())
    return statement


def approve(settings: Settings, seen: Changes, *, now: dt.datetime) -> Statement:
    """Sign what the author proposed as compliance officer, having `seen` what it changes; it is in force from then on.

    Raises ManifestRefused, SignatureRefused, KeyRefused. Each number is one check.

    1 what lies here is what was seen   2 it is what its author proposed   3 the officer's key is not the author's
    """
    content = (settings.graph_directory / MANIFEST).read_bytes()
    # (1)
    if seen.hash != Manifest.parse(content).hash:
        raise ManifestRefused("another manifest was looked at")
    # (2)
    proposed = read_proposed(settings, now=now)
    statement = _signed(settings, proposed, Office.OFFICER)
    # (3)
    require_signed(statement, load_keys(settings))
    _put(settings.runtime_directory / IN_FORCE, content)
    _put(settings.runtime_directory / MANIFEST_SIGNATURE, statement.encode().encode())
    (settings.runtime_directory / PROPOSED).unlink()
    return statement


def read_proposed(settings: Settings, *, now: dt.datetime) -> Statement:
    """What the author signed of the committed manifest. Raises ManifestRefused, SignatureRefused, KeyRefused.

    1 it is about the manifest that lies here   2 its author signed it   3 it has not ended, and does within MOST_DAYS
    """
    manifest = _committed(settings)
    try:
        proposed = Statement.parse((settings.runtime_directory / PROPOSED).read_text())
    except FileNotFoundError:
        raise ManifestRefused("its author has not signed: gov-services documents sign --as author") from None
    # (1)
    proposed.require_about(manifest)
    # (2)
    require_signed(proposed, load_keys(settings, [Office.AUTHOR]))
    # (3)
    if not now < proposed.until <= now + dt.timedelta(days=MOST_DAYS):
        raise ManifestRefused("what its author signed has ended, or ends too late: it is proposed anew")
    return proposed


def changes(settings: Settings, *, against: Path | None = None) -> Changes:
    """The committed manifest held against the one in force: `against`, or the copy that was kept when it was signed.

    Raises ManifestRefused, SignatureRefused where there is a manifest in force and what it is held against is not it.
    """
    manifest = _committed(settings)
    before = _in_force(settings, against)
    old, new = _named(before), _named(manifest)
    return Changes(
        before=before.version if before is not None else None,
        after=manifest.version,
        hash=manifest.hash,
        added=tuple(f"{name}: {_described(new[name])}" for name in sorted(new.keys() - old.keys())),
        removed=tuple(f"{name}: {_described(old[name])}" for name in sorted(old.keys() - new.keys())),
        changed=tuple(
            f"{name}: {'; '.join(found)}"
            for name in sorted(new.keys() & old.keys())
            if (found := _differences(old[name], new[name]))
        ),
    )


def require_one_office(settings: Settings, office: Office) -> None:
    """Refuse to sign where the other office's private key lies too: two people are to sign. Raises KeyRefused."""
    for other in Office:
        if other is not office and list((settings.secrets_directory / "signing" / key_name(other)).glob("*.pem")):
            raise KeyRefused(
                f"the private key {key_name(other)} lies here too: author and officer are two people, each with keys "
                f"of their own (gov-services keys export --for {office.value})"
            )


def sign_both(settings: Settings, *, now: dt.datetime) -> Manifest:
    """Sign as both, for development and tests, where nobody else is. Raises what `propose` and `approve` do."""
    propose(settings, days=MOST_DAYS - 1, now=now)
    manifest = _committed(settings)
    nothing = Changes(before=None, after=manifest.version, hash=manifest.hash, added=(), removed=(), changed=())
    approve(settings, nothing, now=now)
    return manifest


def _committed(settings: Settings) -> Manifest:
    return Manifest.parse((settings.graph_directory / MANIFEST).read_bytes())


def _signed(settings: Settings, statement: Statement, office: Office) -> Statement:
    key = SigningKey.load(settings.secrets_directory, key_name(office))
    signature = Signature(key.key_id, key.sign(statement.signed_text(office)))
    return Statement(
        version=statement.version,
        hash=statement.hash,
        until=statement.until,
        signatures={**statement.signatures, office: signature},
    )


def _in_force(settings: Settings, against: Path | None) -> Manifest | None:
    """The manifest in force, known by its signatures; None where nothing was ever signed here."""
    signatures = settings.runtime_directory / MANIFEST_SIGNATURE
    if not signatures.exists():
        return Manifest.parse(against.read_bytes()) if against is not None else None
    statement = Statement.parse(signatures.read_text())
    require_signed(statement, load_keys(settings))
    path = against or settings.runtime_directory / IN_FORCE
    try:
        manifest = Manifest.parse(path.read_bytes())
        statement.require_about(manifest)
    except (FileNotFoundError, ManifestRefused):
        raise ManifestRefused(
            f"{path} is not the manifest in force, version {statement.version}: name it with --against"
        ) from None
    return manifest


def _named(manifest: Manifest | None) -> Mapping[str, TrustedDocument]:
    if manifest is None:
        return {}
    return {
        f"{client}/{document.name}": document
        for document in manifest.documents.values()
        for client in sorted(document.clients)
    }


def _described(document: TrustedDocument) -> str:
    parts = [f"{document.kind} under {document.purpose}"]
    parts += [f"reads {', '.join(sorted(document.reads))}"] if document.reads else []
    parts += [f"collects {', '.join(sorted(document.collects))}"] if document.collects else []
    parts += ["before signing in"] if document.sign_in == "none" else []
    return "; ".join(parts)


def _differences(old: TrustedDocument, new: TrustedDocument) -> list[str]:
    """What is another between two documents of one name, the purpose first."""
    found = [f"purpose {old.purpose} → {new.purpose}"] if old.purpose != new.purpose else []
    for verb, before, after in (("reads", old.reads, new.reads), ("collects", old.collects, new.collects)):
        found += [f"{verb} {', '.join(sorted(after - before))} too"] if after - before else []
        found += [f"{verb} {', '.join(sorted(before - after))} no more"] if before - after else []
    found += [f"sign-in {old.sign_in} → {new.sign_in}"] if old.sign_in != new.sign_in else []
    found += ["another text"] if old.body != new.body else []
    found += ["another plan"] if old.body == new.body and old.fetches != new.fetches else []
    return found


def _put(path: Path, content: bytes) -> None:
    """Write the file whole or not at all: processes watch it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
