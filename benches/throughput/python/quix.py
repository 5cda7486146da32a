"""Runs, successes and the sum of rewards by agent and window in Quix Streams, exactly once.

The windows stand on the changelog of the store, as Whetstone's stand on agent-state.
"""

from quixstreams import Application
from quixstreams.dataframe.windows import Reduce

import runs


def point(value: bytes) -> dict:
    trace = runs.decode(value)
    return {"agent": trace.agent, "end": trace.end_ms, "sums": runs.sums(trace)}


def add(sums: list[int], run: dict) -> list[int]:
    return [one + other for one, other in zip(sums, run["sums"])]


def main() -> None:
    given = runs.given()
    application = Application(
        broker_address=given["brokers"],
        consumer_group=given["id"],
        auto_offset_reset="earliest",
        commit_interval=int(given["commit-ms"]) / 1000,
        state_dir=given["dir"],
        processing_guarantee="exactly-once",
        loglevel="WARNING",
    )
    traces = application.topic(given["topic"], key_deserializer="str", value_deserializer="bytes")
    frame = application.dataframe(traces).apply(point)
    frame = frame.set_timestamp(lambda run, *_: run["end"])
    frame = frame.group_by("agent", key_serializer="str", key_deserializer="str")
    windows = frame.tumbling_window(
        duration_ms=int(given["window-ms"]), grace_ms=int(given["grace-ms"]), name="windows"
    )
    windows.agg(sums=Reduce(reducer=add, initializer=lambda run: run["sums"])).current()
    application.run()


main()
