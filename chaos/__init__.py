"""Test the engine under faults with real processes, PostgreSQL and Valkey.

See docs/chaos.md. Not part of the product.
"""
