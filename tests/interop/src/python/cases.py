"""Python's grpcio against GMQ: nothing of ours but the descriptors of the .proto files. Prints what came of one case as JSON.

Usage: cases.py ADDRESS DESCRIPTORS CASE TOPIC
"""

import json
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import MessageFactory

address, descriptors, case, topic = sys.argv[1:]

pool = descriptor_pool.DescriptorPool()
with open(descriptors, "rb") as file:
    for proto in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
        pool.Add(proto)
factory = MessageFactory(pool)
channel = grpc.insecure_channel(address)
stop_after_s = 30


def message(name):
    return factory.GetPrototype(pool.FindMessageTypeByName(name))


def method(service, name, made):
    found = pool.FindServiceByName(service).FindMethodByName(name)
    return made(
        f"/{service}/{name}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=factory.GetPrototype(found.output_type).FromString,
    )


PublishRequest = message("gmq.v1.PublishRequest")
ConsumeRequest = message("gmq.v1.ConsumeRequest")
SettleRequest = message("gmq.v1.SettleRequest")
publish = method("gmq.v1.BrokerService", "Publish", channel.unary_unary)
consume = method("gmq.v1.BrokerService", "Consume", channel.unary_stream)
settle = method("gmq.v1.BrokerService", "Settle", channel.unary_unary)


def told(error):
    """Status, text and the typed details of an error."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    return {"status": error.code().name, "text": error.details(), "typed": b"gmq.v1.Error" in details}


def refusal(call, *args, **options):
    try:
        call(*args, **options)
    except grpc.RpcError as error:
        return told(error)
    return {"status": "OK"}


def store(value, **more):
    return publish(PublishRequest(topic=topic, value=value, **more), timeout=stop_after_s)


def run_publish():
    first = store(b"one", key="user_id_123")
    second = store(b"two", key="user_id_123")
    return {
        "topic": first.topic,
        "offsets": [first.offset, second.offset],
        "samePartition": first.partition == second.partition,
    }


def run_subscribe():
    """Two in flight of three; ack one, retry one, and who comes after a cancel gets what is not settled."""
    for value in (b"a", b"b", b"c"):
        store(value, partition=0)
    seen = []
    session = None
    stream = consume(
        ConsumeRequest(group=f"{topic}-g", topics=[topic], max_in_flight=2), timeout=stop_after_s
    )
    for event in stream:
        kind = event.WhichOneof("event")
        if kind == "started":
            session = event.started.session_id
        if kind != "record":
            continue
        record = event.record
        seen.append([record.value.decode(), record.attempts])
        verb = {"a": "VERB_ACK", "b": "VERB_RETRY"}.get(record.value.decode())
        if len(seen) == 4:
            break
        if verb is not None and record.attempts == 0:
            request = SettleRequest(session_id=session, assignment_id=record.assignment_id)
            request.ranges.add(first_offset=record.offset, last_offset=record.offset, verb=verb)
            assert not settle(request, timeout=stop_after_s).refusals
    stream.cancel()
    rest = []
    again = consume(ConsumeRequest(group=f"{topic}-g", topics=[topic], auto_ack=True), timeout=stop_after_s)
    for event in again:
        if event.WhichOneof("event") == "record":
            rest.append(event.record.value.decode())
        if len(rest) == 2:
            break
    again.cancel()
    return {"seen": seen, "rest": sorted(rest)}


def run_error():
    return refusal(publish, PublishRequest(topic="no{braces}", value=b"x"), timeout=stop_after_s)


def run_deadline():
    try:
        for _ in consume(ConsumeRequest(group=f"{topic}-g", topics=[topic]), timeout=0.5):
            pass
    except grpc.RpcError as error:
        return told(error)
    return {"status": "OK"}


def run_cancel():
    """A stream that another thread cancels ends with CANCELLED, and the channel goes on."""
    stream = consume(ConsumeRequest(group=f"{topic}-g", topics=[topic]), timeout=stop_after_s)
    next(stream)
    threading.Timer(0.2, stream.cancel).start()
    try:
        for _ in stream:
            pass
    except grpc.RpcError as error:
        return {**told(error), "after": store(b"x").topic}
    return {"status": "OK"}


def run_oversized():
    """Over what a record may be, over what a message may be; then one that fits."""
    return {
        "record": refusal(publish, PublishRequest(topic=topic, value=b"x" * (3 << 20)), timeout=stop_after_s),
        "message": refusal(publish, PublishRequest(topic=topic, value=b"x" * (20 << 20)), timeout=stop_after_s),
        "after": store(b"small", partition=0).offset,
    }


print(json.dumps(globals()[f"run_{case}"]()))
channel.close()
