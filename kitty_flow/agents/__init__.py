"""What executes an invocation: settings, prompt, environment, process runner, result protocol."""
