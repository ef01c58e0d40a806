"""Everything an administrator writes: typed settings and policy declarations.

In this room: one file per section of the configuration, each setting with its unit, bounds, default and help;
the root model `settings.Settings`; loading from the TOML file, the environment and flags with every error at
once (`loading`); what a service needs beyond valid settings (`readiness`); the reference page and sample file
generated from the declarations (`reference`); the policy file's shape (`policy`).

Deliberately not here: behaviour. Nothing in this room opens a socket, decides or knows another room.
"""
