"""The stream `timejump.v1` for a client that is not Rust: Python's grpcio, by reflection alone and from the proto.

    python stream_test.py TIMEJUMP_FEED TIMEJUMP_CRI [NAME...]

No clock is touched: `timejump-feed` makes the jumps up, `timejump-cri` the containers.
"""

import functools
import importlib
import json
import pathlib
import stat
import sys
import tempfile
import threading
import time
import unittest

import grpc
from grpc_tools import protoc

import runner
from certificates import Authority
from cri import Cri
from dynamic import HEALTH, LOCALHOST, TIMEJUMP, Client, kind, sequences, take, take_up_to
from feed import PATIENCE, Feed

PROTO = pathlib.Path(__file__).resolve().parent.parent.parent / "detector" / "proto"
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
BINARY = None
CRI = None


class Case(unittest.TestCase):
    """With a folder of its own, and feeds and clients that end with the test."""

    def setUp(self):
        home = tempfile.TemporaryDirectory(prefix="timejump-")
        self.addCleanup(home.cleanup)
        self.home = pathlib.Path(home.name)

    def feed(self, *arguments):
        feed = Feed(BINARY, self.home, *arguments)
        self.addCleanup(feed.kill)
        return feed

    def node(self, *arguments):
        """A made-up runtime, a feed that looks at it for what jumps spoil, and a client."""
        cri = Cri(CRI, self.home, *arguments)
        self.addCleanup(cri.kill)
        feed, client = self.pair("--cri-endpoint", cri.socket)
        # It has been looked at once.
        self.until(lambda: client.call("GetStatus").node.listed_boottime_ns, "nobody looked at the node")
        return cri, feed, client

    def client(self, target, credentials=None, options=()):
        client = Client(target, credentials, options)
        self.addCleanup(client.close)
        return client

    def pair(self, *arguments):
        feed = self.feed(*arguments)
        return feed, self.client(feed.target)

    def refused(self, code, call):
        """Whatever `call` does must end with that code; its words are given back."""
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code, caught.exception)
        return caught.exception.details()

    def until(self, done, what):
        """Waits until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.01)

    def stored(self, client, sequence):
        """Waits until that jump is stored."""

        def there():
            newest = client.call("ListJumps", {"newestFirst": True, "pageSize": 1, "filter": EVERYTHING}).jumps
            return bool(newest) and newest[0].sequence >= sequence

        self.until(there, f"jump {sequence} was never stored")

    def hand_out(self, feed, client, count):
        """Lets that many jumps happen, and waits until whoever follows has them."""
        stream = client.watch()
        feed.jumps(count)
        take(stream, count)
        stream.cancel()


@functools.cache
def generated():
    """Messages and stubs, as protoc makes them."""
    with tempfile.TemporaryDirectory(prefix="timejump-") as home:
        done = protoc.main(
            ["protoc", f"-I{PROTO}", f"--python_out={home}", f"--grpc_python_out={home}"]
            + ["timejump/v1/timejump.proto"]
        )
        assert done == 0, done
        sys.path.insert(0, home)
        try:
            names = ("timejump.v1.timejump_pb2", "timejump.v1.timejump_pb2_grpc")
            return tuple(importlib.import_module(name) for name in names)
        finally:
            sys.path.remove(home)


# Quiet jumps as well.
EVERYTHING = {"minForwardNs": 0, "minBackwardNs": 0}


class Finding(Case):
    def test_reflection_lists_the_services(self):
        _, client = self.pair()
        services = client.services()
        self.assertIn(TIMEJUMP, services)
        self.assertIn(HEALTH, services)
        methods = set(client.pool.FindServiceByName(TIMEJUMP).methods_by_name)
        self.assertEqual(
            methods,
            {"Watch", "ListJumps", "GetJump", "ListImpacts", "ListContainers", "ListTokens", "GetIncident", "GetStatus", "PlanRemedies"},
        )

    def test_reflection_answers_in_both_versions(self):
        from grpc_reflection.v1alpha import reflection_pb2 as messages

        _, client = self.pair()
        for version in ("v1", "v1alpha"):
            # The two differ in name only.
            ask = client.channel.stream_stream(
                f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                messages.ServerReflectionRequest.SerializeToString,
                messages.ServerReflectionResponse.FromString,
            )
            answers = ask(iter([messages.ServerReflectionRequest(list_services="")]), timeout=PATIENCE)
            names = [service.name for service in next(answers).list_services_response.service]
            self.assertIn(TIMEJUMP, names, version)

    def test_health_says_serving(self):
        _, client = self.pair()
        for service in ("", TIMEJUMP):
            answer = client.call("Check", {"service": service}, service=HEALTH)
            serving = type(answer).DESCRIPTOR.enum_types_by_name["ServingStatus"].values_by_name["SERVING"].number
            self.assertEqual(answer.status, serving, service)
        self.refused(grpc.StatusCode.NOT_FOUND, lambda: client.call("Check", {"service": "x"}, service=HEALTH))

    def test_from_the_proto(self):
        v1, stubs = generated()
        feed = self.feed()
        with grpc.insecure_channel(feed.target, LOCALHOST) as channel:
            stub = stubs.TimeJumpStub(channel)
            wanted = v1.Filter(direction=v1.DIRECTION_BACKWARD, paths=[v1.STEP_PATH_ADJTIMEX])
            stream = stub.Watch(v1.WatchRequest(from_sequence=1, filter=wanted), timeout=PATIENCE)
            stream.initial_metadata()
            # It begins with where it begins.
            beginning = next(stream)
            self.assertEqual((kind(beginning), beginning.position), ("heartbeat", 0))
            feed.tell({"delta_ns": 5}, {"delta_ns": -5 * SECOND, "path": "adjtimex", "comm": "chronyd", "at_ms": 1000})
            response = next(stream)
            self.assertEqual(kind(response), "jump")
            jump = response.jump
            self.assertEqual((jump.sequence, jump.delta_ns, jump.boottime_ns), (2, -5 * SECOND, SECOND))
            self.assertEqual((jump.path, jump.captured_by), (v1.STEP_PATH_ADJTIMEX, v1.CAPTURED_BY_FENTRY))
            self.assertEqual((jump.actor.kind, jump.actor.comm), (v1.ACTOR_KIND_PROCESS, "chronyd"))
            self.assertEqual(jump.wall_after_ns - jump.wall_before_ns, jump.delta_ns)
            self.assertEqual(jump.new_offset_ns - jump.old_offset_ns, jump.delta_ns)
            self.assertFalse(jump.HasField("window"))
            self.assertEqual(stub.GetJump(v1.GetJumpRequest(sequence=2)).jump, jump)
            self.assertEqual(stub.GetStatus(v1.GetStatusRequest()).ledger.jumps, 2)
            stream.cancel()


class Asking(Case):
    def test_status(self):
        feed, client = self.pair("--http", "127.0.0.1:0", "--max-consumers", "7")
        stream = client.watch()
        feed.tell({"delta_ns": 3 * SECOND}, {"delta_ns": -SECOND}, {"delta_ns": 5})
        self.stored(client, 3)
        self.until(lambda: client.call("GetStatus").store.jumps == 3, "the store's report")
        status = client.call("GetStatus")
        self.assertEqual(status.rung, "fentry")
        self.assertEqual([rung.state for rung in status.rungs], ["in_use"] + 4 * ["available"])
        self.assertEqual(len(status.coverage), 6)
        ledger = status.ledger
        self.assertEqual((ledger.jumps, ledger.last_sequence), (3, 3))
        self.assertEqual(ledger.sum_of_deltas_ns, 2 * SECOND + 5)
        self.assertEqual(ledger.offset_ns - ledger.start_offset_ns, ledger.sum_of_deltas_ns)
        self.assertEqual((status.store.state, status.store.jumps, status.store.backlog), ("ok", 3, 0))
        self.assertEqual(pathlib.Path(status.store.path).parent, self.home / "state")
        listeners = {listener.kind: listener for listener in status.listeners}
        self.assertEqual({listener.state for listener in listeners.values()}, {"listening"})
        self.assertEqual(listeners["unix"].address, str(feed.socket))
        self.assertNotEqual(listeners["http"].address, "127.0.0.1:0", "the port can be found")
        self.assertEqual((status.consumers.now, status.consumers.limit, status.consumers.lagged), (1, 7, 0))
        stream.cancel()

    def pages(self, client, method, request, field):
        """The pages of a list, asked for one by one to the end."""
        pages, token = [], ""
        while True:
            response = client.call(method, {**request, "pageToken": token})
            pages.append(list(getattr(response, field)))
            token = response.next_page_token
            if not token:
                return pages

    def test_jumps_come_in_pages(self):
        feed, client = self.pair()
        feed.jumps(25)
        self.stored(client, 25)
        for size, lengths in ((7, [7, 7, 7, 4]), (5, [5] * 5), (25, [25]), (24, [24, 1]), (0, [25])):
            for newest_first in (False, True):
                request = {"pageSize": size, "newestFirst": newest_first}
                pages = self.pages(client, "ListJumps", request, "jumps")
                self.assertEqual([len(page) for page in pages], lengths, request)
                listed = [jump.sequence for page in pages for jump in page]
                self.assertEqual(listed, sorted(range(1, 26), reverse=newest_first), request)
        nonsense = {"pageToken": "nonsense"}
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: client.call("ListJumps", nonsense))

    def test_pages_are_at_most_1000_and_by_default_100(self):
        feed, client = self.pair()
        feed.jumps(1100)
        self.stored(client, 1100)
        for size, lengths in ((5000, [1000, 100]), (0, [100] * 11)):
            pages = self.pages(client, "ListJumps", {"pageSize": size}, "jumps")
            self.assertEqual([len(page) for page in pages], lengths)
            self.assertEqual([jump.sequence for page in pages for jump in page], list(range(1, 1101)))
        # One that comes while somebody turns pages is on the last.
        first = client.call("ListJumps", {"pageSize": 1000})
        feed.jumps(1)
        self.stored(client, 1101)
        second = client.call("ListJumps", {"pageSize": 1000, "pageToken": first.next_page_token})
        self.assertEqual([jump.sequence for jump in second.jumps], list(range(1001, 1102)))

    def test_few_among_many_are_found(self):
        feed, client = self.pair()
        wanted = []
        for at in range(1, 701):
            rare = at % 300 == 0
            wanted += [at] if rare else []
            feed.tell({"delta_ns": SECOND, "comm": "rare" if rare else "common"})
        self.stored(client, 700)
        request = {"pageSize": 1, "filter": {"actor": {"comm": "rare"}}}
        pages = self.pages(client, "ListJumps", request, "jumps")
        self.assertEqual([jump.sequence for page in pages for jump in page], wanted)

    def test_jumps_of_a_time(self):
        feed, client = self.pair()
        # Minutes after boot at which it goes an hour ahead, back, and a second ahead.
        for minute, delta in ((1, HOUR), (2, -HOUR), (200, SECOND)):
            feed.tell({"delta_ns": delta, "at_ms": minute * 60_000})
        self.stored(client, 3)
        start = client.call("GetStatus").ledger.start_offset_ns

        def listed(**request):
            return [jump.sequence for jump in client.call("ListJumps", request).jumps]

        def wall(minutes):
            return start + minutes * 60 * SECOND

        self.assertEqual(listed(), [1, 2, 3])
        # While the clock was an hour ahead it showed that.
        self.assertEqual(listed(sinceWallNs=wall(30)), [1, 2, 3])
        self.assertEqual(listed(sinceWallNs=wall(100)), [3])
        self.assertEqual(listed(sinceWallNs=wall(100), sinceBoottimeNs=2 * 60 * SECOND), [2, 3])
        self.assertEqual(listed(sinceBoottimeNs=2 * 60 * SECOND), [2, 3])
        self.assertEqual(listed(untilWallNs=wall(30)), [1, 2])
        self.assertEqual(listed(untilWallNs=wall(1) - 1), [])
        self.assertEqual(listed(sinceWallNs=wall(61), untilWallNs=wall(100)), [1, 2])

    def test_a_jump_with_its_excursion(self):
        feed, client = self.pair()
        feed.tell({"delta_ns": HOUR, "at_ms": 60_000, "synchronised": True, "comm": "date"})
        feed.tell({"delta_ns": SECOND, "at_ms": 60_500, "synchronised": False, "comm": "date"})
        feed.tell({"delta_ns": -HOUR, "at_ms": 120_000, "comm": "chronyd"})
        feed.tell({"impact": {"id": 1, "jump": 1, "kind": "token_not_yet_valid", "message": "a token"}})
        feed.tell({"delta_ns": 5, "at_ms": 180_000})
        self.stored(client, 4)
        opened = client.call("GetJump", {"sequence": 1})
        closed = client.call("GetJump", {"sequence": 3})
        self.assertEqual((opened.jump.sequence, closed.jump.sequence), (1, 3))
        self.assertEqual(opened.excursion, closed.excursion)
        excursion = opened.excursion
        self.assertEqual((excursion.opened_by, excursion.closed_by), (1, 3))
        self.assertEqual((excursion.delta_ns, excursion.residual_ns), (HOUR, SECOND))
        self.assertEqual(excursion.closed_boottime_ns - excursion.opened_boottime_ns, 60 * SECOND)
        self.assertEqual((opened.other_end.sequence, closed.other_end.sequence), (3, 1))
        self.assertEqual(list(opened.jump.evidence), ["was_synchronised"])
        self.assertEqual(list(closed.jump.evidence), ["takes_back"])
        burst = opened.burst
        self.assertEqual((burst.first, burst.last, burst.steps), (1, 2, 2))
        self.assertEqual((burst.delta_ns, burst.duration_ns), (HOUR + SECOND, SECOND // 2))
        self.assertEqual([impact.message for impact in opened.impacts], ["a token"])
        quiet = client.call("GetJump", {"sequence": 4})
        self.assertFalse(quiet.jump.loud or quiet.HasField("excursion") or quiet.HasField("other_end"))

    def test_a_jump_that_is_not_there(self):
        _, client = self.pair()
        said = self.refused(grpc.StatusCode.NOT_FOUND, lambda: client.call("GetJump", {"sequence": 9}))
        self.assertIn("9", said)

    def test_impacts(self):
        feed, client = self.pair()
        live = client.watch(filter={"kinds": "KINDS_IMPACTS"})
        feed.jumps(2)
        for number in range(1, 8):
            subject = {"kind": "pod", "namespace": "prod", "name": f"web-{number}"}
            impact = {"id": number, "jump": 1 + number % 2, "kind": "token_not_yet_valid", "subject": subject}
            feed.tell({"impact": {**impact, "evidence": {"iat": number}, "from_wall_ns": number}})
        feed.tell({"impact": {"id": 3, "jump": 2, "kind": "token_not_yet_valid", "confidence": "refuted"}})
        told = [response.impact for response in take(live, 8)]
        live.cancel()
        # Told again with another confidence, an impact is the same.
        self.assertEqual([(impact.id, impact.confidence) for impact in told], [(n, 1) for n in range(1, 8)] + [(3, 3)])
        first = told[0]
        self.assertEqual((first.subject.kind, first.subject.namespace, first.subject.name), ("pod", "prod", "web-1"))
        self.assertEqual((first.evidence_json, first.from_wall_ns), ('{"iat":1}', 1))
        self.assertFalse(first.HasField("until_wall_ns"))
        # Of the past, only how it stands now.
        stream = client.watch(fromSequence=1, filter={"kinds": "KINDS_IMPACTS"})
        self.assertEqual([response.impact.id for response in take(stream, 7)], [1, 2, 4, 5, 6, 7, 3])
        stream.cancel()
        for size, lengths in ((3, [3, 3, 1]), (100, [7])):
            pages = self.pages(client, "ListImpacts", {"pageSize": size}, "impacts")
            self.assertEqual([len(page) for page in pages], lengths)
            self.assertEqual([impact.id for page in pages for impact in page], [1, 2, 3, 4, 5, 6, 7])
        pages = self.pages(client, "ListImpacts", {"jump": 2, "pageSize": 3}, "impacts")
        self.assertEqual([[impact.id for impact in page] for page in pages], [[1, 3, 5], [7]])


    def test_an_impact_with_both_clocks_and_its_end(self):
        feed, client = self.pair()
        live = client.watch(filter={"kinds": "KINDS_IMPACTS"})
        feed.jumps(1)
        impact = {"id": 1, "jump": 1, "kind": "probes_suspended", "boot_id": "b"}
        times = {"from_wall_ns": 7, "until_wall_ns": 90, "from_boottime_ns": 5, "until_boottime_ns": 88}
        feed.tell({"impact": {**impact, **times}})
        feed.tell({"impact": {"id": 1, "jump": 1, "kind": "probes_suspended", "state": "resolved"}})
        told, ended = [response.impact for response in take(live, 2)]
        live.cancel()
        states = type(told).DESCRIPTOR.fields_by_name["state"].enum_type.values_by_name
        opened, resolved = states["IMPACT_STATE_OPEN"].number, states["IMPACT_STATE_RESOLVED"].number
        self.assertEqual((told.state, told.boot_id), (opened, "b"))
        self.assertEqual((told.from_wall_ns, told.until_wall_ns), (7, 90))
        self.assertEqual((told.from_boottime_ns, told.until_boottime_ns), (5, 88))
        self.assertEqual(ended.state, resolved)
        for field in ("from_wall_ns", "until_wall_ns", "from_boottime_ns", "until_boottime_ns"):
            self.assertFalse(ended.HasField(field), field)
        # Of the past, how it stands now.
        self.assertEqual(client.call("ListImpacts").impacts[0].state, resolved)


STUCK = "runtime_cpu_baseline_stuck"
# The runtime has just begun, so it may have no sample of before the jump.
STANDS_STILL = ("stuck", "perhaps_stuck")


class Node(Case):
    def impacts(self, stream, done):
        """Entries of the stream until `done` says that they are enough."""
        told = []
        while not done(told):
            told.append(take(stream, 1)[0].impact)
        return told

    def test_containers(self):
        cri, feed, client = self.node("--pods", "2", "--containers", "2", "--namespace", "prod")
        before = client.call("ListContainers")
        self.assertEqual([container.cache for container in before.containers], 4 * ["sound"])
        self.assertFalse(before.HasField("last_jump"))
        first = before.containers[0]
        self.assertEqual((first.pod.namespace, first.attempt, len(first.id)), ("prod", 0, 64))
        for field in ("kind", "impact", "jump", "confidence", "until_wall_ns", "remaining_ns"):
            self.assertFalse(first.HasField(field), field)
        stream = client.watch(filter={"kinds": "KINDS_IMPACTS"})
        cri.tell(f"jump {-HOUR}")
        feed.tell({"delta_ns": -HOUR})
        told = self.impacts(stream, lambda told: sum(impact.kind == STUCK for impact in told) == 4)
        for impact in (impact for impact in told if impact.kind == STUCK):
            self.assertEqual((impact.jump, impact.state, impact.confidence), (1, 1, 1))
            lasts = impact.until_boottime_ns - impact.from_boottime_ns
            self.assertEqual(lasts, HOUR, "until the wall clock shows again what it showed before")
            self.assertEqual(impact.until_wall_ns - impact.from_wall_ns, lasts)
            self.assertEqual(json.loads(impact.evidence_json)["holder"], "containerd 1.7.24")
        after = client.call("ListContainers")
        self.assertEqual((after.last_jump.sequence, after.last_jump.delta_ns), (1, -HOUR))
        self.assertEqual({container.id for container in after.containers}, {it.id for it in before.containers})
        numbers = {impact.id for impact in told if impact.kind == STUCK}
        self.assertEqual({container.impact for container in after.containers}, numbers)
        for container in after.containers:
            self.assertIn(container.cache, STANDS_STILL)
            self.assertEqual((container.kind, container.jump), (STUCK, 1))
            self.assertEqual(container.until_boottime_ns - after.now_boottime_ns, container.remaining_ns)
            self.assertLess(abs(container.until_wall_ns - after.now_wall_ns - container.remaining_ns), SECOND)
        cri.tell(f"jump {HOUR}")
        feed.tell({"delta_ns": HOUR})
        ended = self.impacts(stream, lambda told: sum(it.kind == STUCK and it.state == 2 for it in told) == 4)
        stream.cancel()
        whys = {json.loads(impact.evidence_json)["ended"] for impact in ended if impact.kind == STUCK}
        self.assertEqual(whys, {"clock_stepped"})

    def test_status_tells_of_the_node(self):
        cri, feed, client = self.node("--profile", "cri-dockerd", "--pods", "1", "--containers", "3")
        node = client.call("GetStatus").node
        self.assertEqual((node.runtime_ok, node.runtime_state, node.containers), (True, "answers", 3))
        runtime = node.runtime
        self.assertEqual((runtime.name, runtime.version, runtime.api), ("docker", "20.10.24", "v1"))
        self.assertEqual((runtime.endpoint, getattr(runtime, "class")), (str(cri.socket), "kubelet_cache"))
        self.assertEqual(runtime.process.pid, cri.process.pid)
        self.assertEqual(list(node.open), [])
        feed.tell({"delta_ns": -HOUR})

        def stuck():
            found = client.call("GetStatus").node.open
            return [(it.count, it.confidence) for it in found if it.kind == "kubelet_cpu_cache_stuck"]

        self.until(lambda: stuck() == [(3, 1)], "three that are predicted")
        # Gone: that is told, and what is known of it stays.
        cri.kill()
        self.assertEqual(len(client.call("ListContainers").containers), 3)
        node = client.call("GetStatus").node
        self.assertFalse(node.runtime_ok)
        self.assertIn("cannot connect to", node.runtime_state)
        self.assertEqual(node.runtime.name, "docker")

    def test_containers_from_the_proto(self):
        v1, stubs = generated()
        cri, feed, _ = self.node("--profile", "containerd-2.4", "--pods", "1", "--containers", "1")
        with grpc.insecure_channel(feed.target, LOCALHOST) as channel:
            stub = stubs.TimeJumpStub(channel)
            wanted = v1.Filter(kinds=v1.KINDS_IMPACTS)
            stream = stub.Watch(v1.WatchRequest(filter=wanted), timeout=PATIENCE)
            stream.initial_metadata()
            cri.tell(f"jump {-HOUR}")
            feed.tell({"delta_ns": -HOUR})
            impact = take(stream, 1)[0].impact
            stream.cancel()
            self.assertEqual((impact.kind, impact.state), ("runtime_cpu_frozen", v1.IMPACT_STATE_OPEN))
            self.assertEqual((impact.confidence, impact.remedy), (v1.CONFIDENCE_PREDICTED, v1.REMEDY_RESTART_RUNTIME))
            listed = stub.ListContainers(v1.ListContainersRequest())
            self.assertEqual([it.impact for it in listed.containers], [impact.id])
            self.assertIn(listed.containers[0].cache, STANDS_STILL)
            self.assertEqual(stub.GetStatus(v1.GetStatusRequest()).node.runtime, listed.node.runtime)


class Following(Case):
    def test_live_each_once_and_in_order(self):
        feed, client = self.pair()
        self.hand_out(feed, client, 5)
        stream = client.watch()
        feed.jumps(300)
        taken = take(stream, 300)
        feed.jumps(1)
        taken += take(stream, 1)
        self.assertEqual(sequences(taken), list(range(6, 307)))
        positions = [response.position for response in taken]
        self.assertEqual(positions, sorted(set(positions)))
        stream.cancel()

    def test_replay_then_live_while_jumps_keep_coming(self):
        feed, client = self.pair()
        feed.jumps(300)
        self.stored(client, 300)
        last = 2300

        def keep_on():
            for _ in range(last - 300):
                feed.jumps(1)
                # All at once they would be over before anybody follows.
                time.sleep(0.001)

        feeder = threading.Thread(target=keep_on)
        feeder.start()
        self.addCleanup(feeder.join)
        # Each begins at another moment of the storm, half of them far back and half with what has just come.
        results = []

        def follow(first):
            stream = client.watch(fromSequence=first)
            results.append((first, sequences(take(stream, last - first + 1))))
            stream.cancel()

        followers = []
        for at in range(24):
            newest = 300 + at * 50
            self.stored(client, newest)
            follower = threading.Thread(target=follow, args=(newest if at % 2 else 1 + at * 12,))
            follower.start()
            followers.append(follower)
        for follower in followers:
            follower.join(PATIENCE)
        self.assertEqual(len(results), len(followers), "some failed")
        for first, got in results:
            self.assertEqual(got, list(range(first, last + 1)))

    def test_a_future_number_waits(self):
        feed, client = self.pair()
        feed.jumps(3)
        self.stored(client, 3)
        stream = client.watch(fromSequence=4)
        # A position that there never was is of a store that was lost.
        lost = client.watch(afterPosition=1_000_000)
        feed.jumps(2)
        self.assertEqual(sequences(take(stream, 2)), [4, 5])
        while sequences(take(lost, 1)) != [5]:
            pass
        stream.cancel()
        lost.cancel()

    def test_goes_on_after_a_broken_connection(self):
        feed, client = self.pair()
        first = self.client(feed.target, options=[("grpc.use_local_subchannel_pool", 1)])
        stream = first.watch()
        feed.jumps(40)
        taken = take(stream, 10)
        first.close()
        again = client.watch(afterPosition=taken[-1].position)
        feed.jumps(10)
        rest = take(again, 40)
        again.cancel()
        self.assertEqual(sequences(taken + rest), list(range(1, 51)))

    def test_goes_on_after_the_daemon_ended(self):
        feed, client = self.pair()
        feed.tell({"delta_ns": HOUR, "at_ms": 1000})
        feed.jumps(9)
        stream = client.watch(fromSequence=1)
        taken = take(stream, 4)
        stream.cancel()
        client.close()
        self.assertEqual(feed.end(), 0)
        feed, client = self.pair()
        again = client.watch(afterPosition=taken[-1].position)
        feed.jumps(5)
        rest = take(again, 11)
        again.cancel()
        self.assertEqual(sequences(taken + rest), list(range(1, 16)))
        # The excursion is still open.
        feed.tell({"delta_ns": -HOUR - 13 * SECOND})
        self.stored(client, 16)
        self.assertEqual(client.call("GetJump", {"sequence": 16}).excursion.opened_by, 1)

    def test_filters(self):
        feed, client = self.pair()
        process = {"kind": "process", "pid": 5, "comm": "ntpd"}
        feed.tell(
            {"delta_ns": 5 * SECOND, "path": "clock_settime", "comm": "date"},
            {"delta_ns": -5 * SECOND, "path": "adjtimex", "comm": "chronyd"},
            {"delta_ns": 60 * SECOND, "path": "settimeofday", "comm": "chronyd"},
            {"delta_ns": -60 * SECOND, "path": "leap_second", "actor": {"kind": "kernel"}},
            {"delta_ns": 5},
            {"delta_ns": -5},
            {"delta_ns": SECOND, "actor": {**process, "unit": "ntp.service", "container_id": "0123456789abcdef"}},
            {"delta_ns": SECOND, "actor": {**process, "pod": {"uid": "u-1"}}},
            {"impact": {"id": 1, "jump": 1, "kind": "token_not_yet_valid"}},
        )
        self.stored(client, 8)
        large = {"minForwardNs": 60 * SECOND, "minBackwardNs": 60 * SECOND}
        loud = [1, 2, 3, 4, 7, 8]
        cases = [
            ({}, loud, True),
            (EVERYTHING, [1, 2, 3, 4, 5, 6, 7, 8], True),
            ({"minForwardNs": 60 * SECOND}, [2, 3, 4], True),
            ({"minBackwardNs": 5 * SECOND + 1}, [1, 3, 4, 7, 8], True),
            (large, [3, 4], True),
            ({"minBackwardNs": 5}, [1, 2, 3, 4, 6, 7, 8], True),
            ({"direction": "DIRECTION_FORWARD"}, [1, 3, 7, 8], True),
            ({"direction": "DIRECTION_BACKWARD"}, [2, 4], True),
            ({"direction": "DIRECTION_BACKWARD", **EVERYTHING}, [2, 4, 6], True),
            ({"paths": ["STEP_PATH_ADJTIMEX", "STEP_PATH_LEAP_SECOND"]}, [2, 4], True),
            ({"actor": {"comm": "chronyd"}}, [2, 3], True),
            ({"actor": {"comm": "chronyd"}, "direction": "DIRECTION_FORWARD"}, [3], True),
            ({"actor": {"kinds": ["ACTOR_KIND_KERNEL"]}}, [4], True),
            ({"actor": {"kinds": ["ACTOR_KIND_KERNEL", "ACTOR_KIND_UNKNOWN"]}, **EVERYTHING}, [4, 5, 6], True),
            ({"actor": {"unit": "ntp.service"}}, [7], True),
            ({"actor": {"containerId": "01234567"}}, [7], True),
            ({"actor": {"podUid": "u-1"}}, [8], True),
            ({"actor": {"comm": "ntpd", "podUid": "u-2"}}, [], True),
            ({"kinds": "KINDS_JUMPS"}, loud, False),
            ({"kinds": "KINDS_IMPACTS"}, [], True),
        ]
        replayed = [client.watch(fromSequence=1, heartbeatMs=1000, filter=wanted) for wanted, _, _ in cases]
        for stream, (wanted, jumps, impact) in zip(replayed, cases):
            # What is passed over counts.
            entries = take_up_to(stream, 9)
            stream.cancel()
            self.assertEqual(sequences([entry for entry in entries if kind(entry) != "impact"]), jumps, wanted)
            self.assertEqual(len(entries) - len(jumps), int(impact), wanted)
            if wanted.get("kinds") != "KINDS_IMPACTS":
                listed = client.call("ListJumps", {"filter": wanted}).jumps
                self.assertEqual([jump.sequence for jump in listed], jumps, wanted)
        # Live: what is like the second comes to whoever wanted that.
        live = [client.watch(heartbeatMs=1000, filter=wanted) for wanted, _, _ in cases]
        feed.jumps(1, delta_ns=-5 * SECOND, path="adjtimex", comm="chronyd")
        for stream, (wanted, jumps, _) in zip(live, cases):
            entries = take_up_to(stream, 10)
            stream.cancel()
            self.assertEqual(sequences(entries), [9] if 2 in jumps else [], wanted)

    def test_nonsense_in_a_filter(self):
        feed, client = self.pair()
        for wanted, named in (
            ({"direction": 99}, "direction"),
            ({"paths": [99]}, "path"),
            ({"paths": ["STEP_PATH_UNSPECIFIED"]}, "path"),
            ({"actor": {"kinds": [99]}}, "actor kind"),
            ({"kinds": 99}, "kinds"),
        ):
            said = self.refused(
                grpc.StatusCode.INVALID_ARGUMENT, lambda: next(client.call("Watch", {"filter": wanted}))
            )
            self.assertIn(named, said)
            self.refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: client.call("ListJumps", {"filter": wanted}))
        self.assertEqual(client.call("GetStatus").consumers.now, 0)

    def test_heartbeats(self):
        feed, client = self.pair()
        self.hand_out(feed, client, 3)
        begun = time.monotonic()
        stream = client.watch(heartbeatMs=1000, filter={"direction": "DIRECTION_BACKWARD"})
        hasty = client.watch(heartbeatMs=1)
        first = next(stream)
        self.assertEqual(kind(first), "heartbeat")
        self.assertGreater(first.heartbeat.boottime_ns, 0)
        feed.jumps(2)
        # What the filter passed over is behind.
        position, heartbeats = first.position, 1
        while position < first.position + 2:
            second = next(stream)
            self.assertEqual(kind(second), "heartbeat")
            self.assertGreater(second.heartbeat.boottime_ns, first.heartbeat.boottime_ns)
            position = second.position
            heartbeats += 1
        # The first came at once.
        self.assertLess(heartbeats - 1, time.monotonic() - begun + 0.1, "one a second")
        self.assertEqual(position, first.position + 2)
        stream.cancel()
        # Nobody gets more than one a second.
        got = [next(hasty)]
        while kind(got[-1]) != "jump":
            got.append(next(hasty))
        self.assertLessEqual(len(got), time.monotonic() - begun + 2)
        self.assertEqual(sequences([got[-1]] + take(hasty, 1)), [4, 5])
        hasty.cancel()
        # Whoever goes on from a heartbeat gets what comes then.
        again = client.watch(afterPosition=position)
        feed.jumps(1)
        self.assertEqual(sequences(take(again, 1)), [6])
        again.cancel()

    def test_trouble_is_told_to_everybody(self):
        feed, client = self.pair()
        stream = client.watch(filter={"kinds": "KINDS_IMPACTS"})
        feed.tell({"delta_ns": SECOND}, {"missed": 3}, {"alarm": "hook_silent", "message": "a hook is silent"})
        lagged, alarm = take(stream, 2)
        self.assertEqual((lagged.lagged.missed, lagged.lagged.at), (3, 2))
        self.assertEqual((alarm.alarm.kind, alarm.alarm.message), ("hook_silent", "a hook is silent"))
        stream.cancel()

    def test_graceful_end(self):
        feed, client = self.pair()
        streams = [client.watch(fromSequence=1) for _ in range(3)]
        feed.jumps(500)
        ended = []
        ending = threading.Thread(target=lambda: ended.append(feed.end()))
        ending.start()
        for stream in streams:
            self.assertEqual(sequences(list(stream)[1:]), list(range(1, 501)))
            self.assertEqual(stream.code(), grpc.StatusCode.OK)
        ending.join(PATIENCE)
        self.assertEqual(ended, [0])
        self.assertFalse(feed.socket.exists())


class Limits(Case):
    def test_a_consumer_that_stops_reading_learns_what_it_missed(self):
        feed, client = self.pair()
        # Nothing but the usual window of HTTP/2 holds entries on the way.
        narrow = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
        stuck = self.client(feed.target, options=narrow)
        standing = stuck.watch()
        going = client.watch()
        actor = {"kind": "process", "comm": "x", "cmdline": "x" * 1000}
        fed, got = 3000, []
        for _ in range(fed // 100):
            feed.jumps(100, actor=actor)
            # Whoever keeps up gets everything.
            got += sequences(take(going, 100))
        going.cancel()
        self.assertEqual(got, list(range(1, fed + 1)))
        received, missed, before_lag = [], 0, None
        while len(received) + missed < fed:
            response = take(standing, 1)[0]
            if kind(response) == "lagged":
                before_lag = before_lag or position
                self.assertEqual(response.lagged.at, 1)
                missed += response.lagged.missed
            else:
                received += sequences([response])
            position = response.position
        self.assertEqual(received, sorted(set(received)))
        self.assertGreater(missed, 500)
        self.assertEqual(len(received) + missed, fed)
        self.assertEqual(client.call("GetStatus").consumers.lagged, missed)
        # It goes on, and what it missed is in the store.
        feed.jumps(1)
        self.assertEqual(sequences(take(standing, 1)), [fed + 1])
        standing.cancel()
        again = client.watch(afterPosition=before_lag)
        last_before = max(number for number in received if number <= before_lag)
        self.assertEqual(sequences(take(again, fed + 1 - last_before)), list(range(last_before + 1, fed + 2)))
        again.cancel()

    def test_consumers_have_a_limit(self):
        feed, client = self.pair("--max-consumers", "2")
        first, second = client.watch(), client.watch()
        said = self.refused(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: next(client.call("Watch")))
        self.assertIn("--max-consumers", said)
        client.call("GetStatus")
        first.cancel()
        self.until(lambda: client.call("GetStatus").consumers.now == 1, "a place never became free")
        third = client.watch()
        feed.jumps(1)
        for stream in (second, third):
            self.assertEqual(sequences(take(stream, 1)), [1])
            stream.cancel()

    def test_large_requests_are_refused(self):
        _, client = self.pair()

        def asking_for(length):
            return client.call("ListJumps", {"filter": {"actor": {"comm": "x" * length}}})

        self.assertEqual(len(asking_for(60 << 10).jumps), 0)
        self.refused(grpc.StatusCode.OUT_OF_RANGE, lambda: asking_for(64 << 10))
        self.refused(grpc.StatusCode.OUT_OF_RANGE, lambda: asking_for(1 << 20))
        self.assertEqual(client.call("GetStatus").rung, "fentry")


class Doors(Case):
    def test_the_socket_is_for_its_owner(self):
        feed = self.feed()
        mode = feed.socket.stat().st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_tcp_wants_a_certificate(self):
        ours, foreign = Authority(self.home, "ours"), Authority(self.home, "foreign")
        certificate, key = ours.sign("server")
        feed = self.feed(
            *("--listen", "127.0.0.1:0", "--tls-ca", ours.certificate, "--tls-cert", certificate, "--tls-key", key)
        )
        target = feed.listeners["tcp"]["address"]

        def credentials(trusted, by=None):
            if by is None:
                return grpc.ssl_channel_credentials(trusted.certificate.read_bytes())
            certificate, key = by.sign("client")
            return grpc.ssl_channel_credentials(
                trusted.certificate.read_bytes(), key.read_bytes(), certificate.read_bytes()
            )

        known = self.client(target, credentials(ours, by=ours))
        self.assertEqual(known.call("GetStatus").rung, "fentry")
        stream = known.watch(fromSequence=1)
        feed.jumps(3)
        self.assertEqual(sequences(take(stream, 3)), [1, 2, 3])
        stream.cancel()
        for what, refused in (
            ("no certificate", credentials(ours)),
            ("a certificate that somebody else signed", credentials(ours, by=foreign)),
            ("a server that somebody else signed", credentials(foreign, by=ours)),
            ("no TLS", None),
        ):
            with self.subTest(what):
                stranger = self.client(target, refused)
                # Reflection is refused like all else, so the method is named without it.
                ask = stranger.channel.unary_unary(f"/{TIMEJUMP}/GetStatus")
                self.refused(grpc.StatusCode.UNAVAILABLE, lambda: ask(b"", timeout=PATIENCE))
        self.assertEqual(known.call("GetStatus").ledger.jumps, 3)


if __name__ == "__main__":
    BINARY, CRI = sys.argv[1:3]
    sys.exit(runner.run(sys.modules[__name__], sys.argv[3:]))
