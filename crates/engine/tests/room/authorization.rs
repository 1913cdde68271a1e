//! What authorization servers ask for, from the datagram to the answer: who is cut, what changes, and when that is
//! acknowledged.

use std::net::{IpAddr, Ipv4Addr};

use engine::authorization::{Arrived, Authorization, Judgement, Order, Token};
use model::event::{Prefix, Subscriber};
use model::settings::{
    AccountingMode, AuthorizationServer, InterfaceName, InterimFailPolicy, ObjectName, RadiusAuthorization, Secret,
    Settings, StartFail,
};
use model::verdict::CutBy;
use wire::radius::attribute::{Attribute, Type, as_u32};
use wire::radius::authenticator::{Unsigned, sign_request, verify_response};
use wire::radius::{Code, Encoder, Packet};

use crate::scene::{Scene, group, scheme};
use crate::stage::{Kept, SECRET};
use crate::vectors::{each_minute, start_fails};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const DM: Code = Code::DISCONNECT_REQUEST;
const COA: Code = Code::COA_REQUEST;

/// These settings and an authorization server.
fn trusting(mut settings: Settings) -> Settings {
    let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
    let server = AuthorizationServer { shared_key, ..AuthorizationServer::default() };
    settings.radius_authorization.servers.insert(SERVER, server);
    settings
}

/// An interim each minute, and an authorization server.
fn minutely() -> Settings {
    trusting(each_minute(3, InterimFailPolicy::Online))
}

/// A play with a judge beside it.
struct Play {
    scene: Scene,
    judge: Authorization,
    identifier: u8,
    asked: Vec<u8>,
}

impl Play {
    fn new(settings: &Settings) -> Play {
        let mut judge = Authorization::new();
        judge.configure(settings);
        Play { scene: Scene::new(settings), judge, identifier: 0, asked: Vec::new() }
    }

    fn scene(mut self, play: impl FnOnce(Scene) -> Scene) -> Play {
        self.scene = play(self.scene);
        self
    }

    fn up_with(mut self, name: &str, slot: u32, subscriber: Subscriber<'_>) -> Play {
        self.scene.stage.up_with(name, slot, subscriber);
        self
    }

    #[track_caller]
    fn sees(self, expected: &str) -> Play {
        self.scene(|scene| scene.sees(expected))
    }

    /// The judge hears a request that is new.
    fn hear(&mut self, code: Code, attributes: &[(Type, &[u8])]) -> Judgement {
        self.identifier += 1;
        let mut room = [0; 4096];
        let mut encoder = Encoder::packet(&mut room, code, self.identifier);
        for &(kind, value) in attributes {
            encoder.attribute(Attribute { kind, value });
        }
        let packet = encoder.finish().unwrap();
        sign_request(&mut Unsigned { packet, secret: SECRET, message_authenticator: false });
        self.asked = packet.to_vec();
        let arrived = Arrived { from: (SERVER, 40_000).into(), to: ([0, 0, 0, 0], 3799).into(), octets: &self.asked };
        self.judge.handle_datagram(self.scene.stage.now, &arrived)
    }

    /// The shard has an order.
    #[track_caller]
    fn order(&mut self, code: Code, attributes: &[(Type, &[u8])]) -> (Token, Order) {
        match self.hear(code, attributes) {
            Judgement::Ask(token, order) => (token, order),
            other => panic!("{other:?}"),
        }
    }

    /// It is asked for, and answered so: yes, or no with this Error-Cause.
    #[track_caller]
    fn asks(mut self, code: Code, attributes: &[(Type, &[u8])], expected: Result<(), u32>) -> Play {
        let (token, order) = self.order(code, attributes);
        let stage = &mut self.scene.stage;
        stage.shard.handle_order(stage.now, token, &order);
        stage.turn();
        let (answered, outcome) = stage.shard.poll_outcome().expect("the disk is quick");
        assert_eq!(answered, token);
        let (_, reply) = self.judge.handle_outcomes(stage.now, token, &[outcome]).unwrap();
        let (asked, reply) = (Packet::parse(&self.asked).unwrap(), Packet::parse(&reply).unwrap());
        assert_eq!(verify_response(&reply, asked.authenticator(), SECRET), Ok(()));
        let cause = reply.find(Type::ERROR_CAUSE).and_then(as_u32);
        let verdict = match reply.code() {
            Code::DISCONNECT_ACK | Code::COA_ACK => Ok(()),
            _ => Err(cause.unwrap()),
        };
        assert_eq!(verdict, expected, "{attributes:?}");
        self
    }

    fn session_id(&self, name: &str) -> Vec<u8> {
        let stage = &self.scene.stage;
        let users = stage.shard.access_users(stage.now, &stage.table, 99);
        users.iter().find(|user| user.plane_session == name).unwrap().session_id.clone().into_bytes()
    }
}

#[test]
fn dm_finds_a_session_by_each_of_its_names() {
    let prefix = |text: &str, length| Some(Prefix { address: text.parse().unwrap(), length });
    let subscriber = Subscriber {
        framed_ip: Some([10, 0, 0, 1].into()),
        framed_ipv6_prefix: prefix("2001:db8:1::", 64),
        delegated_prefix: prefix("2001:db8:100::", 56),
        framed_ipv6_address: Some("2001:db8:9::9".parse().unwrap()),
        nas_port: Some(7),
        ..Subscriber::default()
    };
    let short = [0, 56, 0x20, 1, 0xd, 0xb8, 1, 0, 0];
    let long = [0, 64, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let address = [0x20, 1, 0xd, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let names: [(Type, &[u8]); 6] = [
        (Type::ACCT_SESSION_ID, b""),
        (Type::USER_NAME, b"a@isp"),
        (Type::FRAMED_IP_ADDRESS, &[10, 0, 0, 1]),
        (Type::FRAMED_IPV6_PREFIX, &long),
        (Type::DELEGATED_IPV6_PREFIX, &short),
        (Type::FRAMED_IPV6_ADDRESS, &address),
    ];
    for (kind, value) in names {
        let play = Play::new(&minutely()).up_with("a", 1, subscriber).scene(|scene| scene.up("b", 2).pass(1));
        let play = play.sees("0 admit a opened\n0 admit b opened\n0 start a to 1\n0 start b to 1");
        let id = play.session_id("a");
        let value = if kind == Type::ACCT_SESSION_ID { &id[..] } else { value };
        let wrong: (Type, &[u8]) = (Type::NAS_PORT, &[0, 0, 0, 8]);
        let right: (Type, &[u8]) = (Type::NAS_PORT, &[0, 0, 0, 7]);
        let play = play.asks(DM, &[(kind, value), wrong], Err(503)).asks(DM, &[(kind, value), right], Ok(()));
        let play = play.scene(|scene| scene.pass(1)).sees("1 cut a disconnected");
        let play = play.scene(|scene| scene.down_with("a", 1, None).pass(1)).sees("2 stop a to 1");
        assert_eq!(play.scene.last(Type::ACCT_TERMINATE_CAUSE), Some(6), "Admin Reset");
        // It has gone.
        play.asks(DM, &[(kind, value)], Err(503));
    }
}

#[test]
fn dm_names_another_nas() {
    let play = Play::new(&minutely()).scene(|scene| scene.up("a", 1).pass(1));
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let play = play.asks(DM, &[user, (Type::NAS_IDENTIFIER, b"BNG2")], Err(403));
    let play = play.asks(DM, &[user, (Type::NAS_IP_ADDRESS, &[192, 0, 2, 77])], Err(403));
    // Where its accounting comes from is an address of the box.
    play.asks(DM, &[user, (Type::NAS_IDENTIFIER, b"BNG1"), (Type::NAS_IP_ADDRESS, &[192, 0, 2, 1])], Ok(()));
}

#[test]
fn dm_names_a_source_that_was_left() {
    let settings = minutely();
    let mut changed = settings.clone();
    group(&mut changed).source = InterfaceName::new("if1");
    let play = Play::new(&settings).up_with("a", 1, Subscriber::default()).scene(|scene| scene.pass(1));
    let play = play.scene(|mut scene| {
        scene.stage.shard.configure(&changed);
        let unbound: Vec<_> = scene.stage.shard.unbound_ports().map(|(_, server)| server).collect();
        unbound.into_iter().for_each(|path| scene.stage.shard.handle_bound(path, [192, 0, 2, 2].into()));
        scene
    });
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let play = play.asks(DM, &[user, (Type::NAS_IP_ADDRESS, &[192, 0, 2, 1])], Err(403));
    play.asks(DM, &[user, (Type::NAS_IP_ADDRESS, &[192, 0, 2, 2])], Ok(()));
}

/// A session is called by the name that the box had when it came up, too.
#[test]
fn dm_names_the_box_as_the_session_does() {
    let settings = minutely();
    let mut renamed = settings.clone();
    renamed.sysname = "BNG9".to_owned();
    let mut play = Play::new(&settings).scene(|scene| scene.up("a", 1).pass(1).commit(&renamed));
    play.judge.configure(&renamed);
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    play.asks(DM, &[user, (Type::NAS_IDENTIFIER, b"BNG1")], Ok(())).asks(DM, &[user], Ok(()));
}

#[test]
fn dm_by_a_name_that_many_share() {
    let mut play = Play::new(&minutely());
    for slot in 1..=20u32 {
        let user = Subscriber { nas_port: Some(slot % 2), ..Subscriber::default() };
        let name = format!("s{slot}");
        play = play.up_with(&name, slot, user);
        play.scene.stage.update(&name, Subscriber { user: Some(b"all@isp"), ..Subscriber::default() });
    }
    let user: (Type, &[u8]) = (Type::USER_NAME, b"all@isp");
    let mut play = play.scene(|scene| scene.pass(1)).asks(DM, &[user, (Type::NAS_PORT, &[0, 0, 0, 1])], Ok(()));
    play.scene.seen();
    let mut play = play.scene(|scene| scene.pass(1));
    assert_eq!(play.scene.seen().matches("disconnected").count(), 10);
    let mut play = play.asks(DM, &[user], Ok(())).scene(|scene| scene.pass(1));
    assert_eq!(play.scene.seen().matches("disconnected").count(), 10);
    assert_eq!(play.scene.stage.shard.report().cut, 20);
}

/// Who logs in, moves and leaves after the index was made is found, found elsewhere, and found no more.
#[test]
fn the_index_follows_the_sessions() {
    let address: (Type, &[u8]) = (Type::FRAMED_IP_ADDRESS, &[10, 0, 0, 1]);
    let class: (Type, &[u8]) = (Type::CLASS, b"c");
    let play = Play::new(&minutely()).asks(COA, &[address, class], Err(503));
    let play =
        play.scene(|scene| scene.up("a", 1).moves("a", [10, 0, 0, 1]).pass(1)).asks(COA, &[address, class], Ok(()));
    let play = play.scene(|scene| scene.moves("a", [10, 0, 0, 2]).pass(1)).asks(COA, &[address, class], Err(503));
    let address: (Type, &[u8]) = (Type::FRAMED_IP_ADDRESS, &[10, 0, 0, 2]);
    let play = play.asks(COA, &[address, class], Ok(()));
    // Nobody is trusted for a while; then what came meanwhile is found as well.
    let none = Settings { radius_authorization: RadiusAuthorization::default(), ..minutely() };
    let play = play.scene(|scene| scene.commit(&none).up("b", 2).pass(1).commit(&minutely()));
    let user: (Type, &[u8]) = (Type::USER_NAME, b"b@isp");
    let play = play.asks(COA, &[user, class], Ok(())).scene(|scene| scene.down("a").pass(1));
    play.asks(COA, &[address, class], Err(503)).asks(COA, &[user, class], Ok(()));
}

/// Neither is acknowledged before it could survive a power cut.
#[test]
fn dm_and_coa_are_acknowledged_when_durable() {
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    for (code, attributes) in [(DM, vec![user]), (COA, vec![user, (Type::CLASS, &b"c"[..])])] {
        let mut play = Play::new(&minutely()).scene(|scene| scene.up("a", 1).pass(1).up("b", 2));
        let (token, order) = play.order(code, &attributes);
        let stage = &mut play.scene.stage;
        stage.shard.handle_order(stage.now, token, &order);
        assert_eq!(stage.shard.poll_outcome(), None, "nothing is handed out");
        let before = stage.records.len();
        stage.hand_out(usize::MAX);
        assert_eq!(stage.shard.poll_outcome(), None, "nothing is on the disk");
        let is_told = |record: &Kept| match record {
            Kept::Sampled(sampled) => code == DM && sampled.cut == Some(CutBy::Disconnect),
            Kept::Opened(born) => code == COA && born.session == b"a",
            _ => false,
        };
        let at = stage.records[before..].iter().position(is_told).unwrap();
        stage.make_durable((before + at) as u64);
        assert_eq!(stage.shard.poll_outcome(), None, "all but this");
        while let Some(verdict) = stage.shard.poll_verdict() {
            assert_eq!(verdict.session, b"b", "nor is the plane told");
        }
        stage.make_durable((before + at + 1) as u64);
        assert_eq!(stage.shard.poll_outcome().unwrap().0, token);
    }
}

#[test]
fn dm_survives_a_restart() {
    let settings = minutely();
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let play = Play::new(&settings).scene(|scene| scene.up("a", 1).pass(10)).asks(DM, &[user], Ok(()));
    let play = play.scene(|scene| scene.pass(1)).sees("0 admit a opened\n0 start a to 1\n10 cut a disconnected");
    let play = play.scene(|scene| scene.restart(2, &settings, &[("a", 1)]).pass(1)).sees("11 cut a disconnected");
    // The answer was lost with the old life: it is given once more, for nothing.
    let play =
        play.asks(DM, &[user], Ok(())).scene(|scene| scene.down_with("a", 1, None).pass(1)).sees("12 stop a to 1");
    assert_eq!(play.scene.last(Type::ACCT_TERMINATE_CAUSE), Some(6));
}

#[test]
fn dm_cuts_who_is_not_accounted_for() {
    let mut none = minutely();
    scheme(&mut none).mode = Some(AccountingMode::None);
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let play = Play::new(&none).scene(|scene| scene.up("a", 1).pass(1)).asks(DM, &[user], Ok(()));
    let play = play.scene(|scene| scene.pass(100)).sees("0 admit a not-accounted\n1 cut a disconnected");
    assert_eq!(play.scene.stage.shard.report().sessions, 0);
}

#[test]
fn coa_changes_the_interval() {
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let interval = 100u32.to_be_bytes();
    let settings = minutely();
    let play = Play::new(&settings).scene(|scene| scene.up("a", 1).pass(70));
    let play = play.sees("0 admit a opened\n0 start a to 1\n60 interim a to 1");
    let play = play.asks(COA, &[user, (Type::ACCT_INTERIM_INTERVAL, &interval)], Ok(()));
    let play = play.scene(|scene| scene.pass(150)).sees("70 interim a to 1\n100 interim a to 1\n200 interim a to 1");
    // It is the session's own, in every life.
    let play = play.scene(|scene| scene.restart(2, &settings, &[("a", 1)]).pass(200));
    play.sees("220 admit a known\n300 interim a to 1\n400 interim a to 1");
}

#[test]
fn row_3_3_9_a_coa_brings_an_interim_unless_disabled() {
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let class: (Type, &[u8]) = (Type::CLASS, b"gold");
    let mut disabled = minutely();
    disabled.radius_authorization.realtime_packet_disabled = true;
    for (settings, expected) in [(minutely(), "10 interim a to 1\n60 interim a to 1"), (disabled, "60 interim a to 1")]
    {
        let play = Play::new(&settings).scene(|scene| scene.up("a", 1).pass(10)).asks(COA, &[user, class], Ok(()));
        let mut play = play.scene(|scene| scene.pass(55));
        let seen = play.scene.seen();
        assert_eq!(seen, format!("0 admit a opened\n0 start a to 1\n{expected}\n"));
        let last = play.scene.sent.last().unwrap();
        assert_eq!(last.packet().find(Type::CLASS), Some(&b"gold"[..]), "what is new is told from then on");
    }
}

#[test]
fn coa_class_and_session_timeout_are_kept() {
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let timeout = 7200u32.to_be_bytes();
    let subscriber = || {
        let mut subscriber = Subscriber { session_timeout: Some(3600), ..Subscriber::default() };
        subscriber.class.push(b"old");
        subscriber.class.push(b"older");
        subscriber
    };
    let settings = minutely();
    let play = Play::new(&settings).up_with("a", 1, subscriber()).scene(|scene| scene.pass(1));
    let changes: [(Type, &[u8]); 4] =
        [user, (Type::CLASS, b"one"), (Type::CLASS, b"two"), (Type::SESSION_TIMEOUT, &timeout)];
    let play = play.asks(COA, &changes, Ok(()));
    let play = play.scene(|scene| scene.restart(2, &settings, &[("a", 1)]).pass(1).down("a").pass(1));
    let stop = play.scene.sent.last().unwrap();
    let run = stop.packet();
    let classes: Vec<&[u8]> =
        run.attributes().filter(|attribute| attribute.kind == Type::CLASS).map(|attribute| attribute.value).collect();
    assert_eq!(classes, [&b"one"[..], b"two"]);
    assert_eq!(stop.u32(Type::SESSION_TIMEOUT), Some(7200));
}

/// Whatever a session does at the time, nobody is told twice and nothing twice.
#[test]
fn coa_in_each_state() {
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let class: (Type, &[u8]) = (Type::CLASS, b"c");
    // While the Start is out: the interim follows it.
    let play =
        Play::new(&minutely()).scene(|scene| scene.silence(1).up("a", 1).pass(1)).asks(COA, &[user, class], Ok(()));
    let play = play.scene(|scene| scene.wake(1).pass(10));
    let play = play.sees("0 admit a opened\n0 start a to 1\n5 start a to 1\n5 interim a to 1");
    // Cut: it is as it was, and says nothing any more.
    let play = play.asks(DM, &[user], Ok(())).asks(COA, &[user, class], Ok(())).scene(|scene| scene.pass(1));
    play.sees("11 cut a disconnected");
    // Its Start failed: only the bill could tell.
    let failed = trusting(start_fails(StartFail::Online));
    let mut play = Play::new(&failed).scene(|scene| scene.silence(1).up("a", 1).pass(100));
    play.scene.seen();
    let play = play.asks(COA, &[user, class], Ok(())).scene(|scene| scene.pass(100)).sees("");
    play.scene(|scene| scene.down("a").pass(1)).sees("200 bill start-failed");
}

/// The secret of a group that has a server of that address, or of its own.
#[test]
fn the_secret_may_be_that_of_a_group() {
    let mut settings = each_minute(3, InterimFailPolicy::Online);
    settings.radius_groups.get_mut(&ObjectName::from("radius")).unwrap().shared_key =
        Some(Secret::new(SECRET.to_vec(), String::new()));
    let server_group = Some(ObjectName::from("radius"));
    let server = AuthorizationServer { server_group, ..AuthorizationServer::default() };
    settings.radius_authorization.servers.insert(SERVER, server);
    let play = Play::new(&settings).scene(|scene| scene.up("a", 1).pass(1));
    play.asks(DM, &[(Type::USER_NAME, b"a@isp")], Ok(()));
}
