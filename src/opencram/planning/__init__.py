"""Planning a site: what its radars and sirens would give to people, by expectation, and which of them to buy."""
