"""Runs each deployable in a process of its own, as a cluster does: own keys, own role, in production, one ingress."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from gov_services.cli.accounts import identity_room, make_sample_accounts
from gov_services.cli.deployables import PUBLIC_PATHS
from gov_services.cli.key_sets import export_keys, place_keys
from gov_services.cli.listening import listen, served
from gov_services.cli.rooms import SUBGRAPHS
from gov_services.cli.running import Running, prepared
from gov_services.devstack.deployable import DeployableProcess
from gov_services.devstack.ingress import Ingress
from gov_services.devstack.processes import keep_secret
from gov_services.kit.settings import Settings
from gov_services.subgraph.manifests import MANIFEST_SIGNATURE


@contextlib.asynccontextmanager
async def system_apart(
    settings: Settings,
    *,
    tell: Callable[[str], None] = lambda _: None,
    started: dict[str, DeployableProcess] | None = None,
) -> AsyncIterator[Running]:
    """A system as a cluster runs it: each deployable in a process of its own with its own keys, behind an ingress.

    Everything in it believes that it is in production. `started` is given each process by name.
    """
    async with contextlib.AsyncExitStack() as stack:
        ready = await stack.enter_async_context(prepared(settings, tell=tell))
        listener, url = listen("127.0.0.1", 0)
        settings = dataclasses.replace(ready.settings, public_url=url)
        async with identity_room(settings) as room:
            accounts = await make_sample_accounts(settings, room)
        processes = started if started is not None else {}
        processes.update(lay_out(settings))
        for process in processes.values():
            stack.callback(process.stop)
            process.spawn()
        for process in processes.values():
            await asyncio.to_thread(process.await_ready)
        tell(f"{len(processes)} processes answer: {', '.join(processes)}")
        ingress = Ingress({path: processes[name].url for path, name in PUBLIC_PATHS.items()})
        stack.push_async_callback(ingress.close)
        await stack.enter_async_context(served(ingress, listener, lifespan="off"))
        yield Running(url, settings, accounts, ready.sandboxes, ready.manifest)


def lay_out(settings: Settings) -> dict[str, DeployableProcess]:
    """A process for each deployable, with a directory of its own, its key set in place, and its settings."""
    apart = settings.runtime_directory / "apart"
    valkey = apart / "valkey-url"
    valkey.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep_secret(valkey, settings.valkey_url)
    parts = urlsplit(settings.database_url)
    everyone = {
        "PATH": os.defpath,
        "GOV_ENV": "production",
        "DATABASE_URL": urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])),
        "VALKEY_URL_FILE": str(valkey),
        "GOV_ROLE_PREFIX": settings.role_prefix,
        "GOV_PUBLIC_URL": settings.public_url,
        "GOV_GRAPH_DIR": str(settings.graph_directory),
        "GOV_LOG_ORIGIN": settings.log_origin,
        "GOV_LOG_PUBLISH_SECONDS": str(settings.log_publish_s),
        "GOV_TRUSTED_PROXIES": "127.0.0.1",
        "GOV_LOG_LEVEL": settings.log_level,
    }
    own: dict[str, dict[str, str]] = {
        "identity": {"GOV_SMS_URL": settings.sms_url, "GOV_POPULATION_REGISTER_URL": settings.population_register_url},
        "payments": {"GOV_PAYMENT_CHANNEL_URL": settings.payment_channel_url},
    }
    commands: dict[str, tuple[str, ...]] = {name: ("subgraph", name) for name in SUBGRAPHS}
    commands.update({name: (name,) for name in ("log", "gateway", "worker")})
    laid_out: dict[str, DeployableProcess] = {}
    for name, arguments in commands.items():
        directory = apart / name
        place_keys(_exported(settings, name, apart / "exported" / name), directory / "secrets")
        shutil.copy(settings.runtime_directory / MANIFEST_SIGNATURE, directory / MANIFEST_SIGNATURE)
        told = {**everyone, **own.get(name, {})}
        if name in ("gateway", "worker"):
            told["GOV_ROOM_URLS"] = ",".join(f"{room}={laid_out[room].url}" for room in SUBGRAPHS)
        told["GOV_RUNTIME_DIR"], told["GOV_SECRETS_DIR"] = str(directory), str(directory / "secrets")
        laid_out[name] = DeployableProcess(arguments, directory=directory, settings=told)
    return laid_out


def _exported(settings: Settings, name: str, target: Path) -> Path:
    export_keys(settings.secrets_directory, name, target)
    return target
