"""Passwords and client secrets: Argon2id, off the event loop. It knows no account."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from gov_services.kit.errors import UserError

_hasher = PasswordHash((Argon2Hasher(),))
_NOBODYS = _hasher.hash("a password that nobody has")
"""Verified where there is no account, so that the time taken tells nothing."""


class WrongCredentials(UserError):
    """No such account, or another password; it is not said which."""

    code = "WRONG_CREDENTIALS"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "用户名或密码不正确。",
        "en": "The user name or the password is not right.",
    }


async def hash_password(password: str) -> str:
    """The Argon2id hash to store."""
    return await asyncio.to_thread(_hasher.hash, password)


async def verify_password(password: str, stored: str | None) -> None:
    """Return where it is the password. Raises WrongCredentials; takes as long without an account."""
    right = await asyncio.to_thread(_hasher.verify, password, stored or _NOBODYS)
    if not right or stored is None:
        raise WrongCredentials
