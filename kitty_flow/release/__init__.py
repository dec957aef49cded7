"""The gated way into the target branch: candidate, tested tree, landing by compare-and-swap, proof."""
