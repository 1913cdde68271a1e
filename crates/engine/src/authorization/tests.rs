use std::net::{IpAddr, Ipv4Addr};

use model::settings::AuthorizationServer;
use model::time::Wall;
use wire::radius::Encoder;
use wire::radius::authenticator::{Unsigned, sign_request, verify_response};

use super::*;

const SECRET: &[u8] = b"testing123";
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const PORT: u16 = AuthorizationServer::PORT_DEFAULT;
const DM: Code = Code::DISCONNECT_REQUEST;
const COA: Code = Code::COA_REQUEST;
const ID: (Type, &[u8]) = (Type::ACCT_SESSION_ID, b"s1");

fn at(seconds: u64) -> Now {
    Now { mono: Mono::from_nanos(seconds * 1_000_000_000), wall: Wall::from_millis(1_795_000_000_000 + seconds * 1000) }
}

fn settings(server: AuthorizationServer) -> Settings {
    let mut settings = Settings { sysname: "BNG1".to_owned(), ..Settings::default() };
    settings.radius_authorization.servers.insert(SERVER.into(), server);
    settings
}

fn server() -> AuthorizationServer {
    let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
    AuthorizationServer { shared_key, ..AuthorizationServer::default() }
}

fn judge(server: AuthorizationServer) -> Authorization {
    let mut judge = Authorization::new(Mono::ZERO);
    judge.configure(&settings(server));
    judge
}

fn request(code: Code, identifier: u8, attributes: &[(Type, &[u8])], secret: &[u8]) -> Vec<u8> {
    let mut room = [0; 4096];
    let mut encoder = Encoder::packet(&mut room, code, identifier);
    for &(kind, value) in attributes {
        encoder.attribute(attribute::Attribute { kind, value });
    }
    let packet = encoder.finish().unwrap();
    sign_request(&mut Unsigned { packet, secret, message_authenticator: false });
    packet.to_vec()
}

/// Sent by the server to the first address of the box.
fn hear(judge: &mut Authorization, now: Now, octets: &[u8]) -> Judgement {
    hear_from(judge, now, (SERVER, 40_000), ("192.0.2.1", PORT), octets)
}

fn hear_from(judge: &mut Authorization, now: Now, from: (IpAddr, u16), to: (&str, u16), octets: &[u8]) -> Judgement {
    let arrived = Arrived { from: from.into(), vpn: None, to: SocketAddr::new(to.0.parse().unwrap(), to.1), octets };
    judge.handle_datagram(now, &arrived)
}

/// The code of a signed answer, and its Error-Cause.
#[track_caller]
fn answer_of(asked: &[u8], reply: &[u8]) -> (Code, Option<u32>) {
    let (asked, reply) = (Packet::parse(asked).unwrap(), Packet::parse(reply).unwrap());
    assert_eq!(verify_response(&reply, asked.authenticator(), SECRET), Ok(()));
    (reply.code(), reply.find(Type::ERROR_CAUSE).and_then(attribute::as_u32))
}

#[track_caller]
fn asked(judgement: &Judgement) -> Token {
    let Judgement::Ask(token, _) = judgement else { panic!("{judgement:?}") };
    *token
}

/// The shards say this whenever they are asked.
#[track_caller]
fn conclude(judge: &mut Authorization, now: Now, token: Token, outcomes: &[Outcome]) -> (SocketAddr, Box<[u8]>) {
    loop {
        match judge.handle_outcomes(now, token, outcomes) {
            Conclusion::Reply(to, reply) => return (to, reply),
            Conclusion::Ask(order) => assert!(!order.is_trial(), "it was weighed before"),
            Conclusion::Nothing => panic!("nothing is said"),
        }
    }
}

#[test]
fn who_is_not_believed_hears_nothing_and_is_counted() {
    let right = request(DM, 1, &[ID], SECRET);
    let wrong_secret = request(DM, 1, &[ID], b"testing124");
    let other_code = request(Code::ACCOUNTING_REQUEST, 1, &[ID], SECRET);
    let ours = ("192.0.2.1", PORT);
    let bound = AuthorizationServer { destination_ip: Some([192, 0, 2, 1].into()), ..server() };
    let moved = AuthorizationServer { destination_port: Some(1700), ..server() };
    let unsigned = AuthorizationServer { shared_key: None, ..server() };
    let other: IpAddr = [192, 0, 2, 8].into();
    // server, from, to, octets: unknown, malformed, destination, authenticator
    for (number, (server, from, to, octets, expected)) in [
        (server(), SERVER, ours, &right[..], None),
        (server(), other, ours, &right, Some((1, 0, 0, 0))),
        (unsigned, SERVER, ours, &right, Some((1, 0, 0, 0))),
        (server(), SERVER, ours, &right[..19], Some((0, 1, 0, 0))),
        (server(), SERVER, ours, &other_code, Some((0, 1, 0, 0))),
        (server(), SERVER, ours, &wrong_secret, Some((0, 0, 0, 1))),
        (server(), SERVER, ("192.0.2.1", 1700), &right, Some((0, 0, 1, 0))),
        (moved.clone(), SERVER, ours, &right, Some((0, 0, 1, 0))),
        (moved, SERVER, ("192.0.2.1", 1700), &right, None),
        (bound.clone(), SERVER, ours, &right, None),
        (bound, SERVER, ("192.0.2.2", PORT), &right, Some((0, 0, 1, 0))),
    ]
    .into_iter()
    .enumerate()
    {
        let mut judge = judge(server);
        let judgement = hear_from(&mut judge, at(0), (from, 40_000), to, octets);
        let report = judge.report();
        let AuthorizationServerReport { disconnect, malformed, .. } = report.servers[0];
        let counts = (report.unknown_server, malformed, disconnect.wrong_destination, disconnect.bad_authenticators);
        match expected {
            None => assert!(matches!(judgement, Judgement::Ask(..)), "row {number}: {judgement:?}"),
            Some(expected) => assert_eq!((judgement, counts), (Judgement::Nothing, expected), "row {number}"),
        }
    }
}

#[test]
fn coa_stale_by_more_than_300_s_is_discarded() {
    let now = at(1000);
    for (ahead, believed) in [(0i32, true), (-300, true), (300, true), (-301, false), (301, false), (i32::MIN, false)] {
        let stamp = now.wall.event_timestamp().wrapping_add_signed(ahead).to_be_bytes();
        let octets = request(COA, 1, &[ID, (Type::EVENT_TIMESTAMP, &stamp), (Type::CLASS, b"c")], SECRET);
        let mut judge = judge(server());
        let judgement = hear(&mut judge, now, &octets);
        assert_eq!(matches!(judgement, Judgement::Ask(..)), believed, "{ahead}: {judgement:?}");
        assert_eq!(judge.report().servers[0].coa.stale, u64::from(!believed), "{ahead}");
    }
}

/// The kind of request, what stands in it, and the Error-Cause of the refusal.
type Row<'a> = (Code, Vec<(Type, &'a [u8])>, Option<u32>);

/// RFC 5176 section 3.5: what is not understood is refused as a whole.
#[test]
fn refusals_say_why() {
    let number = |number: u32| number.to_be_bytes();
    let user: (Type, &[u8]) = (Type::USER_NAME, b"alice@isp");
    let (short, long, good) = (number(59), number(3_932_101), number(60));
    let (framed, authorize) = (number(2), number(17));
    let connection = [0, 0, 7, 0xdb, 26, 6, 0, 0, 0, 9];
    let vendor = [0, 0, 0, 9, 1, 3, b'x'];
    let nine = [(Type::CLASS, &b"c"[..]); 9];
    let with = |more: &[(Type, &'static [u8])]| [&[ID][..], more].concat();
    let leak = |octets: &[u8]| -> &'static [u8] { Box::leak(octets.into()) };
    let table: Vec<Row<'_>> = vec![
        (DM, vec![ID], None),
        (DM, vec![user, (Type::NAS_IDENTIFIER, b"BNG1"), (Type::ACCT_TERMINATE_CAUSE, &good)], None),
        (DM, vec![user, (Type::VENDOR_SPECIFIC, &connection), (Type::PROXY_STATE, b"p")], None),
        (DM, vec![], Some(402)),
        (DM, vec![(Type::CALLING_STATION_ID, b"02-00-00-00-00-01")], Some(402)),
        (DM, with(&[(Type::CLASS, b"c")]), Some(401)),
        (DM, with(&[(Type::ACCT_INTERIM_INTERVAL, leak(&good))]), Some(401)),
        (DM, with(&[(Type(241), b"x")]), Some(401)),
        (DM, with(&[(Type::VENDOR_SPECIFIC, leak(&vendor))]), Some(401)),
        (DM, with(&[(Type::SERVICE_TYPE, leak(&authorize))]), Some(405)),
        (DM, vec![(Type::FRAMED_IP_ADDRESS, b"abc")], Some(404)),
        (DM, vec![(Type::FRAMED_IPV6_PREFIX, &[0, 129])], Some(404)),
        (DM, vec![(Type::USER_NAME, b"")], Some(404)),
        (DM, vec![ID, ID], Some(404)),
        (DM, with(&[(Type::NAS_IP_ADDRESS, &[192, 0, 2, 1]), (Type::NAS_IP_ADDRESS, &[192, 0, 2, 1])]), Some(404)),
        (
            DM,
            with(&[(Type::VENDOR_SPECIFIC, leak(&connection)), (Type::VENDOR_SPECIFIC, leak(&connection))]),
            Some(404),
        ),
        (COA, with(&[(Type::SESSION_TIMEOUT, leak(&good)), (Type::SESSION_TIMEOUT, leak(&good))]), Some(404)),
        (COA, with(&[(Type::CLASS, b"")]), Some(407)),
        (COA, with(&[(Type::ACCT_INTERIM_INTERVAL, leak(&good))]), None),
        (COA, with(&[(Type::SESSION_TIMEOUT, leak(&good)), (Type::CLASS, b"c")]), None),
        (COA, [&[ID][..], &nine[..8]].concat(), None),
        (COA, [&[ID][..], &nine].concat(), Some(407)),
        (COA, vec![ID], Some(402)),
        (COA, vec![(Type::CLASS, b"c")], Some(402)),
        (COA, with(&[(Type::ACCT_INTERIM_INTERVAL, leak(&short))]), Some(407)),
        (COA, with(&[(Type::ACCT_INTERIM_INTERVAL, leak(&long))]), Some(407)),
        (COA, with(&[(Type::ACCT_INTERIM_INTERVAL, b"x")]), Some(407)),
        (COA, with(&[(Type::SESSION_TIMEOUT, &[0; 4])]), Some(407)),
        (COA, with(&[(Type::SERVICE_TYPE, leak(&framed)), (Type::CLASS, b"c")]), Some(405)),
        (COA, with(&[(Type::CLASS, b"c"), (Type::FILTER_ID, b"f")]), Some(401)),
    ];
    for (number, (code, attributes, expected)) in table.into_iter().enumerate() {
        let mut judge = judge(server());
        let octets = request(code, 1, &attributes, SECRET);
        match (hear(&mut judge, at(0), &octets), expected) {
            (Judgement::Ask(..), None) => {}
            (Judgement::Reply(reply), Some(cause)) => {
                let nak = if code == DM { Code::DISCONNECT_NAK } else { Code::COA_NAK };
                assert_eq!(answer_of(&octets, &reply), (nak, Some(cause)), "row {number}");
                let report = judge.report().servers[0];
                assert_eq!(report.disconnect.naks + report.coa.naks, 1, "row {number}");
            }
            (other, _) => panic!("row {number}: {other:?}"),
        }
    }
}

#[test]
fn what_the_shards_say_is_the_answer() {
    let (found, none) = (Outcome::Obeyed(1), Outcome::NotFound);
    let other: (Type, &[u8]) = (Type::NAS_IDENTIFIER, b"BNG2");
    for (attributes, outcomes, expected) in [
        (&[ID][..], &[found][..], None),
        (&[ID], &[none, found], None),
        (&[ID], &[none, none], Some(503)),
        (&[ID], &[Outcome::NotOurs, Outcome::NotOurs], Some(403)),
        (&[ID], &[found, Outcome::Unavailable], Some(506)),
        (&[ID], &[found, Outcome::Prohibited], Some(501)),
        (&[ID, other], &[none, none], Some(403)),
        (&[ID, other], &[none, found], None),
    ] {
        let mut judge = judge(server());
        let octets = request(DM, 1, attributes, SECRET);
        let token = asked(&hear(&mut judge, at(0), &octets));
        assert_eq!(judge.report().servers[0].disconnect.pending, 1);
        let (to, reply) = conclude(&mut judge, at(0), token, outcomes);
        assert_eq!(to, SocketAddr::from((SERVER, 40_000)));
        let code = if expected.is_none() { Code::DISCONNECT_ACK } else { Code::DISCONNECT_NAK };
        assert_eq!(answer_of(&octets, &reply), (code, expected), "{outcomes:?}");
        let counts = judge.report().servers[0].disconnect;
        let expected = (u64::from(expected.is_none()), u64::from(expected.is_some()));
        assert_eq!((counts.pending, (counts.acks, counts.naks)), (0, expected));
    }
}

/// RFC 5176 section 2.3: all sessions that are meant, or none.
#[test]
fn an_order_is_weighed_before_it_is_obeyed() {
    let mut judge = judge(server());
    let octets = request(COA, 1, &[ID, (Type::CLASS, b"c")], SECRET);
    let Judgement::Ask(token, order) = hear(&mut judge, at(0), &octets) else { panic!("it is believed") };
    assert!(order.is_trial());
    let Conclusion::Reply(_, reply) = judge.handle_outcomes(at(0), token, &[Outcome::Obeyed(1), Outcome::Unavailable])
    else {
        panic!("what one shard cannot do no other does")
    };
    assert_eq!(answer_of(&octets, &reply), (Code::COA_NAK, Some(506)));
    let octets = request(COA, 2, &[ID, (Type::CLASS, b"c")], SECRET);
    let token = asked(&hear(&mut judge, at(0), &octets));
    let Conclusion::Ask(order) = judge.handle_outcomes(at(0), token, &[Outcome::Obeyed(1), Outcome::NotFound]) else {
        panic!("nothing is against it")
    };
    assert!(!order.is_trial());
    let Conclusion::Reply(_, reply) = judge.handle_outcomes(at(0), token, &[Outcome::Obeyed(1), Outcome::NotFound])
    else {
        panic!("it was obeyed")
    };
    assert_eq!(answer_of(&octets, &reply), (Code::COA_ACK, None));
}

#[test]
fn dm_duplicate_is_answered_once_more_and_not_obeyed() {
    let mut judge = judge(server());
    let octets = request(DM, 1, &[ID], SECRET);
    let token = asked(&hear(&mut judge, at(0), &octets));
    assert_eq!(hear(&mut judge, at(1), &octets), Judgement::Nothing, "the ledger has it not");
    let (_, reply) = conclude(&mut judge, at(2), token, &[Outcome::Obeyed(1)]);
    assert_eq!(hear(&mut judge, at(31), &octets), Judgement::Reply(reply));
    assert_eq!(judge.report().servers[0].disconnect.duplicates, 2);
    // From another port it is another's, and so it is when the answer is kept no more.
    let judgement = hear_from(&mut judge, at(31), (SERVER, 40_001), ("192.0.2.1", PORT), &octets);
    assert!(matches!(judgement, Judgement::Ask(..)));
    asked(&hear(&mut judge, at(32), &octets));
}

/// Whoever catches a packet cannot play it once more, from wherever: it is known for as long as it would be believed.
#[test]
fn what_says_its_time_is_known_for_the_whole_window() {
    let now = at(1000);
    for (ahead, known_until) in [(0i32, 300u64), (-200, 100), (250, 550)] {
        let stamp = now.wall.event_timestamp().wrapping_add_signed(ahead).to_be_bytes();
        let octets = request(DM, 1, &[ID, (Type::EVENT_TIMESTAMP, &stamp)], SECRET);
        let mut judge = judge(AuthorizationServer { ack_reserved_s: 0, ..server() });
        let token = asked(&hear(&mut judge, now, &octets));
        conclude(&mut judge, now, token, &[Outcome::Obeyed(1)]);
        for seconds in [0, 1, known_until - 1, known_until] {
            let from = (SERVER, 50_000);
            let judgement = hear_from(&mut judge, at(1000 + seconds), from, ("192.0.2.1", PORT), &octets);
            assert!(matches!(judgement, Judgement::Reply(_)), "{ahead}, after {seconds}: {judgement:?}");
        }
        assert_eq!(hear(&mut judge, at(1001 + known_until), &octets), Judgement::Nothing, "{ahead}: stale");
        assert_eq!(judge.report().servers[0].disconnect.stale, 1);
    }
}

/// What was obeyed in an earlier life is known no more: whatever says that it is as old is not believed, by our clock.
#[test]
fn what_was_made_before_this_life_is_stale() {
    let now = at(1000);
    for (age, made, believed) in
        [(10u64, 9u32, true), (10, 10, false), (10, 11, false), (400, 300, true), (400, 301, false)]
    {
        let stamp = (now.wall.event_timestamp() - made).to_be_bytes();
        let octets = request(DM, 1, &[ID, (Type::EVENT_TIMESTAMP, &stamp)], SECRET);
        let mut judge = Authorization::new(at(1000 - age).mono);
        judge.configure(&settings(server()));
        let judgement = hear(&mut judge, now, &octets);
        assert_eq!(matches!(judgement, Judgement::Ask(..)), believed, "a life of {age} s, made {made} s ago");
        assert_eq!(judge.report().servers[0].disconnect.stale, u64::from(!believed));
    }
}

#[test]
fn ack_reserved_interval_0_keeps_nothing() {
    let mut judge = judge(AuthorizationServer { ack_reserved_s: 0, ..server() });
    let octets = request(DM, 1, &[ID], SECRET);
    let token = asked(&hear(&mut judge, at(0), &octets));
    conclude(&mut judge, at(0), token, &[Outcome::NotFound]);
    asked(&hear(&mut judge, at(0), &octets));
}

#[test]
fn too_many_at_once_are_refused() {
    let mut judge = judge(server());
    for number in 0..PENDING_MAX {
        asked(&hear(&mut judge, at(0), &request(DM, 1, &[(Type::USER_NAME, number.to_string().as_bytes())], SECRET)));
    }
    let octets = request(DM, 1, &[ID], SECRET);
    let Judgement::Reply(reply) = hear(&mut judge, at(0), &octets) else { panic!("refused") };
    assert_eq!(answer_of(&octets, &reply), (Code::DISCONNECT_NAK, Some(506)));
    judge.abandon(Token(5));
    asked(&hear(&mut judge, at(0), &octets));
}

#[test]
fn an_order_reads_well_in_the_log() {
    let mut judge = judge(server());
    let attributes: [(Type, &[u8]); 3] = [
        (Type::USER_NAME, b"a\x1b@isp"),
        (Type::FRAMED_IP_ADDRESS, &[10, 0, 0, 1]),
        (Type::FRAMED_IPV6_PREFIX, &[0, 0]),
    ];
    let judgement = hear(&mut judge, at(0), &request(DM, 1, &attributes, SECRET));
    let Judgement::Ask(_, order) = judgement else { panic!("{judgement:?}") };
    let text = "disconnect User-Name=a\\x1b@isp Framed-IP-Address=10.0.0.1 Framed-IPv6-Prefix=0000";
    assert_eq!(order.to_string(), text);
}

/// Of an address it is certain only in its VRF whose it is.
#[test]
fn a_server_is_believed_in_its_own_vrf_only() {
    let (red, blue) = (InterfaceName::new("red"), InterfaceName::new("blue"));
    let mut both = settings(server());
    let other = Some(Secret::new(b"other".to_vec(), String::new()));
    let path = AuthorizationPath { ip: SERVER, vpn: red };
    both.radius_authorization.servers.insert(path, AuthorizationServer { shared_key: other, ..server() });
    let mut judge = Authorization::new(Mono::ZERO);
    judge.configure(&both);
    let mut hear = |vpn, secret| {
        let octets = request(DM, 1, &[ID], secret);
        let to = SocketAddr::new([192, 0, 2, 1].into(), PORT);
        let judgement =
            judge.handle_datagram(at(0), &Arrived { from: (SERVER, 40_000).into(), vpn, to, octets: &octets });
        matches!(judgement, Judgement::Ask(..))
    };
    assert!(hear(None, SECRET) && !hear(red, SECRET) && !hear(blue, SECRET));
    assert!(!hear(None, b"other") && hear(red, b"other") && !hear(blue, b"other"));
    let report = judge.report();
    let wrong: Vec<_> = report.servers.iter().map(|row| (row.server.vpn, row.disconnect.bad_authenticators)).collect();
    assert_eq!((wrong, report.unknown_server), (vec![(None, 1), (red, 1)], 2));
}

/// A commit between question and answer changes neither.
#[test]
fn an_answer_is_signed_with_the_secret_of_its_request() {
    let mut judge = judge(server());
    let octets = request(DM, 1, &[ID], SECRET);
    let token = asked(&hear(&mut judge, at(0), &octets));
    let changed = Some(Secret::new(b"new".to_vec(), String::new()));
    judge.configure(&settings(AuthorizationServer { shared_key: changed, ..server() }));
    let (_, reply) = conclude(&mut judge, at(0), token, &[Outcome::Obeyed(1)]);
    assert_eq!(answer_of(&octets, &reply), (Code::DISCONNECT_ACK, None));
    let octets = request(DM, 2, &[ID], SECRET);
    assert_eq!(hear(&mut judge, at(1), &octets), Judgement::Nothing);
    judge.configure(&Settings::default());
    assert_eq!(hear(&mut judge, at(1), &octets), Judgement::Nothing);
    let report = judge.report();
    assert_eq!((report.servers[0].disconnect.bad_authenticators, report.unknown_server), (1, 1));
}
