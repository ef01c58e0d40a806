"""Everything an administrator writes: typed settings and policy declarations.

In this room: one file per section of the configuration, each setting with its unit, bounds, default and help; the root
model `settings.Settings`; loading from the TOML file, the environment and flags with every error at once (`loading`);
the reference page and sample file generated from the declarations (`reference`); the policy file's shape (`policy`).

Deliberately not here: behaviour. Nothing in this room opens a socket, decides an action or knows another room.
"""
