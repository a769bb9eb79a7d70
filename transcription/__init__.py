"""One uploaded recording in, one transcript document out. Knows nothing of Azure Functions."""
