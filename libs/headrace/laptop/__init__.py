"""What people run on a laptop: the local stack, the demonstration, sending and following uploads."""
