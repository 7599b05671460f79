"""XLRegMsg and the nouns: the only place that knows the protobuf."""
