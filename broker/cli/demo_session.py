"""The demo from start to end: the edge, the script, what the record says of it, the ways in for browsers."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from auth.second_factor import code_at, enrolment_uri
from broker.cli.demo_house import ADMINISTRATORS, DemoHouse
from broker.cli.demo_script import Outcome, ScriptFailedError, invitation_for_browsers, run_script
from broker.client.errors import EdgeError
from broker.shell.gateway.edge import Edge
from broker.shell.parts import load_parts
from broker.shell.serve import running_edge

AUDIT_TIMEOUT_SECONDS = 20.0


async def run_demo(house: DemoHouse, *, once: bool, as_json: bool) -> bool:
    """Whether everything the script expected happened. Unless `once`, stays up until it is told to stop."""
    started = time.monotonic()

    def say(step: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {step}", file=sys.stderr, flush=True)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_edge(house.settings, load_parts(house.settings)) as edge:
        say(f"The edge is up: inside {house.settings.inside.origin}, outside {house.settings.outside.origin}")
        result = await _play(house, edge, say)
        if not as_json:
            await _show(house, result)
        stays = not once and result["ok"]
        if stays:
            result |= _ways_in(house, await invitation_for_browsers(house))
        if as_json:
            print(json.dumps(result), flush=True)
        elif stays:
            _print_ways_in(house, result)
        if stays:
            if sys.stdin.isatty() and not as_json:
                asyncio.get_running_loop().add_reader(sys.stdin, _asked_for_codes, house)
            await stop.wait()
    say("The edge is down")
    return bool(result["ok"])


async def _play(house: DemoHouse, edge: Edge, say: Callable[[str], None]) -> dict[str, Any]:
    """The script, and what the record says about it."""
    outcome, failure = Outcome(), None
    try:
        outcome = await run_script(house, say)
    except* (ScriptFailedError, EdgeError, TimeoutError) as failed:
        failure = "; ".join(str(error) or type(error).__name__ for error in _leaves(failed))
        say(f"The script failed: {failure}")
    verified = json.loads(await _audit(house, "verify", "--json"))
    connections = [json.loads(line) for line in (await _audit(house, "list", "--json")).splitlines()]
    say(
        f"The record of {verified.get('records')} entries is {'sound' if verified.get('ok') else 'NOT sound'}"
    )
    call: dict[str, Any] = next((row for row in connections if row.get("kind") == "call"), {})
    result = _result(outcome, edge, verified, connections, call)
    result["ok"] = failure is None and bool(verified.get("ok")) and _call_is_whole(result)
    return result


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _result(
    outcome: Outcome,
    edge: Edge,
    verified: dict[str, Any],
    connections: list[dict[str, Any]],
    call: dict[str, Any],
) -> dict[str, Any]:
    inside, outside = outcome.inside, outcome.outside
    pairs = [report.selected_pair for report in (inside, outside) if report is not None]
    return {
        "ok": False,
        "plane": edge.media.plane,
        "chat": {"delivered": outcome.delivered},
        "call": {
            "seconds": round(min(r.seconds for r in (inside, outside)), 1) if inside and outside else 0,
            "selected_pairs": pairs,
            "relay_packets": sum(call.get("packets", {}).values()),
            "relay_bytes": sum(call.get("bytes", {}).values()),
            "audio_packets": {
                "inside_to_outside": outside.audio_packets_received if outside else 0,
                "outside_to_inside": inside.audio_packets_received if inside else 0,
            },
            "video_frames": {
                "inside_to_outside": outside.video_frames_received if outside else 0,
                "outside_to_inside": inside.video_frames_received if inside else 0,
            },
        },
        "denied": [{"code": code, "decision_id": decision_id} for code, decision_id in outcome.denied],
        "audit": {
            "records": verified.get("records", 0),
            "connections": len(connections),
            "verified": bool(verified.get("ok")),
        },
    }


def _call_is_whole(result: dict[str, Any]) -> bool:
    call = result["call"]
    flows = (*call["audio_packets"].values(), *call["video_frames"].values(), call["relay_packets"])
    relayed = call["selected_pairs"] == ["relay/relay", "relay/relay"]
    return relayed and call["seconds"] >= 5 and min(flows) > 0 and bool(result["denied"])


async def _audit(house: DemoHouse, *arguments: str) -> str:
    """What `turngate audit` answers about this demo, asked as an investigator would: from another process."""
    data = f"data_directory={house.settings.data_directory}"
    command = [sys.executable, "-m", "broker.cli.main", "audit", *arguments, "--set", data]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(process.communicate(), AUDIT_TIMEOUT_SECONDS)
    return output.decode()


async def _show(house: DemoHouse, result: dict[str, Any]) -> None:
    print("\nWhat an investigator sees (turngate audit list):\n")
    print(await _audit(house, "list"))
    print("And whether it is unaltered (turngate audit verify):\n")
    print(await _audit(house, "verify"))
    print(f"Everything the script expected {'happened' if result['ok'] else 'DID NOT happen'}.", flush=True)


def _ways_in(house: DemoHouse, link: str) -> dict[str, Any]:
    return {
        "inside": house.settings.inside.origin,
        "outside": house.settings.outside.origin,
        "admin": house.settings.admin.origin,
        "ca_file": str(house.ca_file),
        "data_directory": str(house.settings.data_directory),
        "sign_ins": [{"login": person.login, "password": person.password} for person in house.people],
        "admin_sign_ins": [
            {"role": role, "login": login, "second_factor": _enrolment(house, login)}
            for role, (_, login) in ADMINISTRATORS.items()
        ],
        "break_glass": dict(zip(("login", "password"), house.break_glass, strict=True)),
        "guest_link": link,
    }


def _enrolment(house: DemoHouse, login: str) -> str:
    return enrolment_uri(login, house.second_factors[login])


def _print_ways_in(house: DemoHouse, result: dict[str, Any]) -> None:
    print(f"\nOpen {result['inside']} and sign in (the certificate is the demo's own):")
    for sign_in in result["sign_ins"]:
        print(f"    {sign_in['login']:8} {sign_in['password']}")
    print(f"Open {result['admin']} to watch over it, with the same passwords and a code:")
    for sign_in in result["admin_sign_ins"]:
        print(f"    {sign_in['login']:8} as {sign_in['role'].replace('_', ' ')}")
    for login in house.second_factors:
        print(f"        for an app: {_enrolment(house, login)}")
    _print_codes(house)
    print(f"    {' '.join(house.break_glass)} as break-glass account, without a code: that is an alarm")
    print(f"Open as a guest of alice, who lets you in from her page:\n    {result['guest_link']}")
    print("Enter shows the codes of that moment; each is good once.")
    print("Ctrl-C ends the demo and removes everything it made.", flush=True)


def _asked_for_codes(house: DemoHouse) -> None:
    if sys.stdin.readline():
        _print_codes(house)
    else:  # nobody can type there any more
        asyncio.get_running_loop().remove_reader(sys.stdin)


def _print_codes(house: DemoHouse) -> None:
    now = int(time.time())
    shown = ", ".join(f"{login} {code_at(secret, now)}" for login, secret in house.second_factors.items())
    print(f"    codes of this half minute: {shown}", flush=True)
