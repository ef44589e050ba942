"""Deliver credentials to people and their tools."""
