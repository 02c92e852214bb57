"""What payments reaches outside our process. Wired by app.py."""

from __future__ import annotations

from dataclasses import dataclass

from gov_services.payments.channel import PaymentChannel


@dataclass(frozen=True, slots=True)
class PaymentsPorts:
    """The room's ports."""

    channel: PaymentChannel
