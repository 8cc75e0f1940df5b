"""Everything about talking to a buyer: dialects, the fan-out of pings, the delivery of posts."""
