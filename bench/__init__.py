"""What the engine costs and how fast it is, as ratios measured in one run; see docs/bench.md. Not part of the product."""
