//! round_trip.
