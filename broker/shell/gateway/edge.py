"""Edge: what every handler works with."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from auth.directory import Directory
from auth.invitation import InvitationSigner
from auth.local_accounts import LocalAccounts
from auth.personal import Personal
from auth.second_factor import SecondFactors
from auth.throttle import FailureTable, SignInThrottle
from broker.core.admin_events import SessionEndRequested
from broker.core.clock import Now
from broker.core.commands import ReplyRefused, RequestId
from broker.core.events import EmergencyRequested, EntryRefused, Event
from broker.policy.administration import Role
from broker.shell.bandwidth_meter import BandwidthMeter
from broker.shell.driver import Driver
from broker.shell.effects import Effects
from broker.shell.facts import Facts
from broker.shell.media import RelayMedia
from broker.shell.metrics import Metrics
from broker.shell.policy_file import PolicyFile
from broker.shell.source import SourceLimiter
from config.settings import Settings

REPLY_TIMEOUT_SECONDS = 10.0
REQUESTS_PER_SECOND = 10.0
REQUESTS_BURST = 60.0
GUESSES_PER_SOURCE = 50
GUESS_WINDOW_SECONDS = 300.0


def fresh_id() -> str:
    """128 bits of randomness in URL-safe characters."""
    return secrets.token_urlsafe(16)


@dataclass(slots=True)
class Edge:
    settings: Settings
    driver: Driver
    effects: Effects
    media: RelayMedia
    facts: Facts
    directory: Directory
    throttle: SignInThrottle
    signer: InvitationSigner
    metrics: Metrics
    clock: Callable[[], Now]
    policy_file: PolicyFile | None
    """None where the settings name no file: then the policy cannot be replaced."""
    local_accounts: Mapping[Role, LocalAccounts]
    """Of the roles that the settings give by themselves, not groups of the directory."""
    second_factors: SecondFactors
    bandwidth: BandwidthMeter
    limiter: SourceLimiter = field(
        default_factory=lambda: SourceLimiter(REQUESTS_PER_SECOND, REQUESTS_BURST, max_rows=8192)
    )

    guesses: FailureTable = field(
        default_factory=lambda: FailureTable(GUESSES_PER_SOURCE, GUESS_WINDOW_SECONDS, max_entries=16_384)
    )
    """Invitations that were not valid, by the network they came from."""

    async def ask(self, request_id: RequestId, event: Event) -> ReplyRefused | None:
        """Submit an event that answers a request, and wait for the answer; None means granted.

        Raises TimeoutError when the record takes longer than a request may wait, or too much waits for it
        already; an end or a stop is asked for all the same.
        """
        if self.driver.backlog_full and not isinstance(event, SessionEndRequested | EmergencyRequested):
            raise TimeoutError
        waiting: asyncio.Future[ReplyRefused | None] = asyncio.get_running_loop().create_future()
        self.effects.replies[request_id] = waiting
        try:
            self.driver.submit(event)
            async with asyncio.timeout(REPLY_TIMEOUT_SECONDS):
                return await waiting
        finally:
            del self.effects.replies[request_id]

    def refused(self, kind: str, code: str, prefix: str) -> None:
        """Count a stranger who was turned away."""
        self.metrics.refusals.labels(kind=kind, code=code).inc()
        self.driver.submit(EntryRefused(kind, code, Personal(prefix)))
