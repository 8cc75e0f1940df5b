"""The past: why a ping went as it did, and how it would have gone under other rules. It reads, and changes nothing."""
