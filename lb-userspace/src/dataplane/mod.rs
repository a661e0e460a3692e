//! The only part that touches maps.
