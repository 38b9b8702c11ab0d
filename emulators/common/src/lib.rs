//! What the emulators have in common: requests and answers free of any HTTP library, virtual time, ids that come from a seed, state
//! that is kept row by row, and what they say of themselves to each other.

pub mod api;
pub mod containers;
pub mod glob;
pub mod ids;
pub mod table;
pub mod ticks;
pub mod views;
