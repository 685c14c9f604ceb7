"""`make salvos`: rockets rippled on nearly the same path, counted over many seeds."""
