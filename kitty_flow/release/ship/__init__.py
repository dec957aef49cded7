"""The gated way into a release: one version, one commit, checked artifacts, publish steps with probes, the tag."""
