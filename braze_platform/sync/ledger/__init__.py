"""What Braze acknowledged of each user, what it rejected, and how both follow the declaration."""
