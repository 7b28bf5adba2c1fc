"""A client that knows nothing of the protocol but what the server's reflection tells, as grpcurl does."""

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from feed import PATIENCE

TIMEJUMP = "timejump.v1.TimeJump"
HEALTH = "grpc.health.v1.Health"
# What grpcio would say by itself, the socket's path, is no authority as HTTP/2 has them.
LOCALHOST = (("grpc.default_authority", "localhost"),)


class Client:
    """Requests are JSON objects; responses are messages."""

    def __init__(self, target, credentials=None, options=()):
        if credentials is None:
            self.channel = grpc.insecure_channel(target, (*LOCALHOST, *options))
        else:
            self.channel = grpc.secure_channel(target, credentials, options)
        self.reflection = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.reflection)

    def services(self):
        """The names of all services."""
        return self.reflection.get_services()

    def call(self, method, request=None, service=TIMEJUMP, timeout=PATIENCE):
        """Calls a method: its response, or its responses one by one."""
        found = self.pool.FindServiceByName(service).methods_by_name[method]
        question = message_factory.GetMessageClass(found.input_type)()
        json_format.ParseDict(request or {}, question)
        kind = self.channel.unary_stream if found.server_streaming else self.channel.unary_unary
        answer = message_factory.GetMessageClass(found.output_type).FromString
        return kind(f"/{service}/{method}", type(question).SerializeToString, answer)(question, timeout=timeout)

    def watch(self, **request):
        """Follows the stream: whatever happens from the return on is in it."""
        stream = self.call("Watch", request)
        # They come when the subscription stands.
        stream.initial_metadata()
        return stream

    def close(self):
        self.channel.close()


def kind(response):
    """Which entry it is: `jump`, `impact`, `lagged`, `alarm`, `heartbeat`."""
    return response.WhichOneof("entry")


def take(stream, count):
    """The next entries; heartbeats do not count."""
    taken = []
    while len(taken) < count:
        response = next(stream)
        if kind(response) != "heartbeat":
            taken.append(response)
    return taken


def take_up_to(stream, position):
    """All entries up to a heartbeat that says that nothing is left up to that position."""
    taken = []
    for response in stream:
        if kind(response) != "heartbeat":
            taken.append(response)
        elif response.position >= position:
            return taken
    raise AssertionError("the stream ended")


def sequences(responses):
    """The numbers of jumps; anything else fails."""
    wrong = [response for response in responses if kind(response) != "jump"]
    assert not wrong, wrong[0]
    return [response.jump.sequence for response in responses]
