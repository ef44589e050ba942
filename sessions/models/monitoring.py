"""Store signs of life and counters for `/readyz` and `/metrics`."""

from django.db import models


class Heartbeat(models.Model):
    """Store when a part of the installation was last seen alive: "worker", "broker", "clock"."""

    name = models.CharField(primary_key=True, max_length=20)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at}"


class MetricCounter(models.Model):
    """Store one count for `/metrics`, such as STS calls, that all processes add to."""

    name = models.CharField(max_length=40)
    label = models.CharField(max_length=80, blank=True)
    outcome = models.CharField(max_length=80, blank=True)
    value = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "chains_tally"
        constraints = [
            models.UniqueConstraint(fields=["name", "label", "outcome"], name="one_tally_per_label")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.label} {self.outcome}: {self.value}"
