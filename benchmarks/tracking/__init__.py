"""`make bench`: one raid's plots through this tracker and through others, in the same run; writes docs/performance.md."""
