"""What both applications make of a trace, and how they are told what to do."""

import math
import sys

import msgspec


class Step(msgspec.Struct):
    type: str


class Trace(msgspec.Struct):
    """What is used of a trace; the decoder skips the rest."""

    agent: str
    start_ms: int
    end_ms: int
    outcome: str
    steps: list[Step]


decode = msgspec.json.Decoder(Trace).decode

BEST = 1.0 + 0.5 + 0.3 + 0.0


def micros(share: float) -> int:
    return math.floor(share * 1_000_000.0)


def saved(weight: float, amount: float, target: float) -> int:
    return micros(weight * (1.0 - min(max(amount / target, 0.0), 1.0)) / BEST)


def reward(trace: Trace) -> int:
    """Millionths, by the default reward: each operation as in src/fold/reward.rs, for the same roundings."""
    if trace.outcome != "success":
        return 0
    attempts = sum(step.type == "tool" for step in trace.steps)
    latency = (trace.end_ms - trace.start_ms) / 1000.0
    return micros(1.0 / BEST) + saved(0.5, latency, 600.0) + saved(0.3, attempts, 30.0)


def sums(trace: Trace) -> list[int]:
    """Runs, successes and reward of one run."""
    return [1, int(trace.outcome == "success"), reward(trace)]


def given() -> dict[str, str]:
    return dict(argument.split("=", 1) for argument in sys.argv[1:])
