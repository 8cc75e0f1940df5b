"""What is told later: to sellers and to buyers, and those deliveries that follow a sale."""
