"""Small servers that answer like external systems, for the local shape and for tests. They are not those systems.

Each says so in its name, listens on loopback only, keeps its data in memory and loses it at the end.
"""
