"""The four methods: each a head and its losses, a file each, reading like its paper."""
