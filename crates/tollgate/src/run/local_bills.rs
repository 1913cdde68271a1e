//! What the shell does with local bills: rows for `display local-bill cache`, and the actions.

use std::net::Ipv4Addr;

use model::record::Bill;
use model::report::LocalBill;
use tokio::sync::oneshot;
use vrp::ActionRequest;
use wire::radius::attribute::{Attributes, Type, VendorAttributes, as_u32, framed_protocol, huawei};

use super::daemon::Daemon;
use super::messages::WriterMessage;
use crate::bills::BillReader;
use crate::exit::Failure;

/// Moves or deletes bills at once.
pub(crate) async fn act(request: &ActionRequest, daemon: &Daemon) -> Result<(), String> {
    match request {
        ActionRequest::CacheBackup => ask(daemon, WriterMessage::BackupCache).await,
        ActionRequest::CfcardBackup { file_name } => {
            ask(daemon, |reply| WriterMessage::BackupCfcard(file_name.clone(), reply)).await
        }
        ActionRequest::CfcardReset => {
            let bills = ask(daemon, WriterMessage::ResetCfcard).await?;
            tracing::warn!(target: "audit", bills, "the CF card was reset");
            Ok(())
        }
    }
}

async fn ask<T, E: ToString>(
    daemon: &Daemon,
    question: impl FnOnce(oneshot::Sender<Result<T, E>>) -> WriterMessage,
) -> Result<T, String> {
    let (reply, answer) = oneshot::channel();
    daemon.tell_writer(question(reply));
    let answer = answer.await.map_err(|_| "the store of local bills does not answer".to_owned())?;
    answer.map_err(|refused| refused.to_string())
}

/// Bills of the pool from number `start` on.
pub(crate) async fn rows(daemon: &Daemon, start: u32, count: u32) -> Result<Vec<LocalBill>, vrp::Refusal> {
    let unavailable = vrp::Refusal::BillStoreUnavailable;
    let (reply, answer) = oneshot::channel();
    let [first, many] = [start, count].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    daemon.tell_writer(WriterMessage::Cache { start: first, count: many, reply });
    let bills = answer.await.map_err(|_| unavailable.clone())?;
    let mut reader = BillReader::new(&daemon.state_dir, &daemon.card_dir);
    let numbered = (u64::from(start)..).zip(&bills);
    let rows: Result<Vec<LocalBill>, Failure> =
        numbered.map(|(number, kept)| Ok(row(number, &reader.bill(kept)?))).collect();
    rows.map_err(|_| unavailable)
}

/// What the display shows of a bill (BEHAVIOUR.md 7.6).
fn row(number: u64, bill: &Bill<'_>) -> LocalBill {
    let mut row = LocalBill {
        number,
        start: bill.opened.at.wall,
        stop: bill.closed.at.wall,
        session_time_s: bill.closed.session_time_s,
        cause: bill.closed.cause,
        counters: bill.closed.counters,
        ..LocalBill::default()
    };
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    for attribute in Attributes::of_run(bill.opened.attributes) {
        match attribute.kind {
            Type::ACCT_SESSION_ID => row.session_id = text(attribute.value),
            Type::USER_NAME => row.user = text(attribute.value),
            Type::FRAMED_IP_ADDRESS => row.framed_ip = as_u32(attribute.value).map(Ipv4Addr::from_bits),
            Type::FRAMED_IPV6_ADDRESS => row.ipv6 = attribute.as_ipv6(),
            Type::FRAMED_IPV6_PREFIX if row.ipv6.is_none() => {
                row.ipv6 = attribute.as_prefix().map(|prefix| prefix.address);
            }
            Type::NAS_PORT_ID => row.interface = text(attribute.value),
            Type::FRAMED_PROTOCOL if as_u32(attribute.value) == Some(framed_protocol::PPP) => {
                row.auth_type = "PPP".to_owned();
            }
            _ => {}
        }
    }
    row.access_type = if row.auth_type.is_empty() { "IPoE" } else { "PPPoE" }.to_owned();
    row.vlans = vlans(&row.interface);
    let mac =
        VendorAttributes::of(Attributes::of_run(bill.opened.attributes)).find(|vendor| vendor.kind == huawei::USER_MAC);
    row.mac = mac.and_then(|vendor| mac_of(vendor.value));
    row
}

/// Outer and inner VLAN of `slot=0;subslot=1;port=0;vlanid=100;vlanid2=7`. One alone is the inner one.
fn vlans(interface: &str) -> (Option<u16>, Option<u16>) {
    let named = |name: &str| {
        let parts = interface.split(';').filter_map(|part| part.trim().split_once('='));
        parts.filter(|(key, _)| key.trim() == name).find_map(|(_, value)| value.trim().parse().ok())
    };
    match (named("vlanid"), named("vlanid2")) {
        (outer, Some(inner)) => (outer, Some(inner)),
        (inner, None) => (None, inner),
    }
}

/// `0200-0000-0001` as octets.
fn mac_of(text: &[u8]) -> Option<[u8; 6]> {
    let digits: Vec<u8> = text
        .iter()
        .filter(|character| **character != b'-')
        .map(|character| char::from(*character).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let mut mac = [0; 6];
    for (octet, pair) in mac.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = pair[0] << 4 | pair[1];
    }
    (digits.len() == 12).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_read_from_the_port() {
        for (interface, expected) in [
            ("slot=0;subslot=1;port=0;vlanid=100;vlanid2=7", (Some(100), Some(7))),
            ("slot=0; subslot=1; port=0; vlanid=9;", (None, Some(9))),
            ("eth0", (None, None)),
            ("", (None, None)),
        ] {
            assert_eq!(vlans(interface), expected, "{interface}");
        }
    }

    #[test]
    fn a_mac_is_twelve_digits() {
        for (text, expected) in
            [(&b"0200-0000-00a1"[..], Some([2, 0, 0, 0, 0, 0xa1])), (b"0200-0000-00a", None), (b"port 7", None)]
        {
            assert_eq!(mac_of(text), expected);
        }
    }
}
