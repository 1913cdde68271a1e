//! Criterion benches; each file under `benches/` names one heart of the product. The programs under `bin/` are the servers
//! and peers that `scripts/bench` holds the daemon against, and what they share is here.

mod number;
mod place;
pub mod plot;
mod processor;
mod program;
mod segments;
mod store;
mod tollgate;

pub use number::grouped;
pub use place::{Place, pid_of};
pub use processor::{due, processor_time, waiting_time};
pub use program::{Ended, Program};
pub use segments::{Message, gather, hold_much, receive, send};
pub use store::{BOOT_ID, new_life, new_store, opened, record};
pub use tollgate::{Desk, Tollgate};
