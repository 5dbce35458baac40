"""Choose parameters of detectors on validation data; no test image is opened."""
