//! A session's own attributes, encoded once at log-in and copied into each of its packets, but for the form of User-Name and what
//! its group does without; and the attributes of the source, encoded once for each server (BEHAVIOUR.md 8.1).
//!
//! What the box is called and when it started are the session's own too: a Stop that is sent again, in whatever life and under
//! whatever sysname, says the same (DESIGN.md section 3, rules 5 and 9).

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use arrayvec::{ArrayString, ArrayVec};
use model::event::{Access, Authentic, Subscriber};
use model::ids::SessionSerial;
use wire::radius::attribute::{
    Attribute, Attributes, Type, VendorAttributes, VendorType, acct_authentic, as_u32, framed_protocol, huawei,
    nas_port_type, service_type,
};
use wire::radius::encode::Encoder;

use crate::identity::SessionId;
use crate::run::Run;
use crate::shared::SHARED_MAX;

/// Octets that a session's own attributes may have, so that any packet has room for all the others.
pub(crate) const RUN_MAX: usize = 3400;

/// Where and when a session was born.
pub(crate) struct SessionBirth<'a> {
    pub(crate) serial: SessionSerial,
    pub(crate) domain: &'a str,
    pub(crate) sysname: &'a str,
    /// When this engine started, seconds since the Unix epoch.
    pub(crate) startup: u32,
}

/// What Calling-Station-Id is where the plane does not say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calling {
    /// The MAC address.
    FromMac,
    /// Left as it is.
    Kept,
}

/// Writes the attributes of a subscriber who has just come up; `None` when they are too many octets, or have no user name.
pub(crate) fn write(
    run: &mut [u8; RUN_MAX],
    subscriber: &Subscriber<'_>,
    session_id: &SessionId,
    birth: &SessionBirth<'_>,
) -> Option<usize> {
    let mut run = Encoder::run(run);
    // First what many have alike: see `is_common`. A packet always carries it, whether the plane said it or not.
    write_access(&mut run, subscriber.access.unwrap_or_default());
    write_authentic(&mut run, subscriber.authentic.unwrap_or(Authentic::Radius));
    run.bytes(Type::NAS_IDENTIFIER, birth.sysname.as_bytes());
    run.vendor_u32(huawei::STARTUP_STAMP, birth.startup);
    run.vendor_bytes(huawei::DOMAIN_NAME, birth.domain.as_bytes());
    run.bytes(Type::USER_NAME, subscriber.user.filter(|user| !user.is_empty())?);
    run.bytes(Type::ACCT_SESSION_ID, session_id);
    write_own(&mut run, subscriber, Calling::FromMac);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number to tell connections apart, as wide as the attribute"
    )]
    run.vendor_u32(huawei::CONNECT_ID, birth.serial.sequence as u32);
    run.finish().ok().map(|octets| octets.len())
}

/// Writes what is left of `old` when what `changed` says has replaced its own; `None` when it is too many octets.
pub(crate) fn merge(run: &mut [u8; RUN_MAX], old: Run<'_>, changed: &Subscriber<'_>) -> Option<usize> {
    let before = shown(old);
    let mut changed = *changed;
    // Some attributes say MAC and IP address together.
    if changed.mac.is_some() || changed.framed_ip.is_some() {
        changed.mac = changed.mac.or(before.mac);
        changed.framed_ip = changed.framed_ip.or(before.framed_ip);
    }
    let derived = before.mac.map(calling_of);
    let calling = old.attributes().find(|attribute| attribute.kind == Type::CALLING_STATION_ID);
    let is_derived = calling.is_none_or(|calling| derived.is_some_and(|derived| derived.as_bytes() == calling.value));
    let mut new = [0; RUN_MAX];
    let mut said = Encoder::run(&mut new);
    if let Some(access) = changed.access {
        write_access(&mut said, access);
    }
    if let Some(authentic) = changed.authentic {
        write_authentic(&mut said, authentic);
    }
    said.bytes(Type::USER_NAME, changed.user.unwrap_or_default());
    write_own(&mut said, &changed, if is_derived { Calling::FromMac } else { Calling::Kept });
    let said = said.finish().ok()?;
    let of_access = [Type::SERVICE_TYPE, Type::FRAMED_PROTOCOL, Type::NAS_PORT_TYPE];
    let is_replaced = |attribute: &Attribute<'_>| {
        if changed.access.is_some() && of_access.contains(&attribute.kind) {
            return true;
        }
        match VendorAttributes::of_value(attribute.value).filter(|_| attribute.kind == Type::VENDOR_SPECIFIC) {
            Some(mut vendor) => vendor.next().is_some_and(|vendor| {
                VendorAttributes::of(Attributes::of_run(said)).any(|new| new.kind == vendor.kind)
            }),
            None => Attributes::of_run(said).any(|new| new.kind == attribute.kind),
        }
    };
    let mut run = Encoder::run(run);
    for common in [true, false] {
        let kept = old.attributes().filter(|attribute| !is_replaced(attribute));
        for attribute in kept.chain(Attributes::of_run(said)).filter(|attribute| is_common(attribute) == common) {
            run.attribute(attribute);
        }
    }
    run.finish().ok().map(|octets| octets.len())
}

/// Whether many sessions have this attribute alike: how they are attached, where they belong, and what the box says of itself.
fn is_common(attribute: &Attribute<'_>) -> bool {
    const VENDORS: [VendorType; 2] = [huawei::STARTUP_STAMP, huawei::DOMAIN_NAME];
    match attribute.kind {
        Type::SERVICE_TYPE
        | Type::FRAMED_PROTOCOL
        | Type::NAS_PORT_TYPE
        | Type::ACCT_AUTHENTIC
        | Type::NAS_IDENTIFIER => true,
        Type::VENDOR_SPECIFIC => {
            let inside = VendorAttributes::of_value(attribute.value);
            inside.is_some_and(|mut inside| inside.all(|vendor| VENDORS.contains(&vendor.kind)))
        }
        _ => false,
    }
}

/// A run as it is kept: what its front says that many say, as far as that can be shared, is told from the rest. Runs from the
/// ledger are told apart like those that were just written; those of releases that wrote another order begin with nothing of
/// that kind, and stay whole.
pub(crate) fn split(run: &[u8]) -> Run<'_> {
    let mut attributes = Attributes::of_run(run);
    let mut rest = attributes.rest();
    while attributes.next().is_some_and(|attribute| is_common(&attribute))
        && run.len() - attributes.rest().len() <= SHARED_MAX
    {
        rest = attributes.rest();
    }
    let (shared, own) = run.split_at(run.len() - rest.len());
    Run { shared, own }
}

fn write_authentic(run: &mut Encoder<'_>, authentic: Authentic) {
    run.u32(
        Type::ACCT_AUTHENTIC,
        match authentic {
            Authentic::Radius => acct_authentic::RADIUS,
            Authentic::Local => acct_authentic::LOCAL,
            Authentic::Remote => acct_authentic::REMOTE,
        },
    );
}

/// What the plane said of a subscriber, but its name, how it is attached and who authenticated it.
fn write_own(run: &mut Encoder<'_>, subscriber: &Subscriber<'_>, calling: Calling) {
    if let Some(port) = subscriber.nas_port {
        run.u32(Type::NAS_PORT, port);
    }
    if let Some(address) = subscriber.framed_ip {
        run.ipv4(Type::FRAMED_IP_ADDRESS, address);
    }
    if let Some(timeout) = subscriber.session_timeout {
        run.u32(Type::SESSION_TIMEOUT, timeout);
    }
    for class in subscriber.class.as_slice() {
        run.bytes(Type::CLASS, class);
    }
    run.bytes(Type::ACCT_MULTI_SESSION_ID, subscriber.multi_session_id.unwrap_or_default());
    run.bytes(Type::NAS_PORT_ID, subscriber.nas_port_id.unwrap_or_default());
    if let Some(id) = subscriber.interface_id {
        run.interface_id(Type::FRAMED_INTERFACE_ID, id);
    }
    if let Some(prefix) = subscriber.framed_ipv6_prefix {
        run.prefix(Type::FRAMED_IPV6_PREFIX, prefix);
    }
    if let Some(prefix) = subscriber.delegated_prefix {
        run.prefix(Type::DELEGATED_IPV6_PREFIX, prefix);
    }
    if let Some(address) = subscriber.framed_ipv6_address {
        run.ipv6(Type::FRAMED_IPV6_ADDRESS, address);
    }
    write_addresses(run, subscriber, calling);
}

/// The MAC address as Calling-Station-Id says it.
fn calling_of([a, b, c, d, e, f]: [u8; 6]) -> ArrayString<17> {
    let mut text = ArrayString::new();
    let _ = write!(text, "{a:02x}-{b:02x}-{c:02x}-{d:02x}-{e:02x}-{f:02x}");
    text
}

/// The MAC address as the vendor writes it, and where the plane does not say otherwise as Calling-Station-Id too.
fn write_addresses(run: &mut Encoder<'_>, subscriber: &Subscriber<'_>, calling: Calling) {
    run.bytes(Type::CALLING_STATION_ID, subscriber.calling.unwrap_or_default());
    let Some(mac @ [a, b, c, d, e, f]) = subscriber.mac else { return };
    let mut text = ArrayString::<48>::new();
    if subscriber.calling.is_none() && calling == Calling::FromMac {
        run.bytes(Type::CALLING_STATION_ID, calling_of(mac).as_bytes());
    }
    let _ = write!(text, "{a:02x}{b:02x}-{c:02x}{d:02x}-{e:02x}{f:02x}");
    run.vendor_bytes(huawei::USER_MAC, text.as_bytes());
    if let Some(address) = subscriber.framed_ip {
        text.clear();
        let _ = write!(text, "{address} {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        run.vendor_bytes(huawei::IPHOST_ADDR, text.as_bytes());
    }
}

fn write_access(run: &mut Encoder<'_>, access: Access) {
    if access != Access::Static {
        run.u32(Type::SERVICE_TYPE, service_type::FRAMED);
    }
    if matches!(access, Access::Pppoe | Access::L2tp) {
        run.u32(Type::FRAMED_PROTOCOL, framed_protocol::PPP);
    }
    run.u32(
        Type::NAS_PORT_TYPE,
        match access {
            Access::Pppoe | Access::Ipoe | Access::Static => nas_port_type::ETHERNET,
            Access::L2tp => nas_port_type::VIRTUAL,
        },
    );
}

/// The attributes that are the same in every request from one source address. The release is not among them: after an upgrade
/// a Stop that is sent again would differ.
pub(crate) fn write_nas(source: IpAddr) -> Vec<u8> {
    let mut room = [0; 64];
    let mut run = Encoder::run(&mut room);
    match source {
        IpAddr::V4(address) => run.ipv4(Type::NAS_IP_ADDRESS, address),
        IpAddr::V6(address) => run.ipv6(Type::NAS_IPV6_ADDRESS, address),
    };
    run.vendor_bytes(huawei::PRODUCT_ID, b"Tollgate");
    run.finish().map(|octets| octets.to_vec()).expect("both have less than 64 octets")
}

/// Acct-Session-Id of a run.
pub(crate) fn session_id(run: Run<'_>) -> Option<&[u8]> {
    run.attributes().find(|attribute| attribute.kind == Type::ACCT_SESSION_ID).map(|attribute| attribute.value)
}

/// User-Name in a run.
pub(crate) fn user_name(run: Run<'_>) -> Option<&[u8]> {
    run.attributes().find(|attribute| attribute.kind == Type::USER_NAME).map(|attribute| attribute.value)
}

/// Whether the subscriber has this address, or a prefix that it lies in.
pub(crate) fn has_address(run: Run<'_>, address: IpAddr) -> bool {
    run.attributes().any(|attribute| match (attribute.kind, address) {
        (Type::FRAMED_IP_ADDRESS, IpAddr::V4(address)) => attribute.value == address.octets(),
        (Type::FRAMED_IPV6_ADDRESS, IpAddr::V6(address)) => attribute.value == address.octets(),
        (Type::FRAMED_IPV6_PREFIX | Type::DELEGATED_IPV6_PREFIX, IpAddr::V6(address)) => {
            // RFC 3162 section 2.3: reserved, length in bits, then as many octets of the prefix as are needed.
            let Some(([_, length], prefix)) = attribute.value.split_first_chunk() else { return false };
            let mut octets = [0; 16];
            let Some(room) = octets.get_mut(..prefix.len()) else { return false };
            room.copy_from_slice(prefix);
            let differing = u128::from_be_bytes(octets) ^ address.to_bits();
            differing.leading_zeros() >= u32::from(*length)
        }
        _ => false,
    })
}

/// Whether the subscriber has an IPv4 address, and whether an IPv6 address or prefix.
pub(crate) fn families(run: Run<'_>) -> (bool, bool) {
    let has = |kinds: &[Type]| run.attributes().any(|attribute| kinds.contains(&attribute.kind));
    let v6 = [Type::FRAMED_IPV6_PREFIX, Type::DELEGATED_IPV6_PREFIX, Type::FRAMED_IPV6_ADDRESS];
    (has(&[Type::FRAMED_IP_ADDRESS]), has(&v6))
}

/// How the subscriber is attached, read from what [`write_access`] wrote.
pub(crate) fn access(run: Run<'_>) -> Access {
    let find = |kind| run.attributes().find(move |attribute| attribute.kind == kind);
    let is_ppp = find(Type::FRAMED_PROTOCOL).is_some();
    let port = find(Type::NAS_PORT_TYPE).and_then(|attribute| as_u32(attribute.value));
    match (is_ppp, find(Type::SERVICE_TYPE).is_some()) {
        (true, _) if port == Some(nas_port_type::VIRTUAL) => Access::L2tp,
        (true, _) => Access::Pppoe,
        (false, true) => Access::Ipoe,
        (false, false) => Access::Static,
    }
}

/// Whether two runs name the same addresses.
pub(crate) fn same_addresses(one: Run<'_>, other: Run<'_>) -> bool {
    const KINDS: [Type; 5] = [
        Type::FRAMED_IP_ADDRESS,
        Type::FRAMED_INTERFACE_ID,
        Type::FRAMED_IPV6_PREFIX,
        Type::DELEGATED_IPV6_PREFIX,
        Type::FRAMED_IPV6_ADDRESS,
    ];
    fn find(run: Run<'_>, kind: Type) -> Option<&[u8]> {
        run.attributes().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }
    KINDS.into_iter().all(|kind| find(one, kind) == find(other, kind))
}

/// What displays show of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) session_id: String,
    pub(crate) user: String,
    pub(crate) framed_ip: Option<Ipv4Addr>,
    pub(crate) mac: Option<[u8; 6]>,
}

/// Reads what displays show.
pub(crate) fn shown(run: Run<'_>) -> Shown {
    let mut shown = Shown::default();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    for attribute in run.attributes() {
        match attribute.kind {
            Type::USER_NAME => shown.user = text(attribute.value),
            Type::ACCT_SESSION_ID => shown.session_id = text(attribute.value),
            Type::FRAMED_IP_ADDRESS => shown.framed_ip = as_u32(attribute.value).map(Ipv4Addr::from_bits),
            _ => {}
        }
    }
    let is_mac = |kind: VendorType| kind == huawei::USER_MAC;
    let mac = run.vendor_attributes().find(|vendor| is_mac(vendor.kind));
    shown.mac = mac.and_then(|vendor| mac_of(vendor.value));
    shown
}

/// `0200-0000-0001` as octets.
fn mac_of(text: &[u8]) -> Option<[u8; 6]> {
    let digits: ArrayVec<u8, 12> = text
        .iter()
        .filter_map(|&c| char::from(c).to_digit(16))
        .take(12)
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    let mut mac = [0; 6];
    for (octet, pair) in mac.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = pair[0] << 4 | pair[1];
    }
    (digits.len() == 12).then_some(mac)
}

#[cfg(test)]
mod tests {
    use model::event::Prefix;

    use super::*;

    const ID: SessionId = *b"BNG100000000000000000000001AAAAAA";
    const BIRTH: SessionBirth<'static> = SessionBirth {
        serial: SessionSerial { epoch: 1, sequence: 7 },
        domain: "isp",
        sysname: "BNG1",
        startup: 1_795_000_000,
    };

    fn kinds(run: &[u8]) -> Vec<u8> {
        let mut kinds: Vec<u8> = Attributes::of_run(run).map(|attribute| attribute.kind.0).collect();
        kinds.sort_unstable();
        kinds
    }

    #[test]
    fn a_subscriber_is_written_whole_and_read_again() {
        let subscriber = Subscriber {
            user: Some(b"alice@isp"),
            framed_ip: Some(Ipv4Addr::new(100, 64, 0, 1)),
            mac: Some([2, 0, 0, 0, 0, 0xa1]),
            nas_port: Some(1),
            ..Subscriber::default()
        };
        let mut run = [0; RUN_MAX];
        let length = write(&mut run, &subscriber, &ID, &BIRTH).unwrap();
        assert_eq!(kinds(&run[..length]), [1, 5, 6, 7, 8, 26, 26, 26, 26, 26, 31, 32, 44, 45, 61]);
        assert_eq!(
            shown(split(&run[..length])),
            Shown {
                session_id: str::from_utf8(&ID).unwrap().to_owned(),
                user: "alice@isp".to_owned(),
                framed_ip: subscriber.framed_ip,
                mac: subscriber.mac,
            }
        );
    }

    #[test]
    fn how_a_subscriber_is_attached_is_read_as_it_was_written() {
        for access in [Access::Pppoe, Access::Ipoe, Access::L2tp, Access::Static] {
            let subscriber = Subscriber { user: Some(b"a"), access: Some(access), ..Subscriber::default() };
            let mut run = [0; RUN_MAX];
            let length = write(&mut run, &subscriber, &ID, &BIRTH).unwrap();
            assert_eq!(super::access(split(&run[..length])), access);
            assert_eq!(families(split(&run[..length])), (false, false));
        }
    }

    #[test]
    fn an_update_replaces_what_it_says_and_nothing_else() {
        let mut old = [0; RUN_MAX];
        let subscriber = Subscriber {
            user: Some(b"alice@isp"),
            framed_ip: Some(Ipv4Addr::new(100, 64, 0, 1)),
            mac: Some([2, 0, 0, 0, 0, 1]),
            ..Subscriber::default()
        };
        let length = write(&mut old, &subscriber, &ID, &BIRTH).unwrap();
        let mut new = [0; RUN_MAX];
        let changed = Subscriber { framed_ip: Some(Ipv4Addr::new(100, 64, 0, 9)), ..Subscriber::default() };
        let merged = merge(&mut new, split(&old[..length]), &changed).unwrap();
        assert_eq!(kinds(&new[..merged]), kinds(&old[..length]));
        assert_eq!(shown(split(&new[..merged])).framed_ip, changed.framed_ip);
        assert_eq!(shown(split(&new[..merged])).mac, subscriber.mac);
    }

    /// An update says one thing; the attributes that say two stay true, and what was said stays said.
    #[test]
    fn an_update_leaves_no_contradiction() {
        let subscriber = |calling| Subscriber {
            user: Some(b"alice@isp"),
            framed_ip: Some(Ipv4Addr::new(100, 64, 0, 1)),
            mac: Some([2, 0, 0, 0, 0, 1]),
            calling,
            ..Subscriber::default()
        };
        let text = |run: &[u8], kind| {
            let found = Attributes::of_run(run).find(|attribute| attribute.kind == kind);
            found.map(|attribute| String::from_utf8_lossy(attribute.value).into_owned())
        };
        let host = |run: &[u8]| {
            let found = VendorAttributes::of(Attributes::of_run(run)).find(|vendor| vendor.kind == huawei::IPHOST_ADDR);
            found.map(|vendor| String::from_utf8_lossy(vendor.value).into_owned()).unwrap_or_default()
        };
        let ip = Subscriber { framed_ip: Some(Ipv4Addr::new(100, 64, 0, 9)), ..Subscriber::default() };
        let mac = Subscriber { mac: Some([2, 0, 0, 0, 0, 2]), ..Subscriber::default() };
        let ipoe = Subscriber { access: Some(Access::Ipoe), ..Subscriber::default() };
        for (calling, changed, expected_calling, expected_host) in [
            (None, ip, "02-00-00-00-00-01", "100.64.0.9 02:00:00:00:00:01"),
            (None, mac, "02-00-00-00-00-02", "100.64.0.1 02:00:00:00:00:02"),
            (Some(&b"port 7"[..]), mac, "port 7", "100.64.0.1 02:00:00:00:00:02"),
            (Some(&b"port 7"[..]), ipoe, "port 7", "100.64.0.1 02:00:00:00:00:01"),
        ] {
            let (mut old, mut new) = ([0; RUN_MAX], [0; RUN_MAX]);
            let length = write(&mut old, &subscriber(calling), &ID, &BIRTH).unwrap();
            let merged = merge(&mut new, split(&old[..length]), &changed).unwrap();
            let new = &new[..merged];
            assert_eq!(text(new, Type::CALLING_STATION_ID).as_deref(), Some(expected_calling));
            assert_eq!(host(new), expected_host);
            let is_ppp = Attributes::of_run(new).any(|attribute| attribute.kind == Type::FRAMED_PROTOCOL);
            assert_eq!(is_ppp, changed.access.is_none());
            let once = |kind| Attributes::of_run(new).filter(|attribute| attribute.kind == kind).count() == 1;
            assert!(once(Type::SERVICE_TYPE) && once(Type::NAS_PORT_TYPE) && once(Type::CALLING_STATION_ID));
        }
    }

    #[test]
    fn a_subscriber_is_known_by_its_addresses() {
        let prefix = |address: &str, length| Some(Prefix { address: address.parse().unwrap(), length });
        let subscriber = Subscriber {
            framed_ip: Some(Ipv4Addr::new(10, 0, 0, 7)),
            framed_ipv6_prefix: prefix("2001:db8:0:1::", 64),
            delegated_prefix: prefix("2001:db8:100::", 41),
            framed_ipv6_address: Some("2001:db8:9::9".parse().unwrap()),
            ..Subscriber::default()
        };
        let mut run = [0; RUN_MAX];
        let length = merge(&mut run, Run::default(), &subscriber).unwrap();
        for (address, expected) in [
            ("10.0.0.7", true),
            ("10.0.0.8", false),
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:2::1", false),
            ("2001:db8:17f::1", true),
            ("2001:db8:180::1", false),
            ("2001:db8:9::9", true),
            ("2001:db8:9::a", false),
        ] {
            assert_eq!(has_address(split(&run[..length]), address.parse().unwrap()), expected, "{address}");
        }
        assert!(!has_address(Run::default(), "10.0.0.7".parse().unwrap()));
    }

    #[test]
    fn too_much_is_refused() {
        let long = [b'x'; 253];
        let mut subscriber = Subscriber { user: Some(&long), ..Subscriber::default() };
        while subscriber.class.push(&long) {}
        let mut run = [0; RUN_MAX];
        assert!(write(&mut run, &subscriber, &ID, &BIRTH).is_some());
        subscriber.user = None;
        assert_eq!(write(&mut run, &subscriber, &ID, &BIRTH), None);
    }
}
