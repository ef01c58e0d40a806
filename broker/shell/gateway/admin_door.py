"""The door of the admin listener: who is signed in there, in which role, and whether they still may."""

from __future__ import annotations

import asyncio
from typing import Annotated

import structlog
from aiohttp import web
from pydantic import Field

from auth.directory import DirectoryUnavailable
from auth.personal import Personal
from auth.principal import Insider, PartyId
from auth.tokens import token_digest
from broker.core.admin_events import (
    AdminSignInProved,
    AdminSignOutRequested,
    AdminViewRequested,
    KeyUse,
)
from broker.core.commands import ReplyRefused, RequestId
from broker.core.errors import DIRECTORY_UNAVAILABLE, EDGE_BUSY, NOT_SIGNED_IN, SIGN_IN_REFUSED
from broker.policy.administration import Role, View
from broker.shell.facts import insider_of
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.http import Body, RefusedError, read_body, refused_answer, source_of
from broker.shell.gateway.notice import acknowledged
from broker.shell.gateway.password import Attempt, vouched_for
from broker.shell.gateway.security_keys import SecurityKeys
from broker.shell.gateway.token import ADMIN_COOKIE, digest_from, fresh_token, hand_over, take_back

log = structlog.get_logger(__name__)

MAX_KEY_CHARACTERS = 6144
"""Of what a browser tells of a security key, as JSON."""
DIRECTORY_SECONDS = 2.0
"""How long somebody who is signed in waits for the directory to say that they still may."""


class AdminSignInBody(Body):
    """`code` is that of the second factor, `key` the JSON of what `navigator.credentials.get` gave, which is
    looked at instead of it; both empty where there is none."""

    login: Annotated[str, Field(min_length=1, max_length=256)]
    password: Annotated[str, Field(max_length=1024, repr=False)]
    code: Annotated[str, Field(max_length=16, repr=False)] = ""
    key: Annotated[str, Field(max_length=MAX_KEY_CHARACTERS, repr=False)] = ""
    role: Annotated[Role, Field(strict=False)]
    notice_acknowledged: bool = False
    bearer: bool = False


class DeniedError(Exception):
    """The core refused; carries its answer."""

    def __init__(self, refused: ReplyRefused) -> None:
        super().__init__(refused.error.code)
        self.refused = refused


class AdminDoor:
    """Signs people in and out, and lets them through to one thing at a time."""

    def __init__(self, edge: Edge, keys: SecurityKeys) -> None:
        self._edge = edge
        self._keys = keys

    async def me(self, request: web.Request) -> web.Response:
        """Who is signed in, as far as this browser's cookie says and the directory still agrees."""
        told: dict[str, object] = {"signed_in": False, "role": None, "login": None}
        told["notice"] = self._edge.settings.sign_in.notice_text
        told["security_keys"] = self._keys.offered
        try:
            insider, role = await self.through(request, None)
        except (RefusedError, DeniedError):
            return web.json_response(told)
        told |= {"signed_in": True, "role": role.value, "login": insider.login.reveal()}
        return web.json_response(told)

    async def challenge(self, _: web.Request) -> web.Response:
        """What a security key is to sign, whosever it is."""
        return web.json_response({"options": self._keys.to_use()})

    async def sign_in(self, request: web.Request) -> web.Response:
        """Opens a sign-in for one role."""
        body = await read_body(request, AdminSignInBody)
        notice = acknowledged(self._edge.settings.sign_in.notice_text, body.notice_acknowledged)
        source = source_of(request)
        # An account of the settings is throttled apart from a login of that name.
        kind = f"{body.role} account " if body.role in self._edge.local_accounts else ""
        attempt = Attempt.begin(self._edge, kind + body.login, source)
        insider, code_step, key_use = await self._proved(body, attempt)
        token = fresh_token()
        event = AdminSignInProved(
            _request_id(),
            insider,
            Personal(source),
            token_digest(token),
            body.role,
            notice,
            code_step,
            key_use,
        )
        try:
            refused = await self._edge.ask(event.request_id, event)
        except TimeoutError:
            attempt.no_guess()
            raise
        if refused is not None and refused.error.code == SIGN_IN_REFUSED.code:
            raise await attempt.wrong("code_used" if key_use is None else "key_counter")
        attempt.no_guess()
        if refused is not None:
            return refused_answer(refused)
        return hand_over(ADMIN_COOKIE, token, body.bearer, self._edge.settings.admin.session_seconds)

    async def _proved(
        self, body: AdminSignInBody, attempt: Attempt
    ) -> tuple[Insider, int | None, KeyUse | None]:
        """The person, and their key's word or the step of their code if they need one. Password and second
        factor are looked at together, so that nobody learns which of them was wrong. Raises RefusedError."""
        insider, login, outcome = await self._of_password(body, attempt)
        factors = self._edge.second_factors
        code_step = factors.step_of(login, body.code, self._edge.clock().wall_seconds)
        key_use = self._keys.used(body.key, insider.party if insider is not None else None)
        if insider is None:
            raise await attempt.wrong(outcome)
        if body.key:
            if key_use is None:
                raise await attempt.wrong("key")
            return insider, None, key_use
        if self._takes_keys_alone(insider, body.role):
            raise await attempt.wrong("key_required")
        if factors.enrolled(login):
            if code_step is None:
                raise await attempt.wrong("code")
        elif body.role not in self._edge.local_accounts:
            log.warning("admin.not_enrolled", role=body.role.value)
            raise await attempt.wrong("not_enrolled")
        return insider, code_step, None

    def _takes_keys_alone(self, insider: Insider, role: Role) -> bool:
        """Whether a code is not enough for this person: they have a key, and the settings say so. Accounts of
        the settings go on as they are, for when nothing else works."""
        asked = self._edge.settings.admin.security_key_required and role not in self._edge.local_accounts
        return asked and bool(self._edge.driver.security_keys_of(insider.party))

    async def _of_password(self, body: AdminSignInBody, attempt: Attempt) -> tuple[Insider | None, str, str]:
        """Whose password it is, by the directory or the settings; the login by which a code would be theirs;
        and what became of the password."""
        accounts = self._edge.local_accounts.get(body.role)
        if accounts is None:
            check = await attempt.ask_directory(body.login, body.password)
            entry, person = check.entry, vouched_for(check)
            login = entry.login.reveal() if entry is not None else body.login
            return insider_of(person) if person is not None else None, login, check.outcome.value
        try:
            insider = await accounts.check(body.login, body.password)
        except DirectoryUnavailable:
            attempt.no_guess()
            raise RefusedError(EDGE_BUSY) from None
        return insider, body.login, body.role.value

    async def sign_out(self, request: web.Request) -> web.Response:
        """The token is worth nothing any more."""
        digest = digest_from(request, ADMIN_COOKIE)
        if digest is not None:
            self._edge.driver.submit(AdminSignOutRequested(digest))
        return take_back(ADMIN_COOKIE)

    async def through(self, request: web.Request, view: View | None) -> tuple[Insider, Role]:
        """The person and their role, once the gate has said that they may see this now. Raises RefusedError,
        DeniedError."""
        digest, insider, role = await self.known(request)
        event = AdminViewRequested(_request_id(), digest, insider, Personal(source_of(request)), view)
        refused = await self._edge.ask(event.request_id, event)
        if refused is not None:
            raise DeniedError(refused)
        return insider, role

    async def known(self, request: web.Request, *, as_last_known: bool = False) -> tuple[str, Insider, Role]:
        """The token's digest and whose sign-in it is, as the directory knows them now, or, where that is
        enough and it does not answer, as it did at sign-in. Raises RefusedError."""
        digest = digest_from(request, ADMIN_COOKIE)
        signed_in = self._edge.driver.admin_of(digest) if digest is not None else None
        if digest is None or signed_in is None:
            raise RefusedError(NOT_SIGNED_IN)
        try:
            insider = await self.person(signed_in.party, signed_in.role)
        except RefusedError:
            if not as_last_known:
                raise
            insider = signed_in.insider
        if insider is None:
            self._edge.driver.submit(AdminSignOutRequested(digest))
            raise RefusedError(NOT_SIGNED_IN)
        return digest, insider, signed_in.role

    async def person(self, party: PartyId, role: Role) -> Insider | None:
        """Who acts in this role, as the directory or the settings know them now. Raises RefusedError where it
        does not answer."""
        accounts = self._edge.local_accounts.get(role)
        if accounts is not None:
            return accounts.get(party)
        try:
            async with asyncio.timeout(DIRECTORY_SECONDS):
                return await self._edge.facts.insider(party)
        except (DirectoryUnavailable, TimeoutError):
            raise RefusedError(DIRECTORY_UNAVAILABLE) from None


def _request_id() -> RequestId:
    return RequestId(f"r-{fresh_id()}")
