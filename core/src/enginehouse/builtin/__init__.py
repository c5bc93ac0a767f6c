"""What ships with core, contributed through the same hooks as any plugin."""
