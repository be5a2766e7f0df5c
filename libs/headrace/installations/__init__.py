"""Made-up installations of the assisted installer: what assisted_events simulates and samples are written from."""
