"""Stream what was issued and delivered to a SIEM, and list it as a table to look keys up in."""
