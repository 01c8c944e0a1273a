"""One TOML file per contract: data, not code. `retention.policy_reader` reads them; nothing here does."""
