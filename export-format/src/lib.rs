//! The open archive format: a spec, a strict reader, a streaming writer and the freehold-archive tool.
