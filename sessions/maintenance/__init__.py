"""Check and replace sealing keys, and make the demo."""
