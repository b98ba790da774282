"""A target of the move protocol (`../../MOVE.md`), made from that page alone: it tries whether a provider lets its servers go."""
