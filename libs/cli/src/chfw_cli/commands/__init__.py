"""The commands of `chfw`, one module each; `chfw_cli.main` registers them."""
