"""Start, seed, ask and end what is tested, for tests, bench, chaos and `.ci`."""
