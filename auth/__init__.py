"""Who someone is, never what they may do.

In this room: Principal (insider, guest, anonymous), Personal (text that prints redacted), the Directory
protocol with its LDIF and LDAP implementations, the sign-in throttle, one-time codes, opaque sign-in tokens
and signed invitation tokens.

Deliberately not here: decisions (`broker.policy`), storage, HTTP, cookies and records. Everything in this
room returns an outcome; `broker` decides what follows from it and records it.
"""
