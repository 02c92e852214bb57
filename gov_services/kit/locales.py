"""Which of our languages a client is answered in, by Accept-Language (RFC 9110 §12.5.4). It translates nothing."""

from __future__ import annotations

from functools import lru_cache

from gov_services.kit.errors import LOCALES


@lru_cache(1024)
def negotiate_locale(accept_language: str) -> str:
    """The locale that the client likes best among ours; Chinese where it does not say."""
    ranked = []
    for position, item in enumerate(accept_language.split(",")):
        tag, _, parameters = item.strip().partition(";")
        try:
            quality = float(parameters.strip().removeprefix("q=")) if parameters else 1.0
        except ValueError:
            quality = 0.0
        ranked.append((-quality, position, tag.lower()))
    for quality, _, tag in sorted(ranked):
        if quality == 0:
            continue
        for locale in LOCALES:
            if tag and (tag == locale.lower() or tag.partition("-")[0] == locale.partition("-")[0]):
                return locale
    return LOCALES[0]
