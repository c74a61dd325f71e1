"""What the rounds come to: medians, ratios with their spread, and which goals are reached."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from statistics import median
from typing import Any, NamedTuple

from benchmarks.contestants import CONTESTANTS, FASTAPI, FLOOR, LITESTAR, PRODUCT, Contestant
from benchmarks.load import Measurement
from benchmarks.rounds import Plan, Series


class Spread(NamedTuple):
    """The median of the rounds, and the least and the most of them."""

    median: float
    least: float
    most: float


class Goal(NamedTuple):
    """What the product is to reach, what it has come to, and whether that is enough."""

    sentence: str
    value: float
    reached: bool


def spread(values: Sequence[float]) -> Spread:
    """Median, least and most of at least one value."""
    return Spread(median(values), min(values), max(values))


class Summary:
    """The results of a plan, and what they come to.

    Args:
        series: what each contestant has come to, by its name.
    """

    def __init__(self, plan: Plan, series: Mapping[str, Series]) -> None:
        self.plan = plan
        self.series = series

    @property
    def rivals(self) -> list[str]:
        """The names of those that the product is compared with; none where it was not measured itself."""
        return [name for name in self.series if name != PRODUCT.name and PRODUCT.name in self.series]

    def metric(self, name: str, kind: str, measured: str) -> Spread:
        """One number of `Measurement`, `p99_ms` say, of a contestant under one kind of load, over the rounds."""
        return spread([getattr(each, measured) for each in self.series[name].loads[kind]])

    def start_seconds(self, name: str) -> Spread:
        """From the start of a contestant's process to its first answer."""
        return spread(self.series[name].start_seconds)

    def ratio(self, name: str, kind: str) -> Spread:
        """How many times the requests per second of `name` the product answers, compared round by round."""
        pairs = zip(self.series[PRODUCT.name].loads[kind], self.series[name].loads[kind], strict=True)
        return spread([ours.requests_per_second / theirs.requests_per_second for ours, theirs in pairs])

    def goals(self) -> list[Goal]:
        """The goals that this run can tell about."""
        return [*self._speed(), *self._footprint()] if "mixed" in self.plan.kinds else []

    def _speed(self) -> Iterator[Goal]:
        if self.plan.workers == 1:
            yield from (
                self._at_least(8, FASTAPI, kind) for kind in self.plan.kinds if FASTAPI.name in self.rivals
            )
            yield from (
                self._at_least(1.25, LITESTAR, "mixed") for name in self.rivals if name == LITESTAR.name
            )
            yield from (self._at_least(0.85, FLOOR, "mixed") for name in self.rivals if name == FLOOR.name)
        elif FASTAPI.name in self.rivals:
            yield self._at_least(6, FASTAPI, "mixed")

    def _at_least(self, factor: float, rival: Contestant, kind: str) -> Goal:
        measured = self.ratio(rival.name, kind).median
        return Goal(f"{kind}: at least {factor:g} times {rival.label}", measured, factor <= measured)

    def _footprint(self) -> Iterator[Goal]:
        if PRODUCT.name not in self.series:
            return
        if self.plan.workers == 1:
            p99 = self.metric(PRODUCT.name, "mixed", "p99_ms").median
            yield Goal("mixed: p99 at most 15 ms", p99, p99 <= 15)
        if FASTAPI.name in self.rivals:
            most = self.metric(FASTAPI.name, "mixed", "memory_mb").median
            memory = self.metric(PRODUCT.name, "mixed", "memory_mb").median
            yield Goal(f"memory, MB: at most the {most:.0f} of {FASTAPI.label}", memory, memory <= most)
        start = self.start_seconds(PRODUCT.name).median
        yield Goal("start to first answer, s: at most 1.5", start, start <= 1.5)

    def as_json(self) -> dict[str, Any]:
        """Settings, medians, ratios, goals, and every round's measurements."""
        settings = ("rounds", "seconds", "workers", "connections", "users", "tasks")
        return {
            **{name: getattr(self.plan, name) for name in settings},
            "goals": [goal._asdict() for goal in self.goals()],
            "ratios": {
                name: {kind: self.ratio(name, kind)._asdict() for kind in self.plan.kinds}
                for name in self.rivals
            },
            "contestants": {name: self._contestant(name) for name in self.series},
        }

    def _contestant(self, name: str) -> dict[str, Any]:
        names = [each.name for each in fields(Measurement)]
        return {
            "label": CONTESTANTS[name].label,
            "start_seconds": self.series[name].start_seconds,
            "medians": {
                kind: {each: self.metric(name, kind, each).median for each in names}
                for kind in self.plan.kinds
            },
            "rounds": {kind: list(map(asdict, rounds)) for kind, rounds in self.series[name].loads.items()},
        }
