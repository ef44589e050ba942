"""The scenarios, in the order in which they run."""

from chaos.report import Scenario
from chaos.scenarios import (
    answers,
    broker,
    clients,
    clocks,
    crash_points,
    database,
    held,
    kills,
    pauses,
    rights,
    sts,
)

ALL: tuple[Scenario, ...] = (
    *kills.SCENARIOS,
    *pauses.SCENARIOS,
    *crash_points.SCENARIOS,
    *clocks.SCENARIOS,
    *broker.SCENARIOS,
    *database.SCENARIOS,
    *sts.SCENARIOS,
    *answers.SCENARIOS,
    *rights.SCENARIOS,
    *held.SCENARIOS,
    *clients.SCENARIOS,
)
