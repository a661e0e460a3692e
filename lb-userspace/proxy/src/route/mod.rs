//! Which rule a request takes.
