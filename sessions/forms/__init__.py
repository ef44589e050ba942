"""Validate what people and tools send, alike for pages and API."""
