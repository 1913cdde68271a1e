//! `display radius-attribute`: what stands in which packet (BEHAVIOUR.md 8.1), and what the group leaves out.

use model::settings::{OptionalAttribute, RadiusGroup};
use serde_json::json;

use super::Shown;
use super::table::columns;
use crate::command::AccountingPacket;

/// In which packets an attribute may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packets {
    /// In all.
    All,
    /// In those of a session.
    Session,
    /// In those that count.
    Counting,
    Stop,
}

/// What it takes for an attribute to stand there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Always,
    /// There is something to say: the plane has told it, or the address is of this family.
    IfThereIsOne,
    /// `message-authenticator` at the server.
    IfSigned,
}

/// Type, name, where, when. Those that a group can leave out are named by [`OptionalAttribute`], which see.
const ATTRIBUTES: [(&str, &str, Packets, Sent); 39] = [
    ("1", "User-Name", Packets::Session, Sent::Always),
    ("4", "NAS-IP-Address", Packets::All, Sent::IfThereIsOne),
    ("5", "NAS-Port", Packets::Session, Sent::IfThereIsOne),
    ("6", "Service-Type", Packets::Session, Sent::IfThereIsOne),
    ("7", "Framed-Protocol", Packets::Session, Sent::IfThereIsOne),
    ("8", "Framed-IP-Address", Packets::Session, Sent::IfThereIsOne),
    ("25", "Class", Packets::Session, Sent::IfThereIsOne),
    ("27", "Session-Timeout", Packets::Session, Sent::IfThereIsOne),
    ("31", "Calling-Station-Id", Packets::Session, Sent::IfThereIsOne),
    ("32", "NAS-Identifier", Packets::All, Sent::Always),
    ("40", "Acct-Status-Type", Packets::All, Sent::Always),
    ("41", "Acct-Delay-Time", Packets::All, Sent::Always),
    ("42", "Acct-Input-Octets", Packets::Counting, Sent::Always),
    ("43", "Acct-Output-Octets", Packets::Counting, Sent::Always),
    ("44", "Acct-Session-Id", Packets::All, Sent::Always),
    ("45", "Acct-Authentic", Packets::Session, Sent::Always),
    ("46", "Acct-Session-Time", Packets::Counting, Sent::Always),
    ("47", "Acct-Input-Packets", Packets::Counting, Sent::Always),
    ("48", "Acct-Output-Packets", Packets::Counting, Sent::Always),
    ("49", "Acct-Terminate-Cause", Packets::Stop, Sent::Always),
    ("50", "Acct-Multi-Session-Id", Packets::Session, Sent::IfThereIsOne),
    ("52", "Acct-Input-Gigawords", Packets::Counting, Sent::Always),
    ("53", "Acct-Output-Gigawords", Packets::Counting, Sent::Always),
    ("55", "Event-Timestamp", Packets::All, Sent::Always),
    ("61", "NAS-Port-Type", Packets::Session, Sent::Always),
    ("80", "Message-Authenticator", Packets::All, Sent::IfSigned),
    ("87", "NAS-Port-Id", Packets::Session, Sent::IfThereIsOne),
    ("95", "NAS-IPv6-Address", Packets::All, Sent::IfThereIsOne),
    ("96", "Framed-Interface-Id", Packets::Session, Sent::IfThereIsOne),
    ("97", "Framed-IPv6-Prefix", Packets::Session, Sent::IfThereIsOne),
    ("123", "Delegated-IPv6-Prefix", Packets::Session, Sent::IfThereIsOne),
    ("168", "Framed-IPv6-Address", Packets::Session, Sent::IfThereIsOne),
    ("26-26", "HW-Connect-ID", Packets::Session, Sent::Always),
    ("26-59", "HW-Startup-Time-Stamp", Packets::Session, Sent::Always),
    ("26-60", "HW-IP-Host-Address", Packets::Session, Sent::IfThereIsOne),
    ("26-138", "HW-Domain-Name", Packets::Session, Sent::Always),
    ("26-144..149", "HW-Acct-IPv6-Input/Output-*", Packets::Counting, Sent::IfThereIsOne),
    ("26-153", "HW-User-MAC", Packets::Session, Sent::IfThereIsOne),
    ("26-255", "HW-Product-ID", Packets::All, Sent::Always),
];

/// What the servers of a group are sent in such a packet.
pub(super) fn sent(group: &RadiusGroup, packet: AccountingPacket) -> Shown {
    let rows: Vec<[String; 3]> = ATTRIBUTES
        .iter()
        .filter(|(_, _, packets, _)| stands_in(*packets, packet))
        .map(|(number, name, _, sent)| [number, name, when(group, name, *sent)].map(|cell: &str| cell.to_owned()))
        .collect();
    let trailer = format!("Total: {}", rows.len());
    let text = columns(["Type", "Attribute", "Sent"], &rows, &trailer);
    let json = rows.iter().map(|[number, name, sent]| json!({ "type": number, "name": name, "sent": sent })).collect();
    Shown { text, json }
}

fn stands_in(packets: Packets, packet: AccountingPacket) -> bool {
    match packet {
        AccountingPacket::On | AccountingPacket::Off => packets == Packets::All,
        AccountingPacket::Start => matches!(packets, Packets::All | Packets::Session),
        AccountingPacket::Interim => packets != Packets::Stop,
        AccountingPacket::Stop => true,
    }
}

fn when(group: &RadiusGroup, name: &str, sent: Sent) -> &'static str {
    let optional = OptionalAttribute::ALL.into_iter().find(|attribute| attribute.as_str().eq_ignore_ascii_case(name));
    if optional.is_some_and(|attribute| group.disabled_attributes.contains(&attribute)) {
        return "No";
    }
    let signed = group.accounting.iter().filter(|server| server.message_authenticator).count();
    match sent {
        Sent::Always => "Yes",
        Sent::IfThereIsOne => "If there is one",
        Sent::IfSigned if signed == 0 => "No",
        Sent::IfSigned if signed == group.accounting.len() => "Yes",
        Sent::IfSigned => "To some servers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(group: &RadiusGroup, packet: AccountingPacket, name: &str) -> Option<String> {
        let shown = sent(group, packet);
        let rows = shown.json.as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == name)?;
        Some(row["sent"].as_str().unwrap().to_owned())
    }

    #[test]
    fn what_a_group_leaves_out_is_not_sent() {
        for attribute in OptionalAttribute::ALL {
            let name = ATTRIBUTES.iter().map(|row| row.1).find(|name| attribute.as_str().eq_ignore_ascii_case(name));
            let name = name.unwrap_or_else(|| panic!("{} has a row", attribute.as_str()));
            let mut group = RadiusGroup::default();
            let before = said(&group, AccountingPacket::Stop, name);
            assert!(before.is_some_and(|said| said != "No"), "{name}");
            group.disabled_attributes.insert(attribute);
            assert_eq!(said(&group, AccountingPacket::Stop, name).as_deref(), Some("No"), "{name}");
        }
    }

    #[test]
    fn each_kind_of_packet_has_its_own() {
        let group = RadiusGroup::default();
        for (name, packets) in [
            ("NAS-Identifier", &AccountingPacket::ALL[..]),
            ("User-Name", &AccountingPacket::ALL[2..]),
            ("Acct-Session-Time", &AccountingPacket::ALL[3..]),
            ("Acct-Terminate-Cause", &AccountingPacket::ALL[4..]),
        ] {
            for packet in AccountingPacket::ALL {
                assert_eq!(said(&group, packet, name).is_some(), packets.contains(&packet), "{name} in {packet:?}");
            }
        }
    }
}
