//! An HWTACACS request as octets (RFC 8907 section 7.1): what the session's own attributes say, in TACACS+'s words.
//!
//! `task_id` is Acct-Session-Id, the same from Start to Stop. The protocol has one set of counters, so the address families are
//! added up; what octets are counted in, the template says.

use std::net::Ipv6Addr;

use model::counters::Totals;
use model::domain::Terms;
use model::time::Wall;
use wire::radius::attribute::{Type, acct_authentic, acct_terminate_cause, as_u32, framed_protocol};
use wire::tacacs::argument::{
    ADDR, ADDR_IPV6, BYTES_IN, BYTES_OUT, DISC_CAUSE, ELAPSED_TIME, Name, PAKS_IN, PAKS_OUT, PROTOCOL, SERVICE,
    START_TIME, STOP_TIME, TASK_ID,
};
use wire::tacacs::encode::{AuthenMethod, AuthenService, AuthenType};
use wire::tacacs::{self, Encoder, FIELD_SIZE_MAX, Flags, HEADER_SIZE, Record};

use crate::policy::Kind;
use crate::request::Request;
use crate::run::Run;

/// What a request says beside what the session says of itself.
pub(crate) struct Facts<'a> {
    /// The session's own attributes.
    pub(crate) own: Run<'a>,
    /// What the user is called, and what counters look like.
    pub(crate) terms: &'a Terms,
    /// When the session came up.
    pub(crate) opened: Wall,
    /// What matches the reply.
    pub(crate) session_id: u32,
    /// It is offered to put more on this connection.
    pub(crate) offers_single: bool,
    /// Interims carry WATCHDOG alone.
    pub(crate) watchdog_alone: bool,
}

/// What the attributes of a session say that TACACS+ has a word for.
#[derive(Default)]
struct Said<'a> {
    user: &'a [u8],
    session_id: &'a [u8],
    port: &'a [u8],
    calling: &'a [u8],
    authentic: u32,
    is_ppp: bool,
    ipv4: Option<[u8; 4]>,
    ipv6: Option<Ipv6Addr>,
}

impl<'a> Said<'a> {
    fn of(run: Run<'a>) -> Said<'a> {
        let mut said = Said::default();
        for attribute in run.attributes() {
            let value = attribute.value;
            match attribute.kind {
                Type::USER_NAME => said.user = value,
                Type::ACCT_SESSION_ID => said.session_id = value,
                Type::NAS_PORT_ID => said.port = value,
                Type::CALLING_STATION_ID => said.calling = value,
                Type::ACCT_AUTHENTIC => said.authentic = as_u32(value).unwrap_or_default(),
                Type::FRAMED_PROTOCOL => said.is_ppp = as_u32(value) == Some(framed_protocol::PPP),
                Type::FRAMED_IP_ADDRESS => said.ipv4 = value.try_into().ok(),
                Type::FRAMED_IPV6_ADDRESS => said.ipv6 = <[u8; 16]>::try_from(value).ok().map(Ipv6Addr::from),
                _ => {}
            }
        }
        said
    }
}

/// Writes the request into `room`, which holds the longest packet, and returns its length. It is obfuscated later, together with
/// others.
pub(crate) fn encode(room: &mut [u8], request: &Request, facts: &Facts<'_>) -> usize {
    let said = Said::of(facts.own);
    let record = match request.kind {
        Kind::Start => Record::Start,
        Kind::Interim if facts.watchdog_alone => Record::Watchdog,
        Kind::Interim => Record::WatchdogUpdate,
        Kind::Stop | Kind::ZeroStop => Record::Stop,
    };
    let header = tacacs::Request {
        session_id: facts.session_id,
        flags: if facts.offers_single { Flags::SINGLE_CONNECT } else { Flags::NONE },
        record,
        authen_method: match said.authentic {
            acct_authentic::RADIUS => AuthenMethod::Radius,
            acct_authentic::LOCAL => AuthenMethod::Local,
            _ => AuthenMethod::NotSet,
        },
        priv_lvl: 0,
        authen_type: AuthenType::NotSet,
        authen_service: if said.is_ppp { AuthenService::Ppp } else { AuthenService::None },
        user: facts.terms.user_name(said.user),
        port: said.port,
        rem_addr: said.calling,
    };
    let mut packet = Encoder::new(room, &header);
    packet.text(TASK_ID, said.session_id).number(START_TIME, seconds(facts.opened));
    packet.text(SERVICE, if said.is_ppp { b"ppp" } else { b"ip" });
    packet.text(PROTOCOL, if said.ipv4.is_none() && said.ipv6.is_some() { b"ipv6" } else { b"ip" });
    if let Some(address) = said.ipv4 {
        packet.display(ADDR, std::net::Ipv4Addr::from(address));
    }
    if let Some(address) = said.ipv6 {
        packet.display(ADDR_IPV6, address);
    }
    match request.kind {
        Kind::Start => {}
        Kind::Interim => counters(&mut packet, request, facts.terms),
        Kind::Stop => {
            packet.number(STOP_TIME, seconds(request.event.wall));
            counters(&mut packet, request, facts.terms);
            packet.number(DISC_CAUSE, request.cause.into());
        }
        Kind::ZeroStop => {
            packet.number(STOP_TIME, seconds(request.event.wall));
            packet.number(ELAPSED_TIME, 0);
            [BYTES_IN, BYTES_OUT, PAKS_IN, PAKS_OUT].into_iter().for_each(|name| {
                packet.number(name, 0);
            });
            packet.number(DISC_CAUSE, acct_terminate_cause::NAS_ERROR.into());
        }
    }
    packet.finish().expect("a dozen short arguments and three fields are less than a packet").len()
}

/// The most octets that a request takes: its fields, and the arguments with the longest values that they can have.
const _: () = assert!(HEADER_SIZE + 16 + 4 * FIELD_SIZE_MAX + 14 * 64 < crate::request::PACKET_MAX);

fn counters(packet: &mut Encoder<'_>, request: &Request, terms: &Terms) {
    let reported = terms.reported(&request.counters);
    let Totals { in_octets, in_packets, out_octets, out_packets } = reported.v4.plus(reported.v6);
    let named: [(Name, u64); 5] = [
        (ELAPSED_TIME, request.session_time_s.into()),
        (BYTES_IN, in_octets),
        (BYTES_OUT, out_octets),
        (PAKS_IN, in_packets),
        (PAKS_OUT, out_packets),
    ];
    named.into_iter().for_each(|(name, value)| {
        packet.number(name, value);
    });
}

fn seconds(wall: Wall) -> u64 {
    u64::from(wall.event_timestamp())
}
