"""The policy file: what it accepts, and that everything wrong with it is said at once, with its path."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest

from config.policy.action import ADMINISTRATION, Action
from config.policy.document import MAX_RULES
from config.policy.loading import MAX_ERRORS, MAX_POLICY_BYTES, PolicyErrors, load_policy
from config.policy.rule import CounterpartKind, Effect
from config.policy.zone import Sensitivity

SAMPLES = Path(__file__).parents[2] / "config" / "samples"
SAMPLE = SAMPLES / "policy-agency.toml"

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
    guests = next(rule for rule in loaded.policy.rules if rule.id == "ministry")
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


BANDWIDTH = {
    "id": '"uplink"',
    "of": '"total"',
    "from_inside_bits_per_second": "1_000_000",
    "owner": '"o"',
    "reason": '"r"',
}


def with_bandwidth(**changes: str | None) -> str:
    members = {name: value for name, value in (BANDWIDTH | changes).items() if value is not None}
    return "revision = 1\n[[bandwidth]]\n" + "".join(f"{name} = {value}\n" for name, value in members.items())


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"of": '"planet"'}, "bandwidth[0].of"),
        ({"of": '"zone"'}, "bandwidth[0]"),
        ({"of": '"zone"', "zone": '"nowhere"'}, "bandwidth[0].zone"),
        ({"zone": '"office"'}, "bandwidth[0]"),
        ({"media": '"smell"'}, "bandwidth[0].media"),
        ({"from_inside_bits_per_second": None}, "bandwidth[0]"),
        ({"from_inside_bits_per_second": "0"}, "bandwidth[0].from_inside_bits_per_second"),
        ({"from_inside_bits_per_second": "1.5e6"}, "bandwidth[0].from_inside_bits_per_second"),
        ({"to_inside_bits_per_second": '"1M"'}, "bandwidth[0].to_inside_bits_per_second"),
        ({"owner": None}, "bandwidth[0].owner"),
        ({"burst": "5"}, "bandwidth[0].burst"),
    ],
)
def test_a_bandwidth_limit_that_leaves_room_for_doubt_is_refused(
    changes: dict[str, str | None], path: str
) -> None:
    load_policy(with_bandwidth(), "p")
    assert path in problems(with_bandwidth(**changes))


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
        b"#" * (MAX_POLICY_BYTES + 1),
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


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("policy-*.toml")), ids=lambda path: path.stem)
def test_each_sample_policy_loads(sample: Path) -> None:
    assert load_policy(sample.read_bytes(), sample.name).policy.rules


def peer(**changes: str) -> str:
    lines = {"id": '"p"', "mode": '"allow"', "domains": '["p.example"]', "verified": '"invitation-link"'}
    return "\n[[peers]]\n" + "\n".join(
        f"{key} = {value}" for key, value in (lines | changes).items() if value
    )


class TestPeers:
    @pytest.mark.parametrize("name", ["mode", "domains", "verified"])
    def test_nothing_about_a_peer_is_inferred(self, name: str) -> None:
        found = problems("revision = 1" + peer(**{name: ""}))
        assert found == {f"peers[0].{name}": "required, and not there: add it"}

    @pytest.mark.parametrize(
        "domain",
        ["", "localhost", "*", "*.", "a..b", "-a.example", "a_b.example", "1.2.3.4", "ä.example", "a.*.b",
         "x" * 64 + ".example", "a.example\\n", "**.a.example", ("a." * 127) + "toolong"],
    )  # fmt: skip
    def test_what_is_no_domain_is_refused(self, domain: str) -> None:
        assert set(problems("revision = 1" + peer(domains=f'["{domain}"]'))) == {"peers[0].domains[0]"}

    def test_domains_are_compared_in_lower_case(self) -> None:
        loaded = load_policy("revision = 1" + peer(domains='["Partner.Example", "*.XN--NXA.example"]'), "p")
        assert loaded.policy.peers[0].domains == ("partner.example", "*.xn--nxa.example")

    def test_no_domain_is_of_two_peers(self) -> None:
        found = problems("revision = 1" + peer() + peer(id='"q"', domains='["x.example", "P.example"]'))
        assert found == {"peers[1].domains[1]": "already of peer p"}

    def test_a_rule_names_only_peers_that_are_there(self) -> None:
        found = problems(with_rule(**{"with": '{ kind = "guest", peers = ["p", "q"] }'}) + peer())
        assert found == {"rules[0].with.peers[1]": "there is no peer q"}

    @pytest.mark.parametrize("kind", ["insider", "any"])
    def test_only_guests_are_of_a_peer(self, kind: str) -> None:
        found = problems(with_rule(**{"with": f'{{ kind = "{kind}", peers = ["p"] }}'}) + peer())
        assert found == {"rules[0].with.peers": "only guests are of a peer"}


class TestHours:
    @pytest.mark.parametrize(
        ("when", "path"),
        [
            ('{ tz = "Europe/Berlin" }', "hours"),
            ('{ tz = "Mars/Olympus", hours = "07:00-19:00" }', "tz"),
            ('{ tz = "../../etc/passwd", hours = "07:00-19:00" }', "tz"),
            ('{ hours = "07:00-19:00" }', "tz"),
            ('{ tz = "UTC", hours = "7:00-19:00" }', "hours"),
            ('{ tz = "UTC", hours = "07:00-24:01" }', "hours"),
            ('{ tz = "UTC", hours = "07:00-07:00" }', "hours"),
            ('{ tz = "UTC", hours = "24:00-01:00" }', "hours"),
            ('{ tz = "UTC", days = ["monday"] }', "days[0]"),
        ],
    )
    def test_what_is_no_window_of_time_is_refused(self, when: str, path: str) -> None:
        assert set(problems(with_rule(when=when))) == {f"rules[0].when.{path}"}

    def test_hours_end_at_midnight_or_go_over_it(self) -> None:
        spans = [
            load_policy(with_rule(when=f'{{ tz = "UTC", hours = "{hours}" }}'), "p").policy.rules[0].when
            for hours in ("00:00-24:00", "22:00-06:00")
        ]
        assert [span and span.minutes for span in spans] == [(0, 1440), (1320, 1800)]


class TestPresence:
    def test_whoever_lets_outsiders_see_presence_says_how_much_of_it(self) -> None:
        assert set(problems(with_rule(actions='["presence.see"]'))) == {"rules[0].presence"}
        load_policy(with_rule(actions='["presence.see"]', presence='"folded"'), "p")

    def test_nothing_else_has_a_degree_of_presence(self) -> None:
        assert set(problems(with_rule(presence='"exact"'))) == {"rules[0].presence"}
        inside = with_rule(actions='["presence.see"]', presence='"exact"', **{"with": '{ kind = "insider" }'})
        assert set(problems(inside)) == {"rules[0].presence"}
        denied = with_rule(actions='["presence.see"]', presence='"exact"', effect='"deny"')
        assert set(problems(denied)) == {"rules[0].presence"}


PROGRAM = '[clients]\notherwise = "allow"\n[[clients.programs]]\nname = "x"\nside = "both"\n'


class TestClients:
    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("[clients]", "clients.otherwise"),
            ('[clients]\notherwise = "refuse"', "clients.otherwise_link"),
            (PROGRAM + 'effect = "refuse"', "clients.programs[0].link"),
            (PROGRAM + 'effect = "allow"\nversions = "new"', "clients.programs[0].versions"),
            ('[clients]\notherwise = "warn"\notherwise_link = "http://a.example"', "clients.otherwise_link"),
            ('[clients]\notherwise = "warn"\notherwise_link = "javascript:x"', "clients.otherwise_link"),
        ],
    )
    def test_what_becomes_of_a_program_is_always_said_and_a_refused_one_shown_a_way(
        self, text: str, path: str
    ) -> None:
        assert set(problems("revision = 1\n" + text)) == {path}


def test_an_unknown_name_is_told_with_the_one_that_was_meant() -> None:
    assert problems("revision = 1\nzoens = []") == {"zoens": "no such name here: did you mean zones?"}
    assert problems("revision = 1\nxyzzy = []") == {"xyzzy": "no such name here: remove it"}


def test_ten_thousand_rules_load_and_one_more_does_not() -> None:
    rules = "".join(GUEST_RULE.replace('"guests"', f'"g-{number}"') for number in range(MAX_RULES))
    assert len(load_policy("revision = 1" + rules, "p").policy.rules) == MAX_RULES
    assert set(problems("revision = 1" + rules + GUEST_RULE)) == {"rules"}


def test_what_would_take_long_to_read_or_to_tell_is_refused_or_cut() -> None:
    assert "dots" in problems("a." * 32_000 + "a = 1")[""]
    long = problems("revision = 1\n" + "".join(f"{'x' * 5000}{number} = 1\n" for number in range(500)))
    assert all(len(path) <= 80 and len(message) <= 300 for path, message in long.items())


def test_of_very_many_mistakes_the_first_hundred_are_told() -> None:
    rules = "".join(GUEST_RULE.replace('"allow"', '"perhaps"') for _ in range(500))
    assert len(problems("revision = 1" + rules)) == MAX_ERRORS
