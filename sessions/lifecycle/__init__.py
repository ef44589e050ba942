"""Change sessions where database, AWS and people meet: one module per act.

sessions     create, edit, delete, and the rules of chains
plan         a session and a person → the AssumeRole requests of its chain, each with its fingerprint
activations  start, stop, rotate, end; keeping and erasing what is needed
moves        what is active follows a change: a few at once, thousands by workers in parts
claims       who works on what: lease and fence
rotation     one run: claim → what it is assumed from → calls as they become possible → commit as answers come in
needs        who a credential is for
bases        what a hop is assumed from
lanes        whose call is next: fair between accounts, within the budget
endpoints    at which region's STS it is made, behind a breaker for each
budget       calls per account and second, over all workers
outcomes     what can become of a claimed credential
commit       results → credentials, states and the ledger's lines, in one transaction
roots        one notice for a root that does not work
times        how long things last
reveal       event first, then the secret
probes       test before saving
tested       who a root is, as a test has told
state        what a person reads: status, chain, time left, problem
people       teams, members, tokens
reseal       everything to the newest keys
heartbeats, tallies   what `/readyz` and `/metrics` read
"""
