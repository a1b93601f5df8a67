"""How libgpamap publishes changes to readers that never wait: its writer, step by step, and all orders of steps."""
