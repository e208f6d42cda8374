"""What both stages share: the loop, resume points, and the collapse watch."""
