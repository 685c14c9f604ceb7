"""`make bench`: the same plots through this tracker and others, in one run; writes docs/performance.md."""
