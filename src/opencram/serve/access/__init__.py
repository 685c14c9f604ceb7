"""Who may enter the service and do what: accounts, tokens, sessions, limits, and the log of what was done."""
