"""The Python client: chat and calls from a program, over the same wire as the browser's client.

It imports the wire frames and the error table of `broker.core` and nothing else of the product.
"""
