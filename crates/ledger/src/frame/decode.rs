//! Octets → record. Every length is checked, every number that names something must be one of the names, and what
//! is left over is an error: octets that decode encode to themselves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use model::counters::{CounterSlot, Counters, Totals};
use model::domain::{Allowance, DualStack, FlowStatistic, StartDelay, Terms, TrafficUnit, UserTypes};
use model::ids::{BillId, SessionSerial};
use model::record::{
    Accepted, Acknowledged, Announced, Announcement, Bill, BillReason, BillRuns, BillStore, Booted, Checkpointed,
    Claimed, Closed, Delivered, Departed, Departure, Heard, Opened, Record, Returned, Sampled, StartFailed, Started,
    TakenOver, TransferAbandoned, TransferBegun, ZeroStop,
};
use model::samples::Samples;
use model::settings::{
    AccountingMode, BillFormat, InterfaceName, InterimFail, InterimFailPolicy, OptionalAttributes, PinnedScheme,
    ServerPath, StartFail,
};
use model::time::{Mono, Now, Wall};
use model::verdict::CutBy;

use super::{
    HAS_ACCEPTED, HAS_CLOSED, HAS_SAMPLED, HAS_START_FAILED, KIND_ACCEPTED, KIND_ACKNOWLEDGED, KIND_ANNOUNCED,
    KIND_BILLED, KIND_BOOTED, KIND_CHECKPOINTED, KIND_CLAIMED, KIND_CLOSED, KIND_DEPARTED, KIND_HEARD, KIND_OPENED,
    KIND_RETURNED, KIND_SAMPLED, KIND_SAMPLED_MANY, KIND_START_FAILED, KIND_STARTED, KIND_TRANSFER_ABANDONED,
    KIND_TRANSFER_BEGUN, SAMPLE_LEN, SCHEME_SEND_UPDATE, SCHEME_SHADOW, SCHEME_SWITCHES, SCHEME_TRAFFIC,
    TERMS_DELAY_OFFLINE, TERMS_DOWN_UNCOUNTED, TERMS_IDENTICAL, TERMS_IPV4_STARTS, TERMS_SWITCHES, TERMS_UP_UNCOUNTED,
    TERMS_WITHOUT_DOMAIN,
};

/// Why octets are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end too early.
    Truncated,
    /// The record ends before they do.
    Trailing,
    /// No record of this release begins so; a later release may have written it.
    UnknownKind(u8),
    /// A field holds a number that names nothing.
    BadValue,
    /// A name is not UTF-8.
    BadText,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("the record ends too early"),
            DecodeError::Trailing => f.write_str("octets follow the record"),
            DecodeError::UnknownKind(kind) => write!(f, "unknown kind of record {kind}"),
            DecodeError::BadValue => f.write_str("a field of the record holds an impossible value"),
            DecodeError::BadText => f.write_str("a name in the record is not UTF-8"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads one record that fills `octets` exactly.
///
/// # Errors
///
/// [`DecodeError`]; any octets may be handed in.
pub fn decode(octets: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut reader = Reader { rest: octets };
    let record = match reader.u8()? {
        KIND_STARTED => Record::Started(Started {
            epoch: reader.u32()?,
            boot_id: reader.take()?,
            at: reader.now()?,
            key: reader.take()?,
        }),
        KIND_OPENED => Record::Opened(reader.opened()?),
        KIND_ACCEPTED => {
            Record::Accepted(Accepted { serial: reader.serial()?, at: reader.mono()?, keep_accounting: reader.flag()? })
        }
        KIND_START_FAILED => {
            Record::StartFailed(StartFailed { serial: reader.serial()?, zero_stop: reader.zero_stop()? })
        }
        KIND_SAMPLED => {
            let serial = reader.serial()?;
            Record::Sampled(reader.sampled(serial)?)
        }
        KIND_SAMPLED_MANY => Record::SampledMany(reader.sampled_many()?),
        KIND_CLOSED => Record::Closed(reader.closed()?),
        KIND_ACKNOWLEDGED => Record::Acknowledged(Acknowledged { serial: reader.serial()? }),
        KIND_BILLED => Record::Billed(reader.bill()?),
        KIND_CHECKPOINTED => Record::Checkpointed(reader.checkpointed()?),
        KIND_HEARD => Record::Heard(reader.heard()?),
        KIND_TRANSFER_BEGUN => Record::TransferBegun(reader.transfer_begun()?),
        KIND_TRANSFER_ABANDONED => {
            Record::TransferAbandoned(TransferAbandoned { number: reader.u64()?, may_be_there: reader.flag()? })
        }
        KIND_DEPARTED => Record::Departed(Departed {
            store: reader.store()?,
            departure: reader.departure()?,
            transfer: reader.u64()?,
            at: Wall::from_millis(reader.u64()?),
            in_octets: reader.u64()?,
            out_octets: reader.u64()?,
            bills: reader.runs()?,
        }),
        KIND_CLAIMED => Record::Claimed(Claimed { id: reader.bill_id()? }),
        KIND_RETURNED => Record::Returned(Returned { id: reader.bill_id()?, was_sent: reader.flag()? }),
        KIND_ANNOUNCED => Record::Announced(reader.announced()?),
        KIND_BOOTED => Record::Booted(Booted { boot_id: reader.take()? }),
        kind => return Err(DecodeError::UnknownKind(kind)),
    };
    if reader.rest.is_empty() { Ok(record) } else { Err(DecodeError::Trailing) }
}

/// What a `sampled` record of this session says.
pub(crate) fn decode_sample(serial: SessionSerial, sample: &[u8; SAMPLE_LEN]) -> Option<Sampled> {
    Reader { rest: sample }.sampled(serial).ok()
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (here, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*here)
    }

    fn octets(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (here, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(here)
    }

    fn text(&mut self, len: u8) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.octets(usize::from(len))?).map_err(|_| DecodeError::BadText)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        let [value] = self.take()?;
        Ok(value)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_le_bytes)
    }

    fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::BadValue),
        }
    }

    fn mono(&mut self) -> Result<Mono, DecodeError> {
        self.u64().map(Mono::from_nanos)
    }

    fn now(&mut self) -> Result<Now, DecodeError> {
        Ok(Now { mono: self.mono()?, wall: Wall::from_millis(self.u64()?) })
    }

    fn serial(&mut self) -> Result<SessionSerial, DecodeError> {
        Ok(SessionSerial { epoch: self.u32()?, sequence: self.u64()? })
    }

    fn totals(&mut self) -> Result<Totals, DecodeError> {
        Ok(Totals {
            in_octets: self.u64()?,
            in_packets: self.u64()?,
            out_octets: self.u64()?,
            out_packets: self.u64()?,
        })
    }

    fn counters(&mut self) -> Result<Counters, DecodeError> {
        Ok(Counters { v4: self.totals()?, v6: self.totals()? })
    }

    fn taken_over(&mut self) -> Result<TakenOver, DecodeError> {
        Ok(TakenOver { plane_epoch: self.u64()?, ring: self.u16()?, position: self.u64()? })
    }

    fn zero_stop(&mut self) -> Result<ZeroStop, DecodeError> {
        match self.u8()? {
            0 => Ok(ZeroStop::Unknown),
            1 => Ok(ZeroStop::Acknowledged),
            _ => Err(DecodeError::BadValue),
        }
    }

    fn scheme(&mut self) -> Result<PinnedScheme, DecodeError> {
        let mode = match self.u8()? {
            0 => AccountingMode::None,
            1 => AccountingMode::Radius,
            2 => AccountingMode::Hwtacacs,
            _ => return Err(DecodeError::BadValue),
        };
        let start_fail = match self.u8()? {
            0 => StartFail::Online,
            1 => StartFail::OnlineKeepAccounting,
            2 => StartFail::Offline,
            _ => return Err(DecodeError::BadValue),
        };
        let interim_s = self.u32()?;
        let interim_hash = self.flag()?;
        let max_times = self.u8()?;
        let policy = match self.u8()? {
            0 => InterimFailPolicy::Online,
            1 => InterimFailPolicy::Offline,
            _ => return Err(DecodeError::BadValue),
        };
        let switches = self.u8()?;
        if switches & !SCHEME_SWITCHES != 0 {
            return Err(DecodeError::BadValue);
        }
        let no_send_remain_s = self.u16()?;
        Ok(PinnedScheme {
            mode,
            start_fail,
            interim_s,
            interim_hash,
            interim_traffic: switches & SCHEME_TRAFFIC != 0,
            send_update: switches & SCHEME_SEND_UPDATE != 0,
            no_send_remain_s,
            shadow: switches & SCHEME_SHADOW != 0,
            interim_fail: InterimFail { max_times, policy },
        })
    }

    fn terms(&mut self) -> Result<Terms, DecodeError> {
        let [switches, unit] = self.take()?;
        let seconds = self.u16()?;
        let [user_types, left_out] = self.take()?;
        let has = |bit: u8| switches & bit != 0;
        let unit = TrafficUnit::ALL.into_iter().find(|known| *known as u8 == unit).ok_or(DecodeError::BadValue)?;
        let start_delay = match (seconds, user_types) {
            (0, 0) if !has(TERMS_DELAY_OFFLINE) => None,
            (0, _) => return Err(DecodeError::BadValue),
            _ => {
                let user_types = UserTypes::from_bits(user_types).ok_or(DecodeError::BadValue)?;
                Some(StartDelay { seconds, offline: has(TERMS_DELAY_OFFLINE), user_types })
            }
        };
        if switches & !TERMS_SWITCHES != 0 {
            return Err(DecodeError::BadValue);
        }
        Ok(Terms {
            flow: FlowStatistic { up: !has(TERMS_UP_UNCOUNTED), down: !has(TERMS_DOWN_UNCOUNTED) },
            dual_stack: if has(TERMS_IDENTICAL) { DualStack::Identical } else { DualStack::Separate },
            traffic_unit: unit,
            start_delay,
            ipv4_starts: has(TERMS_IPV4_STARTS),
            without_domain: has(TERMS_WITHOUT_DOMAIN),
            left_out: OptionalAttributes::from_bits(left_out),
        })
    }

    fn allowance(&mut self) -> Result<Allowance, DecodeError> {
        Ok(Allowance { timeout_at: self.mono()?, quota_at: self.mono()?, volume: self.u64()? })
    }

    fn server(&mut self) -> Result<Option<SocketAddr>, DecodeError> {
        let family = self.u8()?;
        let address: [u8; 16] = self.take()?;
        let port = self.u16()?;
        let scope = self.u32()?;
        let [a, b, c, d, unused @ ..] = address;
        match family {
            0 if address == [0; 16] && port == 0 && scope == 0 => Ok(None),
            4 if unused == [0; 12] && scope == 0 => Ok(Some((Ipv4Addr::new(a, b, c, d), port).into())),
            6 => Ok(Some(SocketAddrV6::new(Ipv6Addr::from(address), port, 0, scope).into())),
            _ => Err(DecodeError::BadValue),
        }
    }

    fn address(&mut self) -> Result<Option<IpAddr>, DecodeError> {
        let family = self.u8()?;
        let address: [u8; 16] = self.take()?;
        let [a, b, c, d, unused @ ..] = address;
        match family {
            0 if address == [0; 16] => Ok(None),
            4 if unused == [0; 12] => Ok(Some(Ipv4Addr::new(a, b, c, d).into())),
            6 => Ok(Some(Ipv6Addr::from(address).into())),
            _ => Err(DecodeError::BadValue),
        }
    }

    fn closed(&mut self) -> Result<Closed, DecodeError> {
        Ok(Closed {
            serial: self.serial()?,
            taken_over: self.taken_over()?,
            at: self.now()?,
            cause: self.u8()?,
            session_time_s: self.u32()?,
            counters: self.counters()?,
        })
    }

    fn opened(&mut self) -> Result<Opened<'a>, DecodeError> {
        let serial = self.serial()?;
        let taken_over = self.taken_over()?;
        let scheme = self.scheme()?;
        let (terms, allowance) = (self.terms()?, self.allowance()?);
        let interim_s = self.u32()?;
        let session_timeout_s = self.u32()?;
        let at = self.now()?;
        let counters = CounterSlot { slot: self.u32()?, generation: self.u32()? };
        let baseline = self.counters()?;
        let [plane, session, domain, group] = self.take()?;
        let attributes = self.u16()?;
        Ok(Opened {
            serial,
            taken_over,
            plane: self.text(plane)?,
            session: self.octets(usize::from(session))?,
            domain: self.text(domain)?,
            group: self.text(group)?,
            scheme,
            terms,
            allowance,
            interim_s,
            session_timeout_s,
            at,
            counters,
            baseline,
            attributes: self.octets(usize::from(attributes))?,
        })
    }

    fn bill_id(&mut self) -> Result<BillId, DecodeError> {
        Ok(BillId { epoch: self.u32()?, sequence: self.u64()? })
    }

    fn store(&mut self) -> Result<BillStore, DecodeError> {
        let code = self.u8()?;
        let known = [BillStore::Cache, BillStore::Cfcard];
        known.into_iter().find(|store| *store as u8 == code).ok_or(DecodeError::BadValue)
    }

    fn departure(&mut self) -> Result<Departure, DecodeError> {
        let code = self.u8()?;
        let known =
            [Departure::Transferred, Departure::Moved, Departure::Replayed, Departure::Reset, Departure::Dropped];
        known.into_iter().find(|departure| *departure as u8 == code).ok_or(DecodeError::BadValue)
    }

    fn runs(&mut self) -> Result<BillRuns<'a>, DecodeError> {
        let len = self.u16()?;
        BillRuns::from_octets(self.octets(usize::from(len))?).ok_or(DecodeError::BadValue)
    }

    fn sampled(&mut self, serial: SessionSerial) -> Result<Sampled, DecodeError> {
        let (at, counters, interim_failures) = (self.mono()?, self.counters()?, self.u16()?);
        let cut = match self.u8()? {
            0 => None,
            by => Some(CutBy::from_u8(by).ok_or(DecodeError::BadValue)?),
        };
        Ok(Sampled { serial, at, counters, interim_failures, cut })
    }

    fn sampled_many(&mut self) -> Result<Samples<'a>, DecodeError> {
        let len = self.u16()?;
        Samples::from_octets(self.octets(usize::from(len))?).ok_or(DecodeError::BadValue)
    }

    fn checkpointed(&mut self) -> Result<Checkpointed<'a>, DecodeError> {
        let what = self.u8()?;
        let known = HAS_ACCEPTED | HAS_START_FAILED | HAS_SAMPLED | HAS_CLOSED;
        if what & !known != 0 || what & (HAS_ACCEPTED | HAS_START_FAILED) == HAS_ACCEPTED | HAS_START_FAILED {
            return Err(DecodeError::BadValue);
        }
        let opened = self.opened()?;
        let serial = opened.serial;
        let accepted = match what & HAS_ACCEPTED {
            0 => None,
            _ => Some(Accepted { serial, at: self.mono()?, keep_accounting: self.flag()? }),
        };
        let start_failed = match what & HAS_START_FAILED {
            0 => None,
            _ => Some(StartFailed { serial, zero_stop: self.zero_stop()? }),
        };
        let sampled = match what & HAS_SAMPLED {
            0 => None,
            _ => Some(self.sampled(serial)?),
        };
        let closed = match what & HAS_CLOSED {
            0 => None,
            _ => Some(self.closed()?),
        };
        if closed.is_some_and(|closed| closed.serial != serial) {
            return Err(DecodeError::BadValue);
        }
        Ok(Checkpointed { opened, accepted, start_failed, sampled, closed })
    }

    fn announced(&mut self) -> Result<Announced, DecodeError> {
        let address = self.server()?.ok_or(DecodeError::BadValue)?;
        let boot_id = self.take()?;
        let state = Announcement::from_u8(self.u8()?).ok_or(DecodeError::BadValue)?;
        let vpn = match self.u8()? {
            0 => None,
            len => Some(InterfaceName::new(self.text(len)?).ok_or(DecodeError::BadValue)?),
        };
        Ok(Announced { server: ServerPath { vpn, ..ServerPath::from(address) }, boot_id, state })
    }

    fn heard(&mut self) -> Result<Heard<'a>, DecodeError> {
        let (plane_epoch, ring, through) = (self.u64()?, self.u16()?, self.u64()?);
        let (shard, shard_count, len) = (self.u16()?, self.u16()?, self.u8()?);
        if shard >= shard_count {
            return Err(DecodeError::BadValue);
        }
        Ok(Heard { plane: self.text(len)?, plane_epoch, ring, through, shard, shard_count })
    }

    fn transfer_begun(&mut self) -> Result<TransferBegun<'a>, DecodeError> {
        let number = self.u64()?;
        let store = self.store()?;
        let format = self.u8()?;
        let format = BillFormat::ALL.into_iter().find(|known| *known as u8 == format).ok_or(DecodeError::BadValue)?;
        let created = Wall::from_millis(self.u64()?);
        let (size, sha256) = (self.u64()?, self.take()?);
        let [file, nas] = self.take()?;
        let (file, nas) = (self.text(file)?, self.text(nas)?);
        Ok(TransferBegun { number, store, file, format, nas, created, bills: self.runs()?, size, sha256 })
    }

    fn bill(&mut self) -> Result<Bill<'a>, DecodeError> {
        let id = self.bill_id()?;
        let reason = match self.u8()? {
            1 => BillReason::StopUnanswered,
            2 => BillReason::StartFailed,
            3 => BillReason::QueueDropped,
            4 => BillReason::Rebooted,
            _ => return Err(DecodeError::BadValue),
        };
        let delivered = match self.u8()? {
            0 => Delivered::No,
            1 => Delivered::Unknown,
            _ => return Err(DecodeError::BadValue),
        };
        let zero_stop = self.zero_stop()?;
        let server = self.server()?;
        let nas_address = self.address()?;
        let closed = self.closed()?;
        Ok(Bill { id, reason, delivered, zero_stop, server, nas_address, closed, opened: self.opened()? })
    }
}
