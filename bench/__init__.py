"""What it costs to do what we do: `make bench`. Never deployed, and nothing here is a test."""
