"""The topology of this machine: namespaces, links and how they are connected, as they are and as they are declared.

``Topology`` answers from a ``View`` (the mirror of a command, or the daemon's), ``Declaration`` from the files. Both
only read. With no file at all, the topology is that of any Linux machine.
"""
