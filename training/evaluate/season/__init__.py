"""What the same months of earlier years brought of what BG/NBD expects, and what that says of the months ahead."""
