"""What the engine does when things go wrong, with real processes, PostgreSQL and Valkey; see docs/chaos.md. Not part of the product."""
