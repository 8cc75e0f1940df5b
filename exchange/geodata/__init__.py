"""Facts about places that come from elsewhere, and where they come from."""
