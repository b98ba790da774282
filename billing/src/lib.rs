//! Plans, subscriptions and what a billing event means.
