"""The policy file: what it accepts, and that everything wrong with it is said at once, with its path."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest

from config.policy import (
    ADMINISTRATION,
    Action,
    CounterpartKind,
    Effect,
    PolicyErrors,
    Sensitivity,
    load_policy,
)

SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "policy.toml"

GUEST_RULE = """
[[rules]]
id = "guests"
effect = "allow"
who = { groups = ["ext"] }
with = { kind = "guest" }
direction = "both"
actions = ["chat.send"]
expires = 2027-01-31
owner = "j.doe"
reason = "MoU"
"""


def problems(text: str | bytes) -> dict[str, str]:
    with pytest.raises(PolicyErrors) as caught:
        load_policy(text, "policy.toml")
    return {error.path: error.message for error in caught.value.errors}


def with_rule(**changes: str | None) -> str:
    lines = []
    for line in GUEST_RULE.splitlines():
        key = line.partition(" = ")[0]
        value = changes.pop(key, line)
        if value is not None:
            lines.append(value if value == line else f"{key} = {value}")
    lines += [f"{key} = {value}" for key, value in changes.items()]
    return "revision = 1\n" + "\n".join(lines)


def test_the_sample_file_loads_and_says_what_it_means() -> None:
    raw = SAMPLE.read_bytes()
    loaded = load_policy(raw, "sample")
    assert loaded.sha256 == hashlib.sha256(raw).hexdigest()
    assert loaded.policy.revision == 1
    assert [zone.sensitivity for zone in loaded.policy.zones] == [Sensitivity.NORMAL, Sensitivity.HIGH]
    guests = next(rule for rule in loaded.policy.rules if rule.id == "guests")
    assert guests.with_ is not None
    assert guests.with_.kind is CounterpartKind.GUEST
    assert guests.expires == date(2027, 12, 31)
    assert {action for rule in loaded.policy.rules for action in rule.actions} == set(Action) - ADMINISTRATION
    assert {rule.effect for rule in loaded.policy.rules} == set(Effect)


def test_text_and_bytes_of_one_file_have_one_hash() -> None:
    text = SAMPLE.read_text()
    assert load_policy(text, "s") == load_policy(text.encode(), "s")


def test_every_problem_is_reported_at_once_with_its_path() -> None:
    found = problems(
        """
        revision = 0
        colour = "blue"
        [[zones]]
        id = "office"
        networks = ["10.1.0.0/16", "10.1.2.3/8"]
        [[rules]]
        id = "a"
        effect = "perhaps"
        who = { any = true, groups = ["x"] }
        with = { kind = "guest" }
        direction = "both"
        actions = ["chat.send", "fly"]
        owner = "o"
        reason = "r"
        [[rules]]
        id = "a b"
        effect = "allow"
        who = {}
        with = { kind = "guest", groups = ["x"] }
        actions = ["chat.send"]
        owner = ""
        reason = "r"
        """
    )
    assert set(found) == {
        "revision",
        "colour",
        "zones[0].networks[1]",
        "rules[0].effect",
        "rules[0].who.any",
        "rules[0].actions[1]",
        "rules[1].id",
        "rules[1].who",
        "rules[1].with.groups",
        "rules[1].direction",
        "rules[1].owner",
    }


def test_the_message_of_the_error_names_file_and_path() -> None:
    with pytest.raises(PolicyErrors, match=r"^/etc/p\.toml: rules\[0\]\.expires: required") as caught:
        load_policy(with_rule(expires=None), "/etc/p.toml")
    assert caught.value.source_name == "/etc/p.toml"


@pytest.mark.parametrize("kind", ["guest", "any"])
def test_whatever_allows_an_outsider_must_expire(kind: str) -> None:
    assert set(problems(with_rule(expires=None, **{"with": f'{{ kind = "{kind}" }}'}))) == {
        "rules[0].expires"
    }


def test_a_deny_and_an_allow_between_insiders_need_no_expiry() -> None:
    load_policy(with_rule(expires=None, effect='"deny"'), "p")
    load_policy(with_rule(expires=None, **{"with": '{ kind = "insider" }'}), "p")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"who": "{ any = false }"}, "rules[0].who"),
        ({"who": '{ zone = "office" }'}, "rules[0].who"),
        ({"who": '{ any = true, zone = "office" }'}, "rules[0].who.zone"),
        ({"who": "{ any = 1 }"}, "rules[0].who.any"),
        ({"with": None}, "rules[0].with"),
        ({"with": '{ kind = "everyone" }'}, "rules[0].with.kind"),
        ({"with_": '{ kind = "guest" }'}, "rules[0].with_"),
        ({"direction": None}, "rules[0].direction"),
        ({"actions": '["edge.signin", "chat.send"]'}, "rules[0].actions"),
        ({"actions": '["*"]'}, "rules[0].actions[0]"),
        ({"expires": '"2027-01-31"'}, "rules[0].expires"),
        ({"expires": "2027-01-31T00:00:00Z"}, "rules[0].expires"),
        ({"owner": None}, "rules[0].owner"),
        ({"reason": '"  "'}, "rules[0].reason"),
        ({"limits": "{ minutes = 0 }"}, "rules[0].limits.minutes"),
        ({"limits": "{ kbps = 5 }"}, "rules[0].limits.kbps"),
        ({"limits": "{ minutes = 5 }", "effect": '"deny"'}, "rules[0].limits"),
        ({"id": '"R\\n"'}, "rules[0].id"),
        ({"priority": "1"}, "rules[0].priority"),
    ],
)
def test_a_rule_that_leaves_room_for_doubt_is_refused(changes: dict[str, str | None], path: str) -> None:
    assert path in problems(with_rule(**changes))


def test_sign_in_has_a_rule_of_its_own_without_counterpart_and_direction() -> None:
    signin = {"actions": '["edge.signin"]', "expires": None}
    load_policy(with_rule(**signin, **{"with": None, "direction": None}), "p")
    assert set(problems(with_rule(**signin))) == {"rules[0].with", "rules[0].direction"}


def test_ids_are_unique() -> None:
    assert set(problems("revision = 1\n" + GUEST_RULE + GUEST_RULE)) == {"rules[1].id"}


ZONES = """
revision = 1
zones = [
  {{ id = "office", networks = ["10.1.0.0/16", "fd00::/64"], attribute = "ou=Office" }},
  {{ id = "lab", networks = ["{network}"], attribute = "{attribute}" }},
]
"""


@pytest.mark.parametrize("network", ["10.1.2.0/24", "10.0.0.0/8", "10.1.0.0/16", "fd00::1/128"])
def test_no_address_is_in_two_zones(network: str) -> None:
    assert set(problems(ZONES.format(network=network, attribute="ou=Lab"))) == {
        "zones[0].networks[0]" if network == "10.0.0.0/8" else "zones[1].networks[0]"
    }


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "10.2.0.1/16", "::ffff:10.2.0.0/112", "host", ""])
def test_a_zone_network_is_a_true_network_and_not_the_whole_internet(network: str) -> None:
    assert set(problems(ZONES.format(network=network, attribute="ou=Lab"))) == {"zones[1].networks[0]"}


def test_one_directory_mark_names_one_zone() -> None:
    assert set(problems(ZONES.format(network="10.2.0.0/16", attribute="OU=office"))) == {"zones[1].attribute"}


def test_a_broken_entry_does_not_hide_contradictions_among_the_others() -> None:
    broken = GUEST_RULE.replace('"allow"', '"maybe"')
    assert set(problems("revision = 1\n" + broken + GUEST_RULE + GUEST_RULE)) == {
        "rules[0].effect",
        "rules[2].id",
    }


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe",
        b"revision = ",
        b"revision = " + b"9" * 5000,
        b"a = " + b"[" * 100_000,
        b"#" * ((1 << 20) + 1),
        "revision = 1 # \ud800",
    ],
    ids=["not-utf8", "not-toml", "huge-number", "deep", "too-large", "surrogate"],
)
def test_what_is_not_a_policy_file_is_one_readable_error(raw: str | bytes) -> None:
    assert set(problems(raw)) == {""}


def test_an_empty_file_lacks_its_revision_rather_than_allowing_everything() -> None:
    assert set(problems("")) == {"revision"}


@pytest.mark.parametrize("action", sorted(ADMINISTRATION))
def test_no_rule_gives_administration(action: Action) -> None:
    broken = SAMPLE.read_text().replace('["edge.signin"]', f'["edge.signin", "{action}"]')
    with pytest.raises(PolicyErrors, match=r"rules\[0\]\.actions: .*\[admin\]"):
        load_policy(broken, "sample")
