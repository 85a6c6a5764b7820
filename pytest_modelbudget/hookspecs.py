"""The hooks that users of the plugin may implement."""
