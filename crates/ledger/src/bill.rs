//! One bill for the eyes of others: csv, json and detail text, the manifest beside a file of them (INTERFACES.md
//! section 6), and the row of a display. The record says how the session began and ended; its attributes, as they were
//! on the wire, say who it was.
//!
//! What csv and json print is one list of fields, [`Bill::fields`]; so their names cannot differ.

mod csv;
mod detail;
mod fields;
mod file;
mod json;
mod manifest;
mod row;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use model::event::Prefix;
use model::ids::BillId;
use model::record;
pub use model::settings::BillFormat as Format;
use wire::radius::attribute::{Attribute, Attributes, Type, VendorAttributes, framed_protocol, huawei};

pub use self::csv::read_line as read_csv_line;
pub use self::fields::{Field, NAMES, Value};
pub use self::file::BillFile;
pub use self::manifest::{BadManifest, Manifest, Octets};

/// A bill, with its attributes read.
#[derive(Clone, Debug)]
pub struct Bill<'a> {
    nas: &'a str,
    record: record::Bill<'a>,
    subscriber: Subscriber<'a>,
}

/// Why there is no Accounting-Request of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPacket {
    /// Its attributes need more octets than one packet has.
    TooLong,
    /// Its session was accounted for by HWTACACS (owner's decision 9).
    Hwtacacs,
}

impl fmt::Display for NoPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoPacket::TooLong => "the bill does not fit into one packet",
            NoPacket::Hwtacacs => "the bill is HWTACACS's, of which there is no detail text: export it as csv or json",
        })
    }
}

impl std::error::Error for NoPacket {}

impl<'a> Bill<'a> {
    /// A bill of the box called `nas`, unless its session says what the box was called at log-in: a name never changes.
    pub fn new(nas: &'a str, record: record::Bill<'a>) -> Bill<'a> {
        let subscriber = Subscriber::read(record.opened.attributes);
        let told = subscriber.nas_identifier.and_then(|name| std::str::from_utf8(name).ok());
        Bill { nas: told.unwrap_or(nas), record, subscriber }
    }

    /// Its name.
    pub fn id(&self) -> BillId {
        self.record.id
    }

    /// The record it was made from.
    pub fn record(&self) -> &record::Bill<'a> {
        &self.record
    }

    /// `nas-epoch-sequence`.
    pub fn name(&self) -> BillName<'a> {
        BillName { nas: self.nas, id: self.record.id }
    }

    /// Appends one JSON object and a line feed.
    pub fn write_json(&self, out: &mut String) {
        json::write(self, out);
    }

    /// Appends one line of csv.
    pub fn write_csv(&self, out: &mut String) {
        csv::write(self, out);
    }

    /// Appends one detail entry.
    ///
    /// # Errors
    ///
    /// [`NoPacket`]; then nothing was appended.
    pub fn write_detail(&self, out: &mut String) -> Result<(), NoPacket> {
        detail::write(self, out)
    }
}

/// The header line of csv.
pub fn write_csv_header(out: &mut String) {
    csv::write_header(out);
}

/// A bill's name as files show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillName<'a> {
    /// The sysname.
    pub nas: &'a str,
    /// The rest.
    pub id: BillId,
}

impl fmt::Display for BillName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.nas, self.id.epoch, self.id.sequence)
    }
}

impl<'a> BillName<'a> {
    /// Reads `nas-epoch-sequence`; the sysname may have hyphens.
    pub fn parse(text: &'a str) -> Option<BillName<'a>> {
        let (rest, sequence) = text.rsplit_once('-')?;
        let (nas, epoch) = rest.rsplit_once('-')?;
        Some(BillName { nas, id: BillId { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? } })
    }
}

/// Who the subscriber was. Absent: the session's attributes do not say.
#[derive(Clone, Debug, Default)]
struct Subscriber<'a> {
    session_id: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    framed_ip: Option<Ipv4Addr>,
    framed_ipv6_prefix: Option<Prefix>,
    delegated_prefix: Option<Prefix>,
    framed_ipv6_address: Option<Ipv6Addr>,
    mac: Option<[u8; 6]>,
    calling: Option<&'a [u8]>,
    nas_identifier: Option<&'a [u8]>,
    nas_port: Option<u32>,
    nas_port_id: Option<&'a [u8]>,
    multi_session_id: Option<&'a [u8]>,
    class: Vec<&'a [u8]>,
    /// Framed-Protocol says PPP.
    is_ppp: bool,
}

impl<'a> Subscriber<'a> {
    fn read(run: &'a [u8]) -> Subscriber<'a> {
        let mut subscriber = Subscriber::default();
        for attribute in Attributes::of_run(run) {
            subscriber.enter(&attribute);
        }
        subscriber.mac = VendorAttributes::of(Attributes::of_run(run))
            .find(|attribute| attribute.kind == huawei::USER_MAC)
            .and_then(|attribute| mac(attribute.value));
        subscriber
    }

    fn enter(&mut self, attribute: &Attribute<'a>) {
        match attribute.kind {
            Type::ACCT_SESSION_ID => self.session_id = Some(attribute.value),
            Type::USER_NAME => self.user = Some(attribute.value),
            Type::FRAMED_IP_ADDRESS => self.framed_ip = attribute.as_ipv4(),
            Type::FRAMED_IPV6_PREFIX => self.framed_ipv6_prefix = attribute.as_prefix(),
            Type::DELEGATED_IPV6_PREFIX => self.delegated_prefix = attribute.as_prefix(),
            Type::FRAMED_IPV6_ADDRESS => self.framed_ipv6_address = attribute.as_ipv6(),
            Type::CALLING_STATION_ID => self.calling = Some(attribute.value),
            Type::NAS_IDENTIFIER => self.nas_identifier = Some(attribute.value),
            Type::NAS_PORT => self.nas_port = attribute.as_u32(),
            Type::NAS_PORT_ID => self.nas_port_id = Some(attribute.value),
            Type::ACCT_MULTI_SESSION_ID => self.multi_session_id = Some(attribute.value),
            Type::CLASS => self.class.push(attribute.value),
            Type::FRAMED_PROTOCOL => self.is_ppp |= attribute.as_u32() == Some(framed_protocol::PPP),
            _ => {}
        }
    }
}

/// HW-User-Mac: twelve hexadecimal digits with separators anywhere.
fn mac(text: &[u8]) -> Option<[u8; 6]> {
    let digits: Vec<u8> = text
        .iter()
        .filter(|character| !matches!(character, b'-' | b':' | b'.'))
        .map(|character| char::from(*character).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let pairs: [u8; 12] = digits.try_into().ok()?;
    let [a, b, c, d, e, f, g, h, i, j, k, l] = pairs;
    Some([(a, b), (c, d), (e, f), (g, h), (i, j), (k, l)].map(|(high, low)| high << 4 | low))
}

#[cfg(test)]
mod tests;
