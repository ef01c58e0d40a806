"""The I/O around the core: driver, store, listeners, relay link.

Deliberately not here: rules. Whatever can be decided without waiting is decided in `broker.core` and `broker.policy`.
"""
