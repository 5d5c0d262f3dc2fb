"""The tables of the company itself (users, orders), as they reach the warehouse."""
