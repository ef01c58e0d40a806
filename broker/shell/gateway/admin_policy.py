"""The policy at the admin listener: what is in force, what it answers, and putting another in force."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Annotated, Any

import structlog
from aiohttp import web
from pydantic import Field

from auth.directory import DirectoryUnavailable
from auth.principal import Insider
from broker.audit.places import database_url
from broker.core.answers import error
from broker.core.errors import (
    DIRECTORY_UNAVAILABLE,
    EDGE_BUSY,
    POLICY_INVALID,
    POLICY_NOT_WRITTEN,
    QUESTION_INVALID,
    ErrorRow,
)
from broker.policy.administration import View
from broker.policy.asking import AskingError, moment_of, question_asked
from broker.policy.diff import Difference, TooManyQuestionsError, diff
from broker.policy.explain import explain
from broker.policy.index import PolicyIndex
from broker.shell.gateway.admin_door import AdminDoor
from broker.shell.gateway.edge import Edge
from broker.shell.gateway.http import Body, RefusedError, read_body
from broker.shell.policy_file import PolicyFile
from config.policy.loading import MAX_POLICY_BYTES, LoadedPolicy, PolicyErrors, load_policy
from config.sources import ENVIRONMENT_PREFIX

log = structlog.get_logger(__name__)

MAX_HISTORY = 200
MAX_SHOWN_CHANGES = 500
MAX_SHOWN_FINDINGS = 500
REPLAY_SECONDS = 300.0
_BODY_BYTES = MAX_POLICY_BYTES + (1 << 20)
"""A text in JSON may be longer than the text."""
_Word = Annotated[str, Field(min_length=1, max_length=320)]


class ExplainBody(Body):
    as_: Annotated[_Word, Field(alias="as")]
    to: _Word | None = None
    action: _Word
    at: _Word | None = None
    source: _Word | None = None
    to_source: _Word | None = None


class TextBody(Body):
    text: Annotated[str, Field(max_length=MAX_POLICY_BYTES)]


class ReplayBody(TextBody):
    since_seconds: Annotated[int, Field(ge=1, le=3650 * 86_400)]


class RollBackBody(Body):
    revision: Annotated[int, Field(ge=1, le=2**53)]


class PolicyDesk:
    """Everything an administrator does with the policy."""

    def __init__(self, edge: Edge, door: AdminDoor) -> None:
        self._edge = edge
        self._door = door
        self._replaying = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "explain")

    async def close(self, _: web.Application) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def show(self, request: web.Request) -> web.Response:
        """What is in force since when, and whether the file is something else."""
        await self._door.through(request, View.POLICY)
        loaded = self._edge.driver.policy.loaded
        in_force, alarm = self._edge.driver.policy_state
        told: dict[str, object] = _revision(loaded)
        told |= {
            "applied_at_ms": in_force.at_ms if in_force else None,
            "applied_by": in_force.by.login.reveal() if in_force and in_force.by else None,
            "how": in_force.how if in_force else "start",
            "alarm": {"at_ms": alarm.at_ms, "errors": list(alarm.errors)} if alarm else None,
        }
        return web.json_response(told)

    async def history(self, request: web.Request) -> web.Response:
        """Which revisions came into force, newest first."""
        await self._door.through(request, View.POLICY_HISTORY)
        applied = [
            {
                "revision": record.fields.get("revision"),
                "sha256": record.fields.get("sha256"),
                "at_ms": moment_of(record.ts) * 1000,
                "by": record.personal.get("administrator.login"),
                "how": record.fields.get("how"),
            }
            for record in await self._edge.facts.policy_history(MAX_HISTORY)
        ]
        return web.json_response({"applied": applied})

    async def explain(self, request: web.Request) -> web.Response:
        """The gate's own answer to a question, with every rule that speaks of its action; nothing happens."""
        body = await read_body(request, ExplainBody)
        await self._door.through(request, View.POLICY_EXPLAIN)
        people = await self._people(body.as_, body.to)
        try:
            at = self._edge.clock().wall_seconds if body.at is None else moment_of(body.at)
            question = question_asked(
                people.get, body.as_, body.to, body.action, at, body.source, body.to_source
            )
        except AskingError as unclear:
            return _refused(QUESTION_INVALID, [str(unclear)])
        policy = self._edge.driver.policy
        explaining = self._thread, lambda: explain(policy, question).to_json()
        return web.json_response(await asyncio.get_running_loop().run_in_executor(*explaining))

    async def check(self, request: web.Request) -> web.Response:
        """Every mistake in a text, or what is probably not meant."""
        await self._door.through(request, View.POLICY_CHECK)
        body = await read_body(request, TextBody, _BODY_BYTES)
        try:
            groups = frozenset(group for person in await self._everybody() for group in person.groups)
            found = await self._file.check(body.text.encode(), self._edge.clock().wall_seconds, groups)
        except PolicyErrors as mistakes:
            return web.json_response({"errors": _mistakes(mistakes), "findings": []})
        shown = [finding.to_json() for finding in found[:MAX_SHOWN_FINDINGS]]
        return web.json_response({"errors": [], "findings": shown})

    async def diff(self, request: web.Request) -> web.Response:
        """Who may do what under this text and not under the policy in force, or the other way round."""
        await self._door.through(request, View.POLICY_DIFF)
        body = await read_body(request, TextBody, _BODY_BYTES)
        now, before = self._edge.clock().wall_seconds, self._edge.driver.policy
        people = await self._everybody()

        def compare() -> list[Difference]:
            after = PolicyIndex(load_policy(body.text, "candidate"))
            return list(islice(diff(before, after, people, now), MAX_SHOWN_CHANGES + 1))

        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, compare)
        except PolicyErrors as mistakes:
            return _refused(POLICY_INVALID, _mistakes(mistakes))
        except TooManyQuestionsError as too_many:
            return _refused(QUESTION_INVALID, [str(too_many)])
        shown = [difference.to_json() for difference in found[:MAX_SHOWN_CHANGES]]
        return web.json_response({"differences": shown, "more": len(found) > MAX_SHOWN_CHANGES})

    async def replay(self, request: web.Request) -> web.Response:
        """What was asked since then, asked of a candidate, in a process of its own; one at a time."""
        await self._door.through(request, View.POLICY_REPLAY)
        body = await read_body(request, ReplayBody, _BODY_BYTES)
        try:
            await self._file.check(body.text.encode(), self._edge.clock().wall_seconds)
        except PolicyErrors as mistakes:
            return _refused(POLICY_INVALID, _mistakes(mistakes))
        if self._replaying.locked():
            raise RefusedError(EDGE_BUSY)
        async with self._replaying:
            outcome = await self._replayed(body)
        outcome["changed_omitted"] += len(outcome["changed"][MAX_SHOWN_CHANGES:])
        outcome["changed"] = outcome["changed"][:MAX_SHOWN_CHANGES]
        return web.json_response(outcome)

    async def apply(self, request: web.Request) -> web.Response:
        """Puts a text in force and in the file."""
        insider, _ = await self._door.through(request, View.POLICY_APPLY)
        body = await read_body(request, TextBody, _BODY_BYTES)
        return await self._in_force(self._file.apply(body.text.encode(), insider))

    async def roll_back(self, request: web.Request) -> web.Response:
        """Puts the text of an earlier revision in force and in the file."""
        body = await read_body(request, RollBackBody)
        insider, _ = await self._door.through(request, View.POLICY_APPLY)
        return await self._in_force(self._file.roll_back(body.revision, insider))

    # ----------------------------------------------------------------------------------------------------

    @property
    def _file(self) -> PolicyFile:
        if self._edge.policy_file is None:
            raise RefusedError(POLICY_NOT_WRITTEN)
        return self._edge.policy_file

    async def _in_force(self, putting: Awaitable[LoadedPolicy]) -> web.Response:
        try:
            return web.json_response(_revision(await putting))
        except PolicyErrors as mistakes:
            return _refused(POLICY_INVALID, _mistakes(mistakes))
        except OSError as failed:
            log.warning("policy.not_written", why=failed.strerror)
            return _refused(POLICY_NOT_WRITTEN, [])

    async def _everybody(self) -> tuple[Insider, ...]:
        try:
            return await self._edge.facts.everybody()
        except DirectoryUnavailable:
            raise RefusedError(DIRECTORY_UNAVAILABLE) from None

    async def _people(self, *words: str | None) -> dict[str, Insider]:
        """Those of these words that are somebody's login."""
        found = {}
        for word in words:
            try:
                insider = await self._edge.facts.named(word) if word is not None else None
            except DirectoryUnavailable:
                raise RefusedError(DIRECTORY_UNAVAILABLE) from None
            if word is not None and insider is not None:
                found[word] = insider
        return found

    async def _replayed(self, body: ReplayBody) -> dict[str, Any]:
        with tempfile.NamedTemporaryFile(suffix=".toml") as candidate:
            candidate.write(body.text.encode())
            candidate.flush()
            command = [sys.executable, "-m", "broker.cli.main", "policy", "replay", "--json"]
            command += ["--candidate", candidate.name, "--since", f"{body.since_seconds}s"]
            command += ["--database", database_url(self._edge.settings)]
            # Its settings are the command line alone, and the edge's secrets are none of its business.
            environment = {
                name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
            }
            process = await asyncio.create_subprocess_exec(
                *command,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
            )
            try:
                async with asyncio.timeout(REPLAY_SECONDS):
                    output, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
        if process.returncode != 0:
            log.warning("policy.not_replayed", status=process.returncode)
            raise RefusedError(EDGE_BUSY)
        answer: dict[str, Any] = await asyncio.get_running_loop().run_in_executor(
            self._thread, json.loads, output
        )
        return answer


def _revision(loaded: LoadedPolicy) -> dict[str, object]:
    return {"revision": loaded.policy.revision, "sha256": loaded.sha256}


def _mistakes(mistakes: PolicyErrors) -> list[str]:
    return [str(mistake) for mistake in mistakes.errors]


def _refused(row: ErrorRow, errors: list[str]) -> web.Response:
    told = error(row).model_dump(exclude_none=True) | {"errors": errors}
    return web.json_response(told, status=row.http_status)
