"""What the command line does, command by command; `exchange.cli` only reads the words."""
