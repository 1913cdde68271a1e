//! What RTM_NEWLINK and RTM_DELLINK say.

use model::counters::Totals;

use super::attribute::Attributes;
use super::{Malformed, link_totals, positive, u16_at, u32_at};
use crate::links::Link;

/// Octets of the fixed part (`struct ifinfomsg`).
const BYTES: usize = 16;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_STATS64: u16 = 23;

const IFF_UP: u32 = 0x1;
const IFF_RUNNING: u32 = 0x40;

/// An interface as a message tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkMessage<'a> {
    /// Its index, 1 to 2³¹ − 1.
    pub index: u32,
    /// The kind of its hardware (ARPHRD_*).
    pub hardware: u16,
    /// Its name, without an end mark.
    pub name: &'a [u8],
    /// Its hardware address, empty where it has none.
    pub address: &'a [u8],
    /// It was set up (IFF_UP).
    pub up: bool,
    /// It is up and can carry packets (IFF_RUNNING).
    pub running: bool,
    /// What it had counted when the message was written; *in* is what it received. Not in every message.
    pub totals: Option<Totals>,
}

impl<'a> LinkMessage<'a> {
    /// `None`: the message is of another family. A bridge says so that a port has left it, and the interface stays.
    pub(super) fn decode(body: &'a [u8]) -> Result<Option<LinkMessage<'a>>, Malformed> {
        let family = body.first().ok_or(Malformed::Body)?;
        let attributes = Attributes::new(body.get(BYTES..).ok_or(Malformed::Body)?);
        if *family != 0 {
            return Ok(None);
        }
        let number = |at| u32_at(body, at).ok_or(Malformed::Body);
        let flags = number(8)?;
        let mut link = LinkMessage {
            index: positive(number(4)?)?,
            hardware: u16_at(body, 2).ok_or(Malformed::Body)?,
            name: &[],
            address: &[],
            up: flags & IFF_UP != 0,
            running: flags & IFF_RUNNING != 0,
            totals: None,
        };
        for attribute in attributes {
            match attribute? {
                (IFLA_IFNAME, value) => link.name = value.split(|octet| *octet == 0).next().unwrap_or_default(),
                (IFLA_ADDRESS, value) => link.address = value,
                (IFLA_STATS64, value) => link.totals = Some(link_totals(value).ok_or(Malformed::Value)?),
                _ => {}
            }
        }
        if link.name.is_empty() { Err(Malformed::Value) } else { Ok(Some(link)) }
    }

    /// What of it is kept.
    pub fn link(&self) -> Link {
        Link {
            index: self.index,
            name: String::from_utf8_lossy(self.name).into_owned(),
            hardware: self.hardware,
            address: self.address.to_vec(),
            up: self.up,
            running: self.running,
        }
    }
}
