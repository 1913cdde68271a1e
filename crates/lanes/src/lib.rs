//! # Lanes: what needs `unsafe` and no I/O
//!
//! Being built: `md5` (many messages at once), `ring` (the single-producer ring core).

pub mod md5;
pub mod prefetch;
pub mod ring;
pub mod sync;
