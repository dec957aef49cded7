"""The only place that runs git: discovery, objects, refs, worktrees, merges without a checkout."""
