"""Runs, successes and the sum of rewards by agent and window in Bytewax.

Ends with its input, and writes the windows then. Its own state is restored exactly; what it has written to a topic
is not taken back with it, so that this is at least once.
"""

import os
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSource, KafkaSink
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing

import runs

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
given = dict(argument.split("=", 1) for argument in os.environ["BENCH"].split())
length = timedelta(milliseconds=int(given["window-ms"]))
said = False


def point(message):
    global said
    if not said:
        said = True
        print("first", flush=True)
    trace = runs.decode(message.value)
    return trace.agent, (EPOCH + timedelta(milliseconds=trace.end_ms), runs.sums(trace))


def add(sums, run):
    return [one + other for one, other in zip(sums, run[1])]


def merge(one, other):
    return [first + second for first, second in zip(one, other)]


def message(window):
    agent, (number, sums) = window
    start = number * int(given["window-ms"])
    return KafkaSinkMessage(f"{agent}/{start}".encode(), msgspec.json.encode(sums))


flow = Dataflow("windows")
source = KafkaSource([given["brokers"]], [given["topic"]], tail=False, batch_size=2000)
traces = op.input("traces", flow, source)
points = op.map("points", traces, point)
clock = windowing.EventClock(
    ts_getter=lambda run: run[0],
    wait_for_system_duration=timedelta(milliseconds=int(given["grace-ms"])),
)
windower = windowing.TumblingWindower(length=length, align_to=EPOCH)
windows = windowing.fold_window("sums", points, clock, windower, lambda: [0, 0, 0], add, merge, ordered=False)
out = op.map("messages", windows.down, message)
op.output("out", out, KafkaSink([given["brokers"]], given["out"]))
