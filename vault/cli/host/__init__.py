"""Host verbs: what the vault's own host may ask, performed by the folder's owner, in its process or over its socket.

They parse arguments, call one service and give plain values; deciding is the vault's.
"""
