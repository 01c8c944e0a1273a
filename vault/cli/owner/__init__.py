"""The owner of a vault's folder: talking to it over its socket, or becoming it. Holds no verbs (`vault/cli/host/`)."""
