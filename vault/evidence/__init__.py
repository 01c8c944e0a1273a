"""Evidence: what shows, from files only, that the vault is what it says it is."""
