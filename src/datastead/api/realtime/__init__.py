"""WebSockets: clients that stay connected, to subscribe to items and to read and write them."""
