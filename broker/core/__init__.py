"""The broker's sans-IO core: event in, commands out, with `now` and ids passed in.

In this room: the wire frames, the table of errors, events and commands (the closed vocabulary of this
border), the one gate, and a file for each noun of the product: connection, presence, chat, invitation, visit,
call, sharing, administration; `review` asks again about what is open. `router` is the table from event to the
function that handles it; `house` is the state they share.

Deliberately not here: sockets, clocks, threads, randomness and storage (`broker.shell`), the rules themselves
(`broker.policy`), and how a record is sealed (`broker.audit`).
"""
