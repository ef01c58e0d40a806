"""The STUN and TURN wire format (RFC 8489, RFC 8656): messages, their attributes, integrity, and ChannelData.

Pure functions over bytes. Deliberately not here: what a message means, which is `relay.turn`'s business, and
comprehension of RFC 3489 messages without the magic cookie.
"""
