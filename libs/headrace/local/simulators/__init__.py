"""Small servers that answer as far-away systems do, for the local shape and for tests. They are not those systems.

Each says so in its name, listens on loopback only, keeps what it is given in memory and forgets it at the end.
"""
