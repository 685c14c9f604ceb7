"""What others do of the same work, to stand beside ours in one run."""
