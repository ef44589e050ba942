"""Describe one credential: outcomes, needs, sealed form, timing."""
