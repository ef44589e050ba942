"""Measure the engine's cost and speed as ratios within one run.

See docs/bench.md. Not part of the product.
"""
