//! Record ↔ octets. This file is the only one that knows how a record is laid out; what surrounds it on the disk
//! is `segment`'s.
//!
//! Little-endian, no padding, fields in the order below; a *text* is its octets, its length stands with the other
//! lengths of the record. Nothing is optional, so a record that is too short, or too long, is no record.
//!
//! ```text
//! record        kind 1, then by kind:
//!  1 started      epoch 4, boot id 16, now, key 16
//!  2 opened       opened
//!  3 accepted     serial, mono 8, keep accounting 1 (0 or 1)
//!  4 start-failed serial, zero Stop 1
//!  5 sampled      serial, sample
//!  6 closed       closed
//!  7 acknowledged serial
//!  8 billed       bill id, reason 1, delivered 1, zero Stop 1, server, nas address, closed, opened
//!  9 checkpointed what follows 1 (bits: accepted 1, start-failed 2, sampled 4, closed 8), opened, then what follows:
//!                 mono 8 and keep accounting 1; zero Stop 1; sample; closed
//! 10 heard        plane epoch 8, ring 2, through 8, shard 2, shard count 2, length of plane 1, plane
//! 11 transfer-begun
//!                 number 8, store 1, format 1, wall 8, size 8, SHA-256 32, lengths of file 1 and nas 1, these two, runs
//! 12 transfer-abandoned
//!                 number 8, may be there 1
//! 13 departed     store 1, departure 1, transfer 8, wall 8, in octets 8, out octets 8, runs
//! 14 claimed      bill id
//! 15 returned     bill id, was sent 1
//! 17 announced    server, boot id 16, state 1, length of vpn 1, vpn
//! 18 booted       boot id 16
//! 19 sampled-many length 2, samples of many sessions (`model::samples`)
//!
//! bill id       epoch 4, sequence 8
//! runs          length 2, then each: epoch 4, first sequence 8, count 4
//! serial        epoch 4, sequence 8
//! now           mono 8 (nanoseconds), wall 8 (milliseconds)
//! counters      v4 then v6, each: in octets 8, in packets 8, out octets 8, out packets 8
//! taken over    plane epoch 8, ring 2, position 8
//! scheme        mode 1, start-fail 1, interim seconds 4, interim hash 1, interim-fail max-times 1, policy 1,
//!               switches 1 (bits: traffic 1, send-update 2, shadow 4), no-send seconds 2
//! terms         switches 1 (bits: up not counted 1, down not counted 2, dual-stack identical 4, delay offline 8, IPv4
//!               starts 16, user name without domain 32), traffic unit 1, delay seconds 2 (0: none), who is delayed 1 (0:
//!               nobody), attributes left out 1 (bits: Acct-Multi-Session-Id 1, Calling-Station-Id 2, HW-Connect-Id 4,
//!               HW-Domain-Name 8, HW-IP-Host-Address 16, HW-Startup-Time-Stamp 32, NAS-Port 64, NAS-Port-Id 128)
//! allowance     timeout mono 8, quota mono 8, volume 8 (all ones: without limit)
//! server        family 1 (0 none, 4, 6), address 16 (an IPv4 address and 12 zeros), port 2, scope id 4
//! nas address   family 1 (0 none, 4, 6), address 16 (an IPv4 address and 12 zeros)
//! sample        mono 8, counters, interim failures 2, cut by 1 (0: not cut)
//! closed        serial, taken over, now, cause 1, session time 4, counters
//! opened        serial, taken over, scheme, terms, allowance, interim seconds 4, session timeout 4, now, slot 4, generation 4,
//!               baseline counters, lengths of plane 1, session 1, domain 1, group 1, attributes 2, then these five
//! ```
//!
//! Kinds are never given twice. A kind that this release does not know makes recovery refuse the store rather than forget
//! something.
//!
//! The id of a bill stands at a fixed place ([`number_bill`]), because the shard that writes the record does not
//! know it: the ledger numbers bills as it appends them.

mod check;
mod decode;
mod encode;

pub use check::SessionKey;
pub(crate) use check::{accepted, check, plane, sample, samples, session_key, taken_over};
pub(crate) use decode::decode_sample;
pub use decode::{DecodeError, decode};
pub(crate) use encode::encode_sample;
pub use encode::{TooLong, encode, encoded_len};

use model::ids::BillId;

/// No record is longer, in octets. What a session may bring fits: the sum is proved below.
pub const RECORD_LEN_MAX: usize = 4096;

pub(crate) const KIND_STARTED: u8 = 1;
pub(crate) const KIND_OPENED: u8 = 2;
pub(crate) const KIND_ACCEPTED: u8 = 3;
pub(crate) const KIND_START_FAILED: u8 = 4;
pub(crate) const KIND_SAMPLED: u8 = 5;
pub(crate) const KIND_CLOSED: u8 = 6;
pub(crate) const KIND_ACKNOWLEDGED: u8 = 7;
pub(crate) const KIND_BILLED: u8 = 8;
pub(crate) const KIND_CHECKPOINTED: u8 = 9;
pub(crate) const KIND_HEARD: u8 = 10;
pub(crate) const KIND_TRANSFER_BEGUN: u8 = 11;
pub(crate) const KIND_TRANSFER_ABANDONED: u8 = 12;
pub(crate) const KIND_DEPARTED: u8 = 13;
pub(crate) const KIND_CLAIMED: u8 = 14;
pub(crate) const KIND_RETURNED: u8 = 15;
pub(crate) const KIND_ANNOUNCED: u8 = 17;
pub(crate) const KIND_BOOTED: u8 = 18;
pub(crate) const KIND_SAMPLED_MANY: u8 = 19;

const KIND_LEN: usize = 1;
const SERIAL_LEN: usize = 4 + 8;
const NOW_LEN: usize = 8 + 8;
const COUNTERS_LEN: usize = 2 * (4 * 8);
/// What a `sampled` record says beside its serial.
pub(crate) const SAMPLE_LEN: usize = 8 + COUNTERS_LEN + 2 + 1;
const TAKEN_OVER_LEN: usize = 8 + 2 + 8;
const SCHEME_LEN: usize = 1 + 1 + 4 + 1 + 1 + 1 + 1 + 2;
const TERMS_LEN: usize = 1 + 1 + 2 + 1 + 1;
const ALLOWANCE_LEN: usize = 8 + 8 + 8;
const SERVER_LEN: usize = 1 + 16 + 2 + 4;
const BILL_ID_LEN: usize = 4 + 8;
const CLOSED_LEN: usize = SERIAL_LEN + TAKEN_OVER_LEN + NOW_LEN + 1 + 4 + COUNTERS_LEN;
const OPENED_LENGTHS_LEN: usize = 1 + 1 + 1 + 1 + 2;
const OPENED_LEN_FIXED: usize = SERIAL_LEN
    + TAKEN_OVER_LEN
    + SCHEME_LEN
    + TERMS_LEN
    + ALLOWANCE_LEN
    + 4
    + 4
    + NOW_LEN
    + 8
    + COUNTERS_LEN
    + OPENED_LENGTHS_LEN;
const NAS_ADDRESS_LEN: usize = 1 + 16;
const BILL_LEN_FIXED: usize = BILL_ID_LEN + 3 + SERVER_LEN + NAS_ADDRESS_LEN + CLOSED_LEN + OPENED_LEN_FIXED;

const CHECKPOINT_LEN_MOST: usize = 1 + (8 + 1) + 1 + SAMPLE_LEN + CLOSED_LEN;
const HEARD_LEN_FIXED: usize = 8 + 2 + 8 + 2 + 2 + 1;
const ANNOUNCED_LEN_FIXED: usize = SERVER_LEN + 16 + 1 + 1;
const TRANSFER_BEGUN_LEN_FIXED: usize = 8 + 1 + 1 + 8 + 8 + 32 + 1 + 1 + 2;
const DEPARTED_LEN_FIXED: usize = 1 + 1 + 8 + 8 + 8 + 8 + 2;
const SAMPLED_MANY_LEN_FIXED: usize = 2;

/// What follows in a `checkpointed` record.
const HAS_ACCEPTED: u8 = 1;
const HAS_START_FAILED: u8 = 2;
const HAS_SAMPLED: u8 = 4;
const HAS_CLOSED: u8 = 8;

/// Switches of a scheme.
const SCHEME_TRAFFIC: u8 = 1;
const SCHEME_SEND_UPDATE: u8 = 2;
const SCHEME_SHADOW: u8 = 4;
const SCHEME_SWITCHES: u8 = SCHEME_TRAFFIC | SCHEME_SEND_UPDATE | SCHEME_SHADOW;

/// Switches of terms.
const TERMS_UP_UNCOUNTED: u8 = 1;
const TERMS_DOWN_UNCOUNTED: u8 = 2;
const TERMS_IDENTICAL: u8 = 4;
const TERMS_DELAY_OFFLINE: u8 = 8;
const TERMS_IPV4_STARTS: u8 = 16;
const TERMS_WITHOUT_DOMAIN: u8 = 32;
const TERMS_SWITCHES: u8 = TERMS_UP_UNCOUNTED
    | TERMS_DOWN_UNCOUNTED
    | TERMS_IDENTICAL
    | TERMS_DELAY_OFFLINE
    | TERMS_IPV4_STARTS
    | TERMS_WITHOUT_DOMAIN;

const BILL_ID_AT: usize = KIND_LEN;

/// The longest records are a bill and a checkpointed session. Their names: plane, session, domain, group. Their
/// attributes: eight Class and five more of full length (User-Name, Calling-Station-Id, NAS-Port-Id,
/// Acct-Multi-Session-Id, one to spare), and the short ones. Those that name bills name them in runs.
const _: () = {
    let names = model::ids::PLANE_RECORD_NAME_MAX + model::ids::PLANE_SESSION_MAX + 64 + 32;
    let attributes = (model::event::ClassList::MAX + 5) * 255 + 160;
    assert!(KIND_LEN + BILL_LEN_FIXED + names + attributes <= RECORD_LEN_MAX);
    assert!(KIND_LEN + CHECKPOINT_LEN_MOST + OPENED_LEN_FIXED + names + attributes <= RECORD_LEN_MAX);
    let runs = model::record::BillRuns::RUN_COUNT_MAX * model::record::BillRuns::RUN_LEN;
    assert!(KIND_LEN + TRANSFER_BEGUN_LEN_FIXED + 255 + 255 + runs <= RECORD_LEN_MAX);
    assert!(KIND_LEN + DEPARTED_LEN_FIXED + runs <= RECORD_LEN_MAX);
    assert!(KIND_LEN + SAMPLED_MANY_LEN_FIXED + model::samples::Samples::LEN_MAX <= RECORD_LEN_MAX);
};

/// Whether the octets are a bill's record. They are not looked at further.
pub fn is_bill(record: &[u8]) -> bool {
    record.first() == Some(&KIND_BILLED)
}

/// Whether they make a session known: `opened` or `checkpointed`.
pub(crate) fn is_whole(record: &[u8]) -> bool {
    matches!(record.first(), Some(&KIND_OPENED | &KIND_CHECKPOINTED))
}

/// Whether they are a session written again whole.
pub(crate) fn is_checkpointed(record: &[u8]) -> bool {
    record.first() == Some(&KIND_CHECKPOINTED)
}

/// Whether they are a session written again whole that has ended.
pub(crate) fn has_closed(record: &[u8]) -> bool {
    is_checkpointed(record) && record.get(KIND_LEN).is_some_and(|what| what & HAS_CLOSED != 0)
}

/// Whether they are the record of an engine start.
pub(crate) fn is_started(record: &[u8]) -> bool {
    record.first() == Some(&KIND_STARTED)
}

/// Whether a record tells of bills, their transfers and replays, or begins a life: what is read besides sessions.
pub fn is_of_the_book(record: &[u8]) -> bool {
    matches!(
        record.first(),
        Some(
            &KIND_STARTED
                | &KIND_BILLED
                | &KIND_TRANSFER_BEGUN
                | &KIND_TRANSFER_ABANDONED
                | &KIND_DEPARTED
                | &KIND_CLAIMED
                | &KIND_RETURNED
        )
    )
}

/// Gives a bill its name, in its encoded record. Does nothing to any other record.
pub fn number_bill(record: &mut [u8], id: BillId) {
    if !is_bill(record) || record.len() < BILL_ID_AT + BILL_ID_LEN {
        return;
    }
    record[BILL_ID_AT..BILL_ID_AT + 4].copy_from_slice(&id.epoch.to_le_bytes());
    record[BILL_ID_AT + 4..BILL_ID_AT + BILL_ID_LEN].copy_from_slice(&id.sequence.to_le_bytes());
}
