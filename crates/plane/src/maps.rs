//! Maps of the kernel in which a program counts for itself: how their entries are to be read, and what they come to.
//!
//! ```text
//!   key      an IPv4 address (4 octets as on the wire), an IPv6 prefix (16 octets, or the first 8), an interface's index
//!   value    64-bit numbers of the machine at declared places; once, or once for each CPU, each filled up to 8 octets
//! ```
//!
//! An entry that is deleted and made again begins at zero, with another generation. What it had counted after the last sweep
//! is gone with it: whoever deletes entries does so after the session's end.

mod layout;
mod table;

pub use layout::{Key, Layout, Mismatch, Shape, Values};
pub use table::{EntryKey, MapTable};
