"""Turn a chain and a person into AssumeRole requests, names and an identity."""
