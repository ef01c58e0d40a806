"""What a load test says is what was measured: medians, worst cases, misses and all."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from loadtests.budgets import ASYNCIO, BUDGETS, COTURN, NATIVE, SWITCH, Verdict, verdicts
from loadtests.churn import silence_figures, violations
from loadtests.plane_process import address_of
from loadtests.rounds import Figures, alternate


def cell(native: float, switch: float, asyncio: float, coturn: float, lost: float = 0) -> dict[str, Figures]:
    """Figures of one size and number of pairs, by what a packet costs."""
    costs = {NATIVE: native, SWITCH: switch, ASYNCIO: asyncio, COTURN: coturn}
    return {
        server: {
            "cpu_microseconds_per_packet": cost,
            "packets_per_second": 1e6 / cost,
            "all_lost_at_70_percent": lost,
        }
        for server, cost in costs.items()
    }


def told(**results: Any) -> dict[str, Verdict]:
    return {verdict.name: verdict for verdict in verdicts(results)}


def test_the_first_round_is_thrown_away_and_the_others_have_their_median() -> None:
    costs: dict[str, Iterator[float]] = {"a": iter([99.0, 1.0, 5.0, 2.0]), "b": iter([99.0, 4.0, 4.0, 4.0])}
    order: list[str] = []

    def measure(server: str) -> Figures:
        order.append(server)
        return {"cost": next(costs[server]), "all_lost": 1.0}

    table = alternate(("a", "b"), measure, 3, lambda line: None)
    assert table == {"a": {"cost": 2.0, "all_lost": 3.0}, "b": {"cost": 4.0, "all_lost": 3.0}}
    assert order == ["a", "b"] * 4


def test_a_ratio_is_the_worst_of_all_sizes_and_pairs() -> None:
    media = {"172 x 10": cell(3, 3, 5, 12), "1172 x 1000": cell(6, 3, 8, 12), "172 x 100": cell(3, 3, 5, 10)}
    seen = told(media=media)
    assert seen["native_cpu_to_coturn"].figure == pytest.approx(0.5)
    assert seen["native_cpu_to_coturn"].where == "1172 x 1000 pairs"
    assert seen["native_rate_to_coturn"].figure == pytest.approx(2.0)
    assert seen["native_cpu_to_bare_switch"].figure == pytest.approx(2.0)


def test_what_is_missed_is_called_missed_and_what_was_not_measured_is_not_called_kept() -> None:
    seen = told(media={"172 x 10": cell(4.5, 3, 5, 10, lost=1)})
    assert seen["native_cpu_to_coturn"].said == "MISSED"
    assert seen["native_rate_to_coturn"].said == "MISSED"
    assert seen["native_lost_at_70_percent"].said == "MISSED"
    assert seen["asyncio_cpu_to_coturn"].said == "kept, stretch too"
    assert seen["soak_lost"].said == "not measured"


def test_a_budget_is_kept_up_to_its_bar() -> None:
    assert told(media={"172 x 10": cell(4, 3.9, 10, 10)})["native_cpu_to_coturn"].said == "kept"
    assert (
        told(media={"172 x 10": cell(2.5, 3.9, 10, 10)})["native_cpu_to_coturn"].said == "kept, stretch too"
    )


def test_every_budget_of_the_file_has_a_figure_that_can_be_measured() -> None:
    everything = told(
        media={"172 x 10": cell(1, 1, 1, 1)},
        allocations={NATIVE: {"allocations_per_second": 1.0}},
        memory={NATIVE: {"bytes_per_idle_allocation": 2048.0}},
        stops={NATIVE: {"milliseconds_to_last_packet": 1.0}},
        stop_of_everything={
            "milliseconds_to_last_packet": 2.0,
            "remove_all_milliseconds": 50.0,
            "after_removal": 0.0,
        },
        silences={
            "quick": {"milliseconds_to_last_packet": 0.0, "rows_that_sent_after_return": 0.0},
            "slow": {"milliseconds_to_last_packet": 3.0, "rows_that_sent_after_return": 2.0},
        },
        churn={"after_removal": 0.0, "out_of_generation": 0.0, "rows": 1.0},
        floods={
            "bare": {"python_share_of_a_core": 0.1},
            "forged": {"python_share_of_a_core": 0.3},
        },
        soak={
            "resident_bytes_warm": 0.0,
            "resident_bytes_end": 1024.0,
            "lost": 0.0,
            "sent": 1.0,
            "seconds": 1.0,
        },
    )
    assert everything.keys() == tomllib.loads(BUDGETS.read_text()).keys()
    assert None not in {verdict.figure for verdict in everything.values()}
    assert everything["python_share_in_a_flood"].where == "forged"
    assert everything["stop_milliseconds"].figure == 2.0
    assert everything["silence_milliseconds"].figure == 3.0
    assert everything["silence_milliseconds"].where == "slow"
    assert everything["packets_after_removal"].figure == 2.0


def seen(packets: int, first: int, last: int, at: int) -> dict[str, int]:
    return {"packets": packets, "first_sequence": first, "last_sequence": last, "last_nanoseconds": at}


def test_a_packet_that_left_after_its_rows_removal_is_found() -> None:
    removed = [(1, 0x4002, 1000), (1, 0x4003, 2000)]
    good = {"channels": [(1, 0x4002, seen(5, 0, 4, 1000)), (1, 0x4003, seen(5, 7, 11, 1900))]}
    late = {"channels": [(1, 0x4002, seen(5, 0, 4, 1001)), (1, 0x4003, seen(5, 7, 11, 1900))]}
    assert violations(good, {"removed": removed}) == {"after_removal": 0, "out_of_generation": 0}
    assert violations(late, {"removed": removed})["after_removal"] == 1


def test_a_packet_older_than_the_last_one_of_the_row_before_is_found() -> None:
    removed = [(1, 0x4002, 1000), (1, 0x4003, 2000)]
    disordered = {"channels": [(1, 0x4003, seen(5, 4, 9, 1900)), (1, 0x4002, seen(5, 0, 4, 900))]}
    assert violations(disordered, {"removed": removed}) == {"after_removal": 0, "out_of_generation": 1}


def test_only_rows_of_silenced_sessions_are_looked_at() -> None:
    channels = [(0, 0x4000, seen(5, 0, 4, 1_500_000)), (1, 0x4001, seen(5, 0, 4, 4_000_000))]
    channels += [(2, 0x4000, seen(5, 0, 4, 90_000_000)), (3, 0x4001, seen(5, 0, 4, 90_000_000))]
    times = {"commanded": 1_000_000, "returned": 3_000_000, "ended": 11_000_000}
    found = silence_figures({"channels": channels}, {**times, "packets": 10, "sessions": ["pair0"]})
    assert found == {
        "milliseconds_to_last_packet": 3.0,
        "milliseconds_to_return": 2.0,
        "milliseconds_until_all_ended": 10.0,
        "rows_that_sent_after_return": 1.0,
        "rows": 2.0,
    }


def test_a_silenced_session_that_counts_less_than_arrived_is_a_fault() -> None:
    ended = {"commanded": 0, "returned": 9, "ended": 9, "packets": 4, "sessions": ["pair0"]}
    with pytest.raises(RuntimeError, match="5 packets arrived and 4 were counted"):
        silence_figures({"channels": [(0, 0x4000, seen(5, 0, 4, 1))]}, ended)


def test_clients_have_the_addresses_that_the_generator_gives_them() -> None:
    """`clients.rs` says the same of the same numbers."""
    assert [address_of(client) for client in (0, 1, 256, 32_767, 32_768)] == [
        "127.64.0.1",
        "127.64.1.1",
        "127.65.0.1",
        "127.191.255.1",
        "127.64.0.2",
    ]
