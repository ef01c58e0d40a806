"""What Turngate does: it brokers, decides, records and shows.

In this room: `core` (the product's rules as sans-IO protocol), `policy` (who may do what), `audit` (the
record and its proof), `shell` (sockets, database, clocks), `client` (the Python client), `cli` (the command
line) and `web` (the browser client and the operator's console).

Deliberately not here: who someone is (`auth`), how media travels (`relay`), what an administrator writes
(`config`).
"""
