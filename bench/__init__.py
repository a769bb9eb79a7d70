"""Speed, memory and cost: `make bench`. Nothing here is deployed, and nothing here is a test."""
