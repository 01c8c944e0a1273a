"""The key store: disposal keys and signing keys, the custodians who open it, and how destroyed keys stay destroyed."""
