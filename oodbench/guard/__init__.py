"""Guards: a fitted detector with its classifier and thresholds, taken from a run to be used.

A guard is a folder of safetensors and JSON::

    card.json                    what it is, where it comes from, what it was measured to do, its
                                 limits, and the SHA-256 of the other files
    classifier/                  model.safetensors, the classifier's weights
    detector/                    state.safetensors and state.json, what the detector learned
    guard.onnx                   on request, classifier and detector as one ONNX graph
    calibration.safetensors      scores and predictions of the ID images that thresholds come from
"""
