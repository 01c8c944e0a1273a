"""What the vault's own host may ask of it: verbs performed by the owner of the folder, in its process or over its

socket. They parse arguments, call one service and give plain values; deciding is the vault's.
"""
