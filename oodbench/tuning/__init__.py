"""Parameters of detectors, chosen on validation data; no test image is opened."""
