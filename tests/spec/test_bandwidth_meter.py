"""The bandwidth meter: what is carried is counted to those who sent it and those who were sent it."""

from __future__ import annotations

from auth.principal import PartyId
from broker.core.bandwidth import LiveFlow
from broker.core.events import MediaCount
from broker.shell.bandwidth_meter import KEPT_SECONDS, LIVE_SECONDS, STEP_SECONDS, BandwidthMeter

PARTIES = (PartyId("u-a"), PartyId("g-b"))
OUTSIDE = None
HQ, LAB = frozenset({"hq"}), frozenset({"lab"})


class Wires:
    """Calls, and how much each has carried."""

    def __init__(self, *flows: LiveFlow) -> None:
        self.flows = list(flows)
        self.carried: dict[str, tuple[int, int]] = {}
        self.zones = ["hq", "lab"]
        self.meter = BandwidthMeter(lambda: self.flows, self._counted, lambda: self.zones)

    def _counted(self, call_id: str) -> MediaCount | None:
        octets = self.carried.get(call_id)
        return None if octets is None else MediaCount(PARTIES, (1, 1), octets)

    def newest(self, scope: str) -> tuple[int, int]:
        live = self.meter.to_json()[scope]["live"]
        return live["from_inside"][-1], live["to_inside"][-1]


def test_a_guests_call_has_one_way_out_and_one_way_in() -> None:
    wires = Wires(LiveFlow("c", (HQ, OUTSIDE)))
    wires.carried["c"] = (1000, 250)
    wires.meter.sample(1.0)
    assert wires.newest("total") == wires.newest("zone:hq") == (8000, 2000)
    assert wires.newest("zone:lab") == (0, 0)


def test_between_zones_each_sends_and_is_sent() -> None:
    wires = Wires(LiveFlow("c", (HQ, LAB)))
    wires.carried["c"] = (1000, 250)
    wires.meter.sample(2.0)
    assert wires.newest("zone:hq") == (4000, 1000)
    assert wires.newest("zone:lab") == (1000, 4000)
    assert wires.newest("total") == (5000, 5000)


def test_a_sample_is_about_what_came_since_the_one_before() -> None:
    wires = Wires(LiveFlow("c", (HQ, OUTSIDE)))
    for octets in (1000, 1500, 1500):
        wires.carried["c"] = (octets, 0)
        wires.meter.sample(1.0)
    live = wires.meter.to_json()["total"]["live"]
    assert live["from_inside"] == [8000, 4000, 0]


def test_the_hour_is_kept_in_steps_and_the_last_minute_in_seconds() -> None:
    wires = Wires(LiveFlow("c", (HQ, OUTSIDE)))
    for second in range(KEPT_SECONDS + 25):
        wires.carried["c"] = (second * 125, 0)
        wires.meter.sample(1.0)
    told = wires.meter.to_json()["total"]
    assert len(told["hour"]["from_inside"]) == KEPT_SECONDS // STEP_SECONDS
    assert len(told["live"]["from_inside"]) == LIVE_SECONDS
    assert set(told["hour"]["from_inside"]) == {1000}


def test_a_call_that_ended_and_a_zone_that_is_gone_leave_nothing_behind() -> None:
    wires = Wires(LiveFlow("c", (HQ, OUTSIDE)))
    wires.carried["c"] = (1000, 0)
    wires.meter.sample(1.0)
    wires.flows, wires.zones = [], ["lab"]
    wires.meter.sample(1.0)
    assert set(wires.meter.to_json()) == {"total", "zone:lab"}
    assert wires.newest("total") == (0, 0)
