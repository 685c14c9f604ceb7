"""Studies: scenarios and sites varied point by point, each point run under many seeds, a row of scalars per run."""
