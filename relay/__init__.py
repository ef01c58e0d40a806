"""The media path: a closed TURN relay, its control and its forwarding planes.

Deliberately not here: who may talk to whom (`broker` decides and installs rows), identity (`auth`), and any
peer address that reaches something other than another allocation of the same session.
"""
