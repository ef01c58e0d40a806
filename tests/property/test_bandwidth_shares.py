"""However calls and limits are, what is shared out fits, and more room never means less for anybody."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from auth.principal import PartyId
from broker.core.bandwidth import ASK, FLOOR, Flow, Limit, share_out

LIMITS = st.lists(
    st.builds(
        Limit,
        st.sampled_from(["total", "hq", "each"]),
        st.sampled_from(["from_inside", "to_inside"]),
        st.sampled_from(["", "u-a", "u-b"]),
        st.integers(64_000, 20_000_000),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda limit: (limit.id, limit.way, limit.whose),
)


@st.composite
def flows(draw: st.DrawFn) -> list[Flow]:
    limits = draw(LIMITS)
    some = st.lists(st.sampled_from(limits), min_size=1, max_size=3, unique=True).map(tuple)
    names = st.sampled_from(["c-1", "c-2", "c-3", "c-4"])
    parties = st.sampled_from(["u-a", "u-b", "g-c"]).map(PartyId)
    return draw(
        st.lists(
            st.builds(Flow, names, parties, st.sampled_from(sorted(FLOOR)), some),
            min_size=1,
            max_size=24,
            unique_by=lambda flow: (flow.call_id, flow.sender, flow.medium),
        )
    )


def rate_of(shares: object, flow: Flow) -> int:
    assert isinstance(shares, dict)
    return int(shares[flow.call_id, flow.sender][flow.medium])


@given(flows())
def test_no_limit_is_exceeded_and_nobody_gets_more_than_they_ask_for(every: list[Flow]) -> None:
    found = share_out(every)
    for limit in {limit for flow in every for limit in flow.limits}:
        assert sum(rate_of(found, flow) for flow in every if limit in flow.limits) <= limit.bits_per_second
    for flow in every:
        assert 0 <= rate_of(found, flow) <= ASK[flow.medium]


@given(flows())
def test_where_the_floors_fit_everybody_has_theirs(every: list[Flow]) -> None:
    found = share_out(every)
    limits = {limit for flow in every for limit in flow.limits}
    if all(
        sum(FLOOR[flow.medium] for flow in every if limit in flow.limits) <= limit.bits_per_second
        for limit in limits
    ):
        assert all(rate_of(found, flow) >= FLOOR[flow.medium] for flow in every)


@given(flows(), st.randoms(use_true_random=False))
def test_the_order_of_calls_means_nothing(every: list[Flow], random: object) -> None:
    shuffled = list(every)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert share_out(shuffled) == share_out(every)


@given(flows(), st.integers(1, 5_000_000))
def test_more_room_never_means_less_for_anybody(every: list[Flow], more: int) -> None:
    def wider(flow: Flow) -> Flow:
        limits = tuple(replace(limit, bits_per_second=limit.bits_per_second + more) for limit in flow.limits)
        return replace(flow, limits=limits)

    before, after = share_out(every), share_out([wider(flow) for flow in every])
    assert all(rate_of(after, flow) >= rate_of(before, flow) for flow in every)
