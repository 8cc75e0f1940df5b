"""What follows a sale: sellers' webhooks and following deliveries, sent by workers until they have arrived."""
