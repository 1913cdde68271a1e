//! The network interfaces of a system, as rtnetlink tells of them: who is there, who went, what each has counted.
//!
//! Two streams come in, and nothing says which of two messages was written first when they are from different streams:
//!
//! ```text
//!   the group   RTM_NEWLINK, RTM_DELLINK as they happen; some may be lost, and then that is known
//!   a dump      all interfaces, or the statistics of all, somewhere between its request and its end
//! ```
//!
//! What holds all the same: an interface's RTM_DELLINK is in the group before another interface can have its index, thus
//! before a dump can tell of that one. So a caller says [`LinkTable::dump_begins`], dumps, reads the group up to its end,
//! and hands the dump in; what the dump said of an index that was taken away meanwhile is not used, for it may be of
//! either owner. A dump that breaks off is ended by [`LinkTable::dump_ends`].
//!
//! A dump is marked when interfaces came or went under it (NLM_F_DUMP_INTR). What such a one names is true, but only one
//! without the mark tells by its silence that somebody is gone. Where the group lost something meanwhile a dump tells nothing
//! that could be used, for what it names may have gone unheard.

mod table;

pub use table::LinkTable;

use crate::sweep::Reading;

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index, 1 to 2³¹ − 1. The kernel may give it to another interface when this one is gone.
    pub index: u32,
    /// Its name, 1–15 octets; it can be changed while the interface lives.
    pub name: String,
    /// The kind of its hardware (ARPHRD_*): 1 Ethernet, 512 PPP, 772 loopback, 65534 none.
    pub hardware: u16,
    /// Its hardware address, 0–32 octets.
    pub address: Vec<u8>,
    /// It was set up (IFF_UP).
    pub up: bool,
    /// It is up and can carry packets (IFF_RUNNING).
    pub running: bool,
}

impl Link {
    /// Whether this can be the same interface as `other`, which had its index: name and hardware address may change, but
    /// not both unseen.
    fn may_be(&self, other: &Link) -> bool {
        let same_address = !self.address.is_empty() && self.address == other.address;
        self.hardware == other.hardware && (self.name == other.name || same_address)
    }
}

/// Something that became known of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkNews {
    /// It is there, or something that [`Link`] says of it has changed.
    Here {
        /// As it is now.
        link: Link,
        /// What it had counted by then, as the group said it; `None`: a dump has found it, and nobody knows since when it is so.
        reading: Option<Reading>,
    },
    /// It is gone, and this is the last that was known of it.
    Gone {
        /// As it was before.
        link: Link,
        /// What it had counted at its end; `None` when it was never read.
        reading: Option<Reading>,
    },
}
