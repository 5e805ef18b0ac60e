"""Several workers as one gateway: processes that share an address, and the supervisor that looks after them.

A worker is a gateway like any other, which is told by its supervisor what else the operator's signals would tell.
"""
