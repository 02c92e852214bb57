"""A subgraph over HTTP: what is asked once, what again, and what is left alone for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from raw_servers import request_of, serving

from gov_services.federation.breaker import Breaker, Permit
from gov_services.federation.http1 import Endpoint, HttpClient
from gov_services.federation.remote import Headers, RemotePolicy, RemoteSubgraph
from gov_services.federation.transports import SubgraphRequest, SubgraphResponse, SubgraphUnavailable

BODY = b'{"query":"{a}","variables":{}}'


def request_for(kind: str = "query", body: bytes = BODY) -> SubgraphRequest:
    return SubgraphRequest(subgraph="a", document="{a}", document_hash="", operation_kind=kind, variables={}, body=body)


class Place:
    """A subgraph whose answers a test gives, and how often it was asked."""

    def __init__(self, answer: Callable[[int], bytes], *, pause_s: float = 0.0) -> None:
        self._answer, self._pause_s = answer, pause_s
        self.asked = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        while True:
            await request_of(reader)
            self.asked += 1
            answer = self._answer(self.asked)
            await asyncio.sleep(self._pause_s)
            writer.write(answer)


def said(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def fetches(
    place: Place, *requests: SubgraphRequest, headers: Headers = (), policy: RemotePolicy | None = None
) -> list[SubgraphResponse | BaseException]:
    """All requests at once."""
    async with serving(place) as (server, _):
        client = HttpClient()
        url = f"http://127.0.0.1:{server.port}/graphql"
        numbers = iter(range(100))
        remote = RemoteSubgraph(
            "a",
            url,
            client,
            policy=policy or RemotePolicy(backoff_s=0.01),
            headers=lambda context, _: headers or ((b"X", str(context or next(numbers)).encode()),),
        )
        found = await asyncio.gather(
            *(remote.fetch(item, context="" if headers else None) for item in requests), return_exceptions=True
        )
        await client.aclose()
        return found


SAME: Headers = ((b"Authorization", b"Bearer a"),)


async def test_equal_reads_with_equal_headers_are_one_request_and_each_gets_data_of_its_own() -> None:
    place = Place(lambda _: said(b'{"data":{"a":[1]}}'), pause_s=0.05)
    first, second, third = await fetches(place, *[request_for()] * 3, headers=SAME)
    assert place.asked == 1
    assert isinstance(first, SubgraphResponse)
    assert isinstance(second, SubgraphResponse)
    assert first.data == second.data == {"a": [1]}
    assert first.data is not second.data
    assert isinstance(third, SubgraphResponse)


async def test_other_headers_other_bodies_and_changes_are_asked_apart() -> None:
    place = Place(lambda _: said(b'{"data":{}}'), pause_s=0.05)
    await fetches(place, *[request_for()] * 3)
    assert place.asked == 3
    place = Place(lambda _: said(b'{"data":{}}'), pause_s=0.05)
    await fetches(place, request_for(), request_for(body=BODY + b" "), *[request_for("mutation")] * 2, headers=SAME)
    assert place.asked == 4


async def test_who_gives_up_takes_nobody_with_them() -> None:
    place = Place(lambda _: said(b'{"data":{"a":1}}'), pause_s=0.1)
    async with serving(place) as (server, _):
        client = HttpClient()
        remote = RemoteSubgraph("a", f"http://127.0.0.1:{server.port}/", client)
        leader = asyncio.create_task(remote.fetch(request_for(), context=None))
        await asyncio.sleep(0.02)
        others = [asyncio.create_task(remote.fetch(request_for(), context=None)) for _ in range(2)]
        await asyncio.sleep(0.02)
        leader.cancel()
        assert [(await item).data for item in others] == [{"a": 1}] * 2
        assert place.asked == 2, "one of the others asked for both"
        await client.aclose()


async def test_a_read_is_tried_again_after_a_proxys_error_and_a_change_is_not() -> None:
    def at_first_away(number: int) -> bytes:
        return said(b"<html>", "503 Service Unavailable", "text/html") if number == 1 else said(b'{"data":{"a":1}}')

    place = Place(at_first_away)
    (found,) = await fetches(place, request_for())
    assert isinstance(found, SubgraphResponse)
    assert place.asked == 2

    place = Place(at_first_away)
    (found,) = await fetches(place, request_for("mutation"))
    assert isinstance(found, SubgraphUnavailable)
    assert place.asked == 1


@pytest.mark.parametrize(
    ("answer", "is_answer"),
    [
        (said(b'{"data":null,"errors":[{"message":"x"}]}', "400 Bad", "application/graphql-response+json"), True),
        (said(b'{"errors":[{"message":"x"}]}', "500 Error"), True),
        (said(b'{"data":{}}', "500 Error", "text/html"), False),
        (said(b"<html>"), False),
        (said(b"[]"), False),
        (said(b'{"message":"gone"}'), False),
        (said(b'{"data":[]}'), False),
    ],
)
async def test_what_is_a_graphql_answer(answer: bytes, is_answer: bool) -> None:
    (found,) = await fetches(Place(lambda _: answer), request_for("mutation"))
    assert isinstance(found, SubgraphResponse if is_answer else SubgraphUnavailable), found


async def test_a_subgraph_that_failed_too_often_is_left_alone() -> None:
    place = Place(lambda _: said(b"<html>", "502 Bad Gateway", "text/html"))
    await fetches(place, *[request_for("mutation", body=b'{"n":%d}' % number) for number in range(10)])
    asked = place.asked
    assert asked == 10
    async with serving(place) as (server, _):
        client, clock = HttpClient(), Breaker(least=2, rest_s=60)
        remote = RemoteSubgraph("a", f"http://127.0.0.1:{server.port}/", client, breaker=clock)
        for _ in range(5):
            with pytest.raises(SubgraphUnavailable):
                await remote.fetch(request_for("mutation"), context=None)
        assert place.asked == asked + 2
        await client.aclose()


class BreakerRules(RuleBasedStateMachine):
    """Whatever happens: closed it lets all through, open nobody but one try at a time, after its rest."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(window_s=10, least=3, share=0.5, rest_s=2)
        self.now = 0.0
        self.out: list[Permit] = []
        self.opened_at = 0.0

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def call(self) -> None:
        was_open = self.breaker.is_open
        permit = self.breaker.permit(self.now)
        if not was_open:
            assert permit is Permit.CALL
        elif permit is not None:
            assert permit is Permit.TRIAL
            assert self.now >= self.opened_at + 2
            assert Permit.TRIAL not in self.out
        if permit is not None:
            self.out.append(permit)

    @precondition(lambda self: self.out)
    @rule(failed=st.booleans(), data=st.data())
    def end(self, failed: bool, data: st.DataObject) -> None:
        permit = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        was_open = self.breaker.is_open
        self.breaker.note(permit, self.now, failed=failed)
        if permit is Permit.TRIAL:
            assert self.breaker.is_open is failed
        if self.breaker.is_open and (not was_open or permit is Permit.TRIAL):
            assert failed
            self.opened_at = self.now

    @precondition(lambda self: self.out)
    @rule()
    def give_up(self) -> None:
        self.breaker.forget(self.out.pop())

    @invariant()
    def one_try_at_most(self) -> None:
        assert self.out.count(Permit.TRIAL) <= 1


TestBreakerRules = BreakerRules.TestCase


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no http"):
        Endpoint("nowhere", accept="*/*")
