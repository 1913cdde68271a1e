//! The network interfaces of a system, as rtnetlink tells of them.

use crate::sweep::Reading;

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index, never 0. The kernel may give it to another interface when this one is gone.
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

/// Something that became known of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkNews {
    /// It is there, or something that [`Link`] says of it has changed.
    Here(Link),
    /// It is gone, and this is the last that was known of it.
    Gone {
        /// As it was before.
        link: Link,
        /// What it had counted at its end; `None` when it was never read.
        reading: Option<Reading>,
    },
}
