"""The organisation's policy as an administrator writes it: zones, peers, clients and rules, checked, from
TOML.

One file a noun; `document` is the whole and `loading` reads it. Not here: what a policy answers to a question
(`broker.policy`), and the setting that names the file (`config.policy_file`).
"""
