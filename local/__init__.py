"""The whole stack on a developer's machine. Never deployed."""
