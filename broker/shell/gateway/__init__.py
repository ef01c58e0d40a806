"""The listeners: inside, outside and admin, each with its own address, route table and cookie.

In this room: TLS, Origin and rate checks, request bodies, pages, and the WebSocket of both kinds of client. A
handler gathers facts, submits one event and answers what comes back.

Deliberately not here: whether anyone may do anything (`broker.core`), and any route that both sides of the
edge share by accident: what a listener does not list, it does not serve.
"""
