//! The whole platform in one process: harness, journeys, benchmarks.
