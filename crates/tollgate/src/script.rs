//! The plane script: JSON lines (INTERFACES.md section 3), read and checked, one at a time. `tollgate feed` plays it, and session
//! sources are told in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::counters::{Counters, Totals};
use model::event::{Access, Authentic, ClassList, Prefix, Subscriber};
use model::ids::PLANE_SESSION_MAX;
use model::time::Wall;
use serde::Deserialize;
use serde_json::{Map, Value};

/// `at` above this is a wall-clock time.
const WALL_CLOCK_FROM: f64 = 1e9;
/// Octets of a text at most: what an attribute carries (RFC 2865 section 5).
const TEXT_MAX: usize = 253;

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// When.
    pub(crate) at: At,
    /// The plane's own name of the session.
    pub(crate) session: String,
    /// What.
    pub(crate) op: Op,
    /// The totals that it carries, whatever it says; `None`: none.
    pub(crate) counted: Option<Told>,
}

/// Totals as a line gives them: some may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    v4: [Option<u64>; 4],
    v6: [Option<u64>; 4],
}

impl Told {
    /// The totals; what is left out stays as it was, but beside octets or packets of its direction that have begun again.
    pub(crate) fn over(self, before: Counters) -> Counters {
        let pair = |octets: Option<u64>, packets: Option<u64>, (old_octets, old_packets): (u64, u64)| {
            let has_fallen = octets.is_some_and(|octets| octets < old_octets)
                || packets.is_some_and(|packets| packets < old_packets);
            let or = |told: Option<u64>, old: u64| told.unwrap_or(if has_fallen { 0 } else { old });
            (or(octets, old_octets), or(packets, old_packets))
        };
        let over = |told: [Option<u64>; 4], before: Totals| {
            let (in_octets, in_packets) = pair(told[0], told[1], (before.in_octets, before.in_packets));
            let (out_octets, out_packets) = pair(told[2], told[3], (before.out_octets, before.out_packets));
            Totals { in_octets, in_packets, out_octets, out_packets }
        };
        Counters { v4: over(self.v4, before.v4), v6: over(self.v6, before.v6) }
    }
}

/// When a line is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    /// As soon as the lines before it are.
    Once,
    /// So many seconds after the start.
    Offset(f64),
    /// At this time of the wall clock, which also is the event's time.
    Wall(Wall),
}

/// What a line says.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Up(Box<Person>),
    Update(Box<Person>),
    Count(Told),
    /// With an Acct-Terminate-Cause, or 0; the line may carry the final totals.
    Down {
        cause: u8,
    },
    Reset,
    Resync,
}

/// A line as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    at: Option<f64>,
    op: String,
    session: String,
    cause: Option<u64>,
    user: Option<String>,
    domain: Option<String>,
    framed_ip: Option<Ipv4Addr>,
    framed_ipv6_prefix: Option<String>,
    delegated_prefix: Option<String>,
    framed_ipv6_address: Option<Ipv6Addr>,
    interface_id: Option<u64>,
    mac: Option<String>,
    calling: Option<String>,
    nas_port: Option<u32>,
    nas_port_id: Option<String>,
    access: Option<String>,
    auth_type: Option<String>,
    class: Vec<String>,
    acct_interim_interval: Option<u32>,
    session_timeout: Option<u32>,
    time_quota: Option<u64>,
    volume_quota: Option<u64>,
    multi_session_id: Option<String>,
    auth_server: Option<IpAddr>,
    in_octets: Option<u64>,
    in_packets: Option<u64>,
    out_octets: Option<u64>,
    out_packets: Option<u64>,
    v6_in_octets: Option<u64>,
    v6_in_packets: Option<u64>,
    v6_out_octets: Option<u64>,
    v6_out_packets: Option<u64>,
}

impl Written {
    fn told(&self) -> Told {
        Told {
            v4: [self.in_octets, self.in_packets, self.out_octets, self.out_packets],
            v6: [self.v6_in_octets, self.v6_in_packets, self.v6_out_octets, self.v6_out_packets],
        }
    }
}

/// Who a subscriber is, owning what it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    user: Option<String>,
    domain: Option<String>,
    framed_ip: Option<Ipv4Addr>,
    framed_ipv6_prefix: Option<Prefix>,
    delegated_prefix: Option<Prefix>,
    framed_ipv6_address: Option<Ipv6Addr>,
    interface_id: Option<u64>,
    mac: Option<[u8; 6]>,
    calling: Option<String>,
    nas_port: Option<u32>,
    nas_port_id: Option<String>,
    access: Option<Access>,
    authentic: Option<Authentic>,
    class: Vec<Vec<u8>>,
    acct_interim_interval: Option<u32>,
    session_timeout: Option<u32>,
    time_quota: Option<u64>,
    volume_quota: Option<u64>,
    multi_session_id: Option<String>,
    auth_server: Option<IpAddr>,
}

impl Person {
    /// The name of its port, which may be that of a network interface.
    pub(crate) fn nas_port_id(&self) -> Option<&str> {
        self.nas_port_id.as_deref()
    }

    /// Its addresses: IPv4, and the prefix of its link.
    pub(crate) fn addresses(&self) -> (Option<Ipv4Addr>, Option<Prefix>) {
        (self.framed_ip, self.framed_ipv6_prefix)
    }

    /// As an event carries it.
    pub(crate) fn subscriber(&self) -> Subscriber<'_> {
        let mut class = ClassList::default();
        for octets in &self.class {
            // The ninth was refused when the line was read.
            let _ = class.push(octets);
        }
        Subscriber {
            user: octets(self.user.as_ref()),
            domain: octets(self.domain.as_ref()),
            framed_ip: self.framed_ip,
            framed_ipv6_prefix: self.framed_ipv6_prefix,
            delegated_prefix: self.delegated_prefix,
            framed_ipv6_address: self.framed_ipv6_address,
            interface_id: self.interface_id,
            mac: self.mac,
            calling: octets(self.calling.as_ref()),
            nas_port: self.nas_port,
            nas_port_id: octets(self.nas_port_id.as_ref()),
            access: self.access,
            authentic: self.authentic,
            class,
            acct_interim_interval: self.acct_interim_interval,
            session_timeout: self.session_timeout,
            time_quota: self.time_quota,
            volume_quota: self.volume_quota,
            multi_session_id: octets(self.multi_session_id.as_ref()),
            auth_server: self.auth_server,
        }
    }
}

fn octets(text: Option<&String>) -> Option<&[u8]> {
    text.map(|text| text.as_bytes())
}

/// Reads one line; the error says what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Line, String> {
    let written = serde_json::from_str(text).map_err(|error| error.to_string());
    written.and_then(line).map_err(|why| on_one_line(&why))
}

/// As [`read`], of an object that was read already.
pub(crate) fn read_object(object: Map<String, Value>) -> Result<Line, String> {
    let written = serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string());
    written.and_then(line).map_err(|why| on_one_line(&why))
}

/// What is wrong may be told in the line's own words, which may hold anything: told as they are, they could end the line of a log
/// and begin another.
pub(crate) fn on_one_line(why: &str) -> String {
    let mut told = String::with_capacity(why.len());
    for character in why.chars() {
        match character.is_control() {
            true => told.extend(character.escape_default()),
            false => told.push(character),
        }
    }
    told
}

fn line(written: Written) -> Result<Line, String> {
    let is_resync = written.op == "resync";
    if !is_resync && (written.session.is_empty() || written.session.len() > PLANE_SESSION_MAX) {
        return Err(format!("\"session\" must have 1 to {PLANE_SESSION_MAX} octets"));
    }
    let at = at_of(written.at)?;
    let session = written.session.clone();
    let told = written.told();
    let counted = (told != Told::default()).then_some(told);
    // Whatever the line says: a file of a session source has it beside its `up`.
    let cause = cause(written.cause)?;
    let op = match written.op.as_str() {
        "up" if written.user.as_deref().is_none_or(str::is_empty) => return Err("\"up\" needs a \"user\"".to_owned()),
        "up" => Op::Up(Box::new(person(written)?)),
        "update" => Op::Update(Box::new(person(written)?)),
        "count" => Op::Count(told),
        "down" => Op::Down { cause },
        "reset" => Op::Reset,
        "resync" => Op::Resync,
        other => return Err(format!("no such \"op\": \"{other}\"")),
    };
    Ok(Line { at, session, op, counted })
}

fn at_of(at: Option<f64>) -> Result<At, String> {
    match at {
        None => Ok(At::Once),
        Some(at) if !at.is_finite() || at < 0.0 => Err("\"at\" must not be negative".to_owned()),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds of a positive time")]
        Some(at) if at > WALL_CLOCK_FROM => Ok(At::Wall(Wall::from_millis((at * 1000.0).round() as u64))),
        Some(at) => Ok(At::Offset(at)),
    }
}

/// Acct-Terminate-Cause, as far as RFC 2866 section 5.10 goes; 0: none was said.
fn cause(cause: Option<u64>) -> Result<u8, String> {
    let Some(cause) = cause else { return Ok(0) };
    let known = u8::try_from(cause).ok().filter(|cause| (1..=18).contains(cause));
    known.ok_or_else(|| "\"cause\" must be 1 to 18".to_owned())
}

fn person(written: Written) -> Result<Person, String> {
    let texts = [
        ("user", &written.user),
        ("domain", &written.domain),
        ("calling", &written.calling),
        ("nas_port_id", &written.nas_port_id),
        ("multi_session_id", &written.multi_session_id),
    ];
    for (name, text) in texts {
        if text.as_ref().is_some_and(|text| !(1..=TEXT_MAX).contains(&text.len())) {
            return Err(format!("\"{name}\" must have 1 to {TEXT_MAX} octets"));
        }
    }
    if written.class.len() > ClassList::MAX {
        return Err(format!("at most {} of \"class\"", ClassList::MAX));
    }
    let class = written.class.iter().map(|class| hex(class).filter(|octets| (1..=253).contains(&octets.len())));
    let class: Option<Vec<Vec<u8>>> = class.collect();
    Ok(Person {
        user: written.user,
        domain: written.domain,
        framed_ip: written.framed_ip,
        framed_ipv6_prefix: written.framed_ipv6_prefix.as_deref().map(prefix).transpose()?,
        delegated_prefix: written.delegated_prefix.as_deref().map(prefix).transpose()?,
        framed_ipv6_address: written.framed_ipv6_address,
        interface_id: written.interface_id,
        mac: written.mac.as_deref().map(mac).transpose()?,
        calling: written.calling,
        nas_port: written.nas_port,
        nas_port_id: written.nas_port_id,
        access: written.access.as_deref().map(access).transpose()?,
        authentic: written.auth_type.as_deref().map(authentic).transpose()?,
        class: class.ok_or("\"class\" is a list of hexadecimal texts of 1 to 253 octets")?,
        acct_interim_interval: written.acct_interim_interval,
        session_timeout: written.session_timeout,
        time_quota: written.time_quota,
        volume_quota: written.volume_quota,
        multi_session_id: written.multi_session_id,
        auth_server: written.auth_server,
    })
}

fn access(word: &str) -> Result<Access, String> {
    Ok(match word {
        "pppoe" => Access::Pppoe,
        "ipoe" => Access::Ipoe,
        "l2tp" => Access::L2tp,
        "static" => Access::Static,
        other => return Err(format!("no such \"access\": \"{other}\"; one of pppoe, ipoe, l2tp, static")),
    })
}

fn authentic(word: &str) -> Result<Authentic, String> {
    Ok(match word {
        "radius" => Authentic::Radius,
        "local" => Authentic::Local,
        "remote" => Authentic::Remote,
        other => return Err(format!("no such \"auth_type\": \"{other}\"; one of radius, local, remote")),
    })
}

fn prefix(text: &str) -> Result<Prefix, String> {
    let wrong = || format!("\"{text}\" is no IPv6 prefix");
    let (address, length) = text.split_once('/').ok_or_else(wrong)?;
    let length = length.parse().ok().filter(|length| *length <= 128).ok_or_else(wrong)?;
    let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    Ok(Prefix { address: Ipv6Addr::from_bits(address.to_bits() & mask), length })
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    hex(&digits).and_then(|octets| octets.try_into().ok()).ok_or_else(|| format!("\"{text}\" is no MAC address"))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    // A number might begin with a sign.
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_s_own_examples_are_read() {
        let up = r#"{"at":0,"op":"up","session":"s1","user":"alice@isp","domain":"isp","framed_ip":"100.64.0.1",
            "framed_ipv6_prefix":"2001:db8:1::/64","delegated_prefix":"2001:db8:8000::/56","mac":"02:00:00:00:00:01",
            "calling":"02-00-00-00-00-01","nas_port":16781313,"nas_port_id":"slot=0;subslot=1;port=0;vlanid=1",
            "access":"pppoe","class":["0a0b"],"acct_interim_interval":60,"session_timeout":86400}"#;
        let line = read(up).unwrap();
        assert_eq!((line.at, line.session.as_str()), (At::Offset(0.0), "s1"));
        let Op::Up(person) = line.op else { panic!("{:?}", line.op) };
        let subscriber = person.subscriber();
        assert_eq!(subscriber.mac, Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(subscriber.class.as_slice(), [&[10u8, 11][..]]);
        assert_eq!(subscriber.delegated_prefix.map(|prefix| prefix.length), Some(56));
        let count = read(r#"{"at":1.5,"op":"count","session":"s1","in_octets":1000,"out_octets":50000}"#).unwrap();
        let Op::Count(told) = count.op else { panic!("{:?}", count.op) };
        let before = Totals { in_octets: 1, in_packets: 2, out_octets: 3, out_packets: 4 };
        let after = Totals { in_octets: 1_000, out_octets: 50_000, ..before };
        let counters = Counters { v4: before, v6: before };
        assert_eq!(told.over(counters), Counters { v4: after, v6: before }, "what is left out stays");
        let down = read(r#"{"at":1795000009.25,"op":"down","session":"s1","cause":1}"#).unwrap();
        assert_eq!(down.at, At::Wall(Wall::from_millis(1_795_000_009_250)));
        assert_eq!(down.counted, None);
        let down = read(r#"{"op":"down","session":"s1","v6_in_octets":7}"#).unwrap();
        assert_eq!(down.counted.map(|told| told.over(Counters::ZERO).v6.in_octets), Some(7), "final totals");
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong() {
        for (line, what) in [
            ("{", "EOF"),
            (r#"{"op":"up","session":"s"}"#, "needs a \"user\""),
            (r#"{"op":"upp","session":"s"}"#, "no such \"op\""),
            (r#"{"op":"down"}"#, "\"session\""),
            (r#"{"op":"down","session":"s","cause":19}"#, "1 to 18"),
            (r#"{"op":"down","session":"s","cause":300}"#, "1 to 18"),
            (r#"{"op":"up","session":"s","user":"u","cause":19}"#, "1 to 18"),
            (r#"{"op":"up","session":"s","user":"u","mac":"02:00"}"#, "MAC"),
            (r#"{"op":"up","session":"s","user":"u","class":["0"]}"#, "hexadecimal"),
            (r#"{"op":"up","session":"s","user":"u","class":["+1"]}"#, "hexadecimal"),
            (r#"{"op":"up","session":"s","user":"u","mac":"02:00:00:00:00:+1"}"#, "MAC"),
            (r#"{"op":"up","session":"s","user":"u","framed_ipv6_prefix":"::/129"}"#, "prefix"),
            (r#"{"op":"up","session":"s","user":"u","framed_ipp":"1.2.3.4"}"#, "unknown field"),
            (r#"{"op":"down","session":"s","at":-1}"#, "negative"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(what), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_on_one_line() {
        for line in [
            r#"{"op":"up","session":"s","user":"u","x\ny\u001b[1m":1}"#,
            r#"{"op":"a\nb","session":"s"}"#,
            r#"{"op":"up","session":"s","user":"u","mac":"\n\r"}"#,
            r#"{"op":"up","session":"s","user":"u","access":"\u0085x"}"#,
        ] {
            let object = serde_json::from_str(line).unwrap();
            for error in [read(line).unwrap_err(), read_object(object).unwrap_err()] {
                assert!(!error.contains(char::is_control), "{error:?}");
            }
        }
        assert!(read(r#"{"op":"a\nb","session":"s"}"#).unwrap_err().contains(r"a\nb"), "and can be read");
    }
}
