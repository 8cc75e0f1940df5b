"""What tests share: buyers, markets, a running exchange, the command line."""
