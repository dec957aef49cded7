"""The doctor: finds and explains what is broken in the installation, the settings, the ledgers, the worktrees and the
locks. Unless it is told to mend, it only looks: nothing is written, no lock is taken, no ref is moved."""
