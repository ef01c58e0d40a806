"""Every item of the conformance checklist has its tests, and the pages list every reason there is.

The checklist is the one of RFC 8489 and RFC 8656 that the design holds the relay to. Here each item names the
tests that prove it.
"""

from __future__ import annotations

import ast
import re

import pytest

from relay.meter import DirectionCounters
from relay.service import RelayCounters
from relay.turn.events import ControlDrop
from relay.turn.refusal import RefusalReason
from relay.vocabulary import DropReason, PlaneCounters
from tests.house import tracked

ITEMS = range(1, 35)
EXCLUDED = {14, 28, 29, 31}
"""What does not apply to a closed relay; `docs/turn.md` says why. Of item 3, USERHASH does not either."""

CHECKLIST: dict[int, list[str]] = {
    # STUN and authentication
    1: [
        "test_8489_9_2_4_a_request_without_integrity_is_challenged",
        "test_8489_9_2_4_integrity_without_username_realm_or_nonce_is_400",
        "test_8489_9_2_4_half_a_choice_an_altered_list_or_a_choice_not_in_it_is_400",
        "test_8489_9_2_4_an_unknown_username_is_401",
        "test_8489_9_2_4_a_wrong_password_is_401",
        "test_8489_9_2_4_a_stale_nonce_is_438",
        "test_8489_9_2_4_of_several_faults_the_first_in_its_order_is_answered",
    ],
    2: ["test_8489_9_2_4_a_nonce_is_good_for_one_five_tuple_alone", "test_8489_9_2_4_a_made_up_nonce_is_438"],
    3: [
        "test_8489_9_2_a_nonce_begins_with_the_cookie",
        "test_8489_9_2_a_nonce_whose_cookie_was_altered_is_438",
        "test_8489_9_2_4_the_key_and_the_answer_follow_the_chosen_algorithm",
    ],
    4: ["test_8489_9_2_4_every_error_to_who_proved_the_key_carries_integrity"],
    5: [
        "test_8489_14_5_a_peer_smuggled_in_behind_the_integrity_is_ignored",
        "test_8489_14_5_nothing_behind_the_integrity_changes_a_request",
        "test_8489_9_2_4_of_two_integrities_sha256_counts",
        "test_8489_14_6_truncated_integrity_proves_nothing",
        "test_rfc8489_14_6_what_is_built_with_sha256_verifies",
    ],
    6: [
        "test_8489_6_3_1_an_unknown_required_attribute_is_420_after_authentication",
        "test_8656_11_2_a_send_indication_that_is_not_whole_or_not_understood_is_dropped",
    ],
    7: [
        "test_8489_6_3_1_a_retransmitted_allocate_gets_the_same_success",
        "test_8489_6_3_1_a_retransmitted_request_gets_the_same_answer",
        "test_8656_7_2_another_allocate_on_the_five_tuple_is_437",
        "test_8489_6_3_1_strangers_leave_no_trace",
    ],
    8: ["test_8656_6_no_password_is_kept", "test_8489_9_2_a_password_is_longer_than_128_bits"],
    # Allocate
    9: ["test_8656_7_2_the_form_of_the_request_decides"],
    10: ["test_8656_7_2_the_form_of_the_request_decides", "test_8656_7_2_a_reservation_lasts_thirty_seconds"],
    11: ["test_8656_7_2_an_additional_family_goes_with_few_others"],
    12: [
        "test_8656_7_2_without_a_requested_family_it_is_ipv4",
        "test_8656_7_2_a_family_that_is_not_relayed_is_440",
        "test_8656_7_2_of_two_families_the_one_that_is_missing_is_reported",
    ],
    13: [
        "test_8656_7_2_even_port_gives_an_even_port_and_reserves_nothing",
        "test_8656_7_2_even_port_with_reservation_keeps_the_next_port",
        "test_8656_7_2_tokens_do_not_tell_each_other",
        "test_8656_7_2_reserved_ports_are_nobody_elses_and_come_back",
    ],
    15: [
        "test_8656_7_2_a_lifetime_is_between_the_default_and_the_most",
        "test_8656_8_2_a_refreshed_lifetime_counts_from_now",
    ],
    16: [
        "test_8656_7_2_beyond_the_bound_of_a_credential_its_oldest_allocation_goes",
        "test_8656_7_2_a_session_that_allocates_too_fast_is_486",
        "test_8656_7_2_a_full_relay_answers_508",
        "test_8489_10_a_draining_relay_names_a_server_of_the_clients_family",
    ],
    17: ["test_8656_7_2_ports_are_of_the_dynamic_range_and_follow_no_order"],
    18: ["test_8656_7_2_a_success_names_relayed_and_mapped_address_and_lifetime"],
    # in general, and Refresh
    19: [
        "test_8656_5_requests_without_an_allocation_are_437",
        "test_8656_5_what_is_left_unanswered_or_undelivered_is_counted",
        "test_8656_12_6_channel_data_of_somebody_without_an_allocation_is_dropped",
    ],
    20: ["test_8656_5_another_username_on_the_same_five_tuple_is_441"],
    21: [
        "test_8656_8_2_refresh_to_zero_deletes",
        "test_8656_8_2_refresh_for_another_family_is_443",
        "test_8656_8_no_data_prolongs_an_allocation",
        "test_8656_9_neither_data_nor_refresh_prolongs_a_permission",
        "test_8656_12_a_channel_ends_after_600_seconds_whatever_is_sent",
    ],
    # permissions
    22: [
        "test_8656_9_a_permission_lasts_300_seconds_and_counts_both_ways",
        "test_8656_9_a_permission_is_for_an_ip_address_whatever_the_port",
        "test_8656_9_a_permission_is_of_one_allocation_alone",
        "test_8656_10_2_a_permission_needs_a_peer",
        "test_8656_10_2_one_bad_peer_means_no_permission_at_all",
        "test_8656_10_2_and_12_2_peers_of_an_ipv4_allocation_are_ipv4",
    ],
    23: [
        "test_8656_11_2_data_of_any_length_is_delivered_as_it_is",
        "test_8656_11_2_a_send_indication_without_permission_is_dropped",
        "test_8656_11_2_of_two_peer_addresses_in_a_send_indication_the_first_counts",
    ],
    24: [
        "test_8656_11_3_a_permission_that_ends_silences_the_peers_channel",
        "test_8656_12_a_permission_from_a_channel_lasts_as_long_as_the_channel",
    ],
    # channels
    25: [
        "test_8656_12_2_a_channel_number_outside_the_range_is_400",
        "test_8656_12_2_number_and_peer_are_bound_to_each_other_alone",
        "test_8656_12_2_a_channel_that_is_refused_leaves_neither_channel_nor_permission",
        "test_8656_12_2_a_channel_brings_a_permission",
        "test_8656_12_5_a_stream_stays_in_step",
    ],
    26: [
        "test_8656_12_7_send_indications_to_a_party_with_a_channel_become_channel_data",
        "test_8656_12_6_the_length_says_what_is_payload",
        "test_8656_12_6_channel_data_that_is_shorter_than_it_says_is_dropped",
        "test_8656_12_6_channel_data_on_a_number_that_is_not_bound_is_dropped",
        "test_8656_12_6_what_is_neither_stun_nor_channel_data_ends_a_stream",
    ],
    27: [
        "test_8656_12_2_a_row_is_there_only_after_the_answer_has_gone",
        "test_8656_12_an_expired_channels_number_may_be_bound_to_another_peer",
    ],
    # IP fields
    30: ["test_8656_13_clients_of_both_families_meet_and_only_their_payload_crosses"],
    # how it ends
    32: ["test_8656_7_a_connection_that_is_over_takes_its_allocation_along"],
    33: [
        "test_8656_7_2_another_allocate_on_the_five_tuple_is_437",
        "test_8656_7_2_beyond_the_bound_of_a_credential_its_oldest_allocation_goes",
    ],
    34: ["test_8656_7_2_a_port_is_not_used_again_soon", "test_8656_7_2_an_address_rests_after_its_session"],
}


def found_tests() -> dict[str, ast.FunctionDef]:
    """Every test function under tests/spec and tests/wire by its name."""
    return {
        node.name: node
        for path in tracked.files()
        if re.fullmatch(r"tests/(spec|wire)/test_\w+\.py", path)
        for node in ast.walk(ast.parse(tracked.text(path)))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


TESTS = found_tests()


def test_every_item_of_the_checklist_that_applies_is_here() -> None:
    assert set(CHECKLIST) == set(ITEMS) - EXCLUDED


@pytest.mark.parametrize("item", CHECKLIST)
def test_every_item_of_the_checklist_is_proved_by_tests_that_name_their_section(item: int) -> None:
    assert CHECKLIST[item]
    for name in CHECKLIST[item]:
        assert re.match(r"test_(rfc)?(8489|8656)_\d", name)
        assert [test for test in TESTS if test.startswith(name)], name


def test_no_test_that_proves_an_item_is_skipped_or_expected_to_fail() -> None:
    names = tuple(name for names in CHECKLIST.values() for name in names)
    marks = {
        test: [ast.unparse(one) for one in node.decorator_list]
        for test, node in TESTS.items()
        if test.startswith(names)
    }
    assert {test for test, found in marks.items() if re.search(r"xfail|skip", " ".join(found))} == set()


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one."""
    _, found, rest = tracked.text(page).partition(f"\n{heading}\n")
    assert found
    return rest.split("\n## ")[0]


def test_the_page_on_turn_has_every_error_code() -> None:
    (row,) = re.findall(r"^\| errors \| ([\d ]+),", tracked.text("docs/turn.md"), re.MULTILINE)
    assert row.split() == sorted({str(reason.code) for reason in RefusalReason})


def test_the_page_on_the_relay_has_every_reason_to_refuse_by_its_code() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.+) \|$", section("docs/relay.md", "## Reasons"), re.MULTILINE)
    listed = [(int(code), name) for code, names in rows for name in re.findall(r"`(\w+)`", names)]
    assert sorted(listed) == sorted((reason.code, reason.name.lower()) for reason in RefusalReason)
    assert [int(code) for code, _ in rows] == sorted({reason.code for reason in RefusalReason})


def test_the_page_on_the_relay_marks_the_reasons_that_are_not_logged() -> None:
    text = section("docs/relay.md", "## Reasons")
    unlogged = re.findall(r"`(\w+)` \([^)]*not logged\)", text)
    assert set(unlogged) == {reason.name.lower() for reason in RefusalReason if reason.is_routine}


def test_the_page_on_the_relay_has_every_reason_to_drop() -> None:
    _, found, text = section("docs/relay.md", "## Reasons").partition("`turngate_relay_dropped_total`")
    assert found
    nothing = RelayCounters({}, 0, 0, DirectionCounters(), {}, {}, PlaneCounters(), 0, 0, draining=False)
    reasons = {*DropReason, *ControlDrop, *nothing.dropped()}
    assert sorted(re.findall(r"`(\w+)`", text)) == sorted(reasons)
