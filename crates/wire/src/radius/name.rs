//! Names of attributes and values, spelled as the dictionaries of FreeRADIUS 3.2 spell them, so that what is
//! printed here is read there. Attributes without a name here are printed by number and read all the same.
//!
//! The vendor's numbers 166–171 have no name: the field's dictionary gives 166–168 to other attributes.

use super::{Type, VendorType};
use crate::radius::attribute::huawei;

/// How an attribute is called and what its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its name in a dictionary.
    pub text: &'static str,
    /// What its octets mean.
    pub form: Form,
    /// Names of its values, in ascending order.
    pub values: &'static [(u32, &'static str)],
}

/// What the octets of a value mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text, UTF-8 as a rule.
    Text,
    /// Octets of any meaning.
    Octets,
    /// A 32-bit integer.
    Integer,
    /// Epoch seconds in 32 bits.
    Time,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An IPv6 prefix (RFC 3162 section 2.3).
    Prefix,
    /// Eight octets (RFC 3162 section 2.2).
    InterfaceId,
}

impl Name {
    /// The name of a value, if it has one.
    pub fn of_value(&self, value: u32) -> Option<&'static str> {
        self.values.iter().find(|(number, _)| *number == value).map(|(_, text)| *text)
    }
}

/// The name of an attribute.
pub fn of(kind: Type) -> Option<&'static Name> {
    STANDARD.iter().find(|(number, _)| *number == kind.0).map(|(_, name)| name)
}

/// The name of a vendor's attribute.
pub fn of_vendor(kind: VendorType) -> Option<&'static Name> {
    let table = if kind.vendor == huawei::VENDOR { HUAWEI } else { &[] };
    table.iter().find(|(number, _)| *number == kind.number).map(|(_, name)| name)
}

/// The attribute of this name.
pub fn lookup(text: &str) -> Option<(Type, &'static Name)> {
    STANDARD.iter().find(|(_, name)| name.text.eq_ignore_ascii_case(text)).map(|(number, name)| (Type(*number), name))
}

/// The vendor's attribute of this name.
pub fn lookup_vendor(text: &str) -> Option<(VendorType, &'static Name)> {
    HUAWEI
        .iter()
        .find(|(_, name)| name.text.eq_ignore_ascii_case(text))
        .map(|(number, name)| (VendorType { vendor: huawei::VENDOR, number: *number }, name))
}

const fn plain(text: &'static str, form: Form) -> Name {
    Name { text, form, values: &[] }
}

const fn listed(text: &'static str, values: &'static [(u32, &'static str)]) -> Name {
    Name { text, form: Form::Integer, values }
}

const STANDARD: &[(u8, Name)] = &[
    (1, plain("User-Name", Form::Text)),
    (4, plain("NAS-IP-Address", Form::Ipv4)),
    (5, plain("NAS-Port", Form::Integer)),
    (6, listed("Service-Type", SERVICE_TYPE)),
    (7, listed("Framed-Protocol", FRAMED_PROTOCOL)),
    (8, plain("Framed-IP-Address", Form::Ipv4)),
    (9, plain("Framed-IP-Netmask", Form::Ipv4)),
    (11, plain("Filter-Id", Form::Text)),
    (12, plain("Framed-MTU", Form::Integer)),
    (18, plain("Reply-Message", Form::Text)),
    (22, plain("Framed-Route", Form::Text)),
    (24, plain("State", Form::Octets)),
    (25, plain("Class", Form::Octets)),
    (27, plain("Session-Timeout", Form::Integer)),
    (28, plain("Idle-Timeout", Form::Integer)),
    (30, plain("Called-Station-Id", Form::Text)),
    (31, plain("Calling-Station-Id", Form::Text)),
    (32, plain("NAS-Identifier", Form::Text)),
    (33, plain("Proxy-State", Form::Octets)),
    (40, listed("Acct-Status-Type", ACCT_STATUS_TYPE)),
    (41, plain("Acct-Delay-Time", Form::Integer)),
    (42, plain("Acct-Input-Octets", Form::Integer)),
    (43, plain("Acct-Output-Octets", Form::Integer)),
    (44, plain("Acct-Session-Id", Form::Text)),
    (45, listed("Acct-Authentic", ACCT_AUTHENTIC)),
    (46, plain("Acct-Session-Time", Form::Integer)),
    (47, plain("Acct-Input-Packets", Form::Integer)),
    (48, plain("Acct-Output-Packets", Form::Integer)),
    (49, listed("Acct-Terminate-Cause", ACCT_TERMINATE_CAUSE)),
    (50, plain("Acct-Multi-Session-Id", Form::Text)),
    (51, plain("Acct-Link-Count", Form::Integer)),
    (52, plain("Acct-Input-Gigawords", Form::Integer)),
    (53, plain("Acct-Output-Gigawords", Form::Integer)),
    (55, plain("Event-Timestamp", Form::Time)),
    (61, listed("NAS-Port-Type", NAS_PORT_TYPE)),
    (77, plain("Connect-Info", Form::Text)),
    (80, plain("Message-Authenticator", Form::Octets)),
    (85, plain("Acct-Interim-Interval", Form::Integer)),
    (87, plain("NAS-Port-Id", Form::Text)),
    (88, plain("Framed-Pool", Form::Text)),
    (95, plain("NAS-IPv6-Address", Form::Ipv6)),
    (96, plain("Framed-Interface-Id", Form::InterfaceId)),
    (97, plain("Framed-IPv6-Prefix", Form::Prefix)),
    (99, plain("Framed-IPv6-Route", Form::Text)),
    (100, plain("Framed-IPv6-Pool", Form::Text)),
    (101, listed("Error-Cause", ERROR_CAUSE)),
    (123, plain("Delegated-IPv6-Prefix", Form::Prefix)),
    (168, plain("Framed-IPv6-Address", Form::Ipv6)),
    (169, plain("DNS-Server-IPv6-Address", Form::Ipv6)),
];

const HUAWEI: &[(u8, Name)] = &[
    (26, plain("Huawei-Connect-ID", Form::Integer)),
    (59, plain("Huawei-Startup-Stamp", Form::Integer)),
    (60, plain("Huawei-IPHost-Addr", Form::Text)),
    (138, plain("Huawei-Domain-Name", Form::Text)),
    (144, plain("Huawei-Acct-IPv6-Input-Octets", Form::Integer)),
    (145, plain("Huawei-Acct-IPv6-Output-Octets", Form::Integer)),
    (146, plain("Huawei-Acct-IPv6-Input-Packets", Form::Integer)),
    (147, plain("Huawei-Acct-IPv6-Output-Packets", Form::Integer)),
    (148, plain("Huawei-Acct-IPv6-Input-Gigawords", Form::Integer)),
    (149, plain("Huawei-Acct-IPv6-Output-Gigawords", Form::Integer)),
    (153, plain("Huawei-User-Mac", Form::Text)),
    (159, plain("Huawei-Acct-Update-Address", Form::Integer)),
    (181, plain("Huawei-Acct-Terminate-Subcause", Form::Text)),
    (254, plain("Huawei-Version", Form::Text)),
    (255, plain("Huawei-Product-ID", Form::Text)),
];

const SERVICE_TYPE: &[(u32, &str)] = &[
    (1, "Login-User"),
    (2, "Framed-User"),
    (3, "Callback-Login-User"),
    (4, "Callback-Framed-User"),
    (5, "Outbound-User"),
    (6, "Administrative-User"),
    (7, "NAS-Prompt-User"),
    (8, "Authenticate-Only"),
    (9, "Callback-NAS-Prompt"),
    (10, "Call-Check"),
    (11, "Callback-Administrative"),
    (12, "Voice"),
    (13, "Fax"),
    (14, "Modem-Relay"),
    (15, "IAPP-Register"),
    (16, "IAPP-AP-Check"),
    (17, "Authorize-Only"),
];

const FRAMED_PROTOCOL: &[(u32, &str)] = &[
    (1, "PPP"),
    (2, "SLIP"),
    (3, "ARAP"),
    (4, "Gandalf-SLML"),
    (5, "Xylogics-IPX-SLIP"),
    (6, "X.75-Synchronous"),
    (7, "GPRS-PDP-Context"),
    (9, "PPTP"),
];

const ACCT_STATUS_TYPE: &[(u32, &str)] = &[
    (1, "Start"),
    (2, "Stop"),
    (3, "Interim-Update"),
    (7, "Accounting-On"),
    (8, "Accounting-Off"),
    (9, "Tunnel-Start"),
    (10, "Tunnel-Stop"),
    (11, "Tunnel-Reject"),
    (12, "Tunnel-Link-Start"),
    (13, "Tunnel-Link-Stop"),
    (14, "Tunnel-Link-Reject"),
    (15, "Failed"),
    (18, "Subsystem-On"),
    (19, "Subsystem-Off"),
];

const ACCT_AUTHENTIC: &[(u32, &str)] = &[(1, "RADIUS"), (2, "Local"), (3, "Remote"), (4, "Diameter")];

const ACCT_TERMINATE_CAUSE: &[(u32, &str)] = &[
    (1, "User-Request"),
    (2, "Lost-Carrier"),
    (3, "Lost-Service"),
    (4, "Idle-Timeout"),
    (5, "Session-Timeout"),
    (6, "Admin-Reset"),
    (7, "Admin-Reboot"),
    (8, "Port-Error"),
    (9, "NAS-Error"),
    (10, "NAS-Request"),
    (11, "NAS-Reboot"),
    (12, "Port-Unneeded"),
    (13, "Port-Preempted"),
    (14, "Port-Suspended"),
    (15, "Service-Unavailable"),
    (16, "Callback"),
    (17, "User-Error"),
    (18, "Host-Request"),
    (19, "Supplicant-Restart"),
    (20, "Reauthentication-Failure"),
    (21, "Port-Reinit"),
    (22, "Port-Disabled"),
];

const NAS_PORT_TYPE: &[(u32, &str)] = &[
    (0, "Async"),
    (1, "Sync"),
    (2, "ISDN"),
    (3, "ISDN-V120"),
    (4, "ISDN-V110"),
    (5, "Virtual"),
    (6, "PIAFS"),
    (7, "HDLC-Clear-Channel"),
    (8, "X.25"),
    (9, "X.75"),
    (10, "G.3-Fax"),
    (11, "SDSL"),
    (12, "ADSL-CAP"),
    (13, "ADSL-DMT"),
    (14, "IDSL"),
    (15, "Ethernet"),
    (16, "xDSL"),
    (17, "Cable"),
    (18, "Wireless-Other"),
    (19, "Wireless-802.11"),
    (20, "Token-Ring"),
    (21, "FDDI"),
    (22, "Wireless-CDMA2000"),
    (23, "Wireless-UMTS"),
    (24, "Wireless-1X-EV"),
    (25, "IAPP"),
    (26, "FTTP"),
    (27, "Wireless-802.16"),
    (28, "Wireless-802.20"),
    (29, "Wireless-802.22"),
    (30, "PPPoA"),
    (31, "PPPoEoA"),
    (32, "PPPoEoE"),
    (33, "PPPoEoVLAN"),
    (34, "PPPoEoQinQ"),
    (35, "xPON"),
    (36, "Wireless-XGP"),
];

const ERROR_CAUSE: &[(u32, &str)] = &[
    (201, "Residual-Context-Removed"),
    (202, "Invalid-EAP-Packet"),
    (401, "Unsupported-Attribute"),
    (402, "Missing-Attribute"),
    (403, "NAS-Identification-Mismatch"),
    (404, "Invalid-Request"),
    (405, "Unsupported-Service"),
    (406, "Unsupported-Extension"),
    (407, "Invalid-Attribute-Value"),
    (501, "Administratively-Prohibited"),
    (502, "Proxy-Request-Not-Routable"),
    (503, "Session-Context-Not-Found"),
    (504, "Session-Context-Not-Removable"),
    (505, "Proxy-Processing-Error"),
    (506, "Resources-Unavailable"),
    (507, "Request-Initiated"),
    (508, "Multiple-Session-Selection-Unsupported"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_unique_and_lead_to_each_other() {
        for (number, name) in STANDARD {
            assert_eq!(lookup(&name.text.to_lowercase()), Some((Type(*number), name)));
            assert_eq!(of(Type(*number)), Some(name));
        }
        for (number, name) in HUAWEI {
            let kind = VendorType { vendor: huawei::VENDOR, number: *number };
            assert_eq!(lookup_vendor(name.text), Some((kind, name)));
            assert_eq!(of_vendor(kind), Some(name));
        }
        assert_eq!(of_vendor(VendorType { vendor: 9, number: 138 }), None);
    }

    #[test]
    fn values_ascend() {
        for (_, name) in STANDARD.iter().chain(HUAWEI) {
            assert!(name.values.is_sorted_by(|a, b| a.0 < b.0), "{}", name.text);
        }
        assert_eq!(of(Type::ACCT_STATUS_TYPE).and_then(|name| name.of_value(3)), Some("Interim-Update"));
        assert_eq!(of(Type::ACCT_STATUS_TYPE).and_then(|name| name.of_value(99)), None);
    }
}
