"""The networks of the systems, which need torch; the detectors import them when they are used."""
