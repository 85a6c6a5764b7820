"""The hooks of the plugin."""
