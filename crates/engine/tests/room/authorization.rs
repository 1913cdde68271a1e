//! What authorization servers ask for, from the datagram to the answer: who is cut, what changes, and when that is
//! acknowledged.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use engine::authorization::{Arrived, Authorization, Conclusion, Judgement, Order, Outcome, Token};
use engine::{RelayRules, Report, Reported, Taken};
use model::event::{Prefix, Subscriber};
use model::ids::PlaneIndex;
use model::report::UserSelector;
use model::settings::{
    AccountingMode, AuthorizationServer, DisconnectFail, InterfaceName, InterimFailPolicy, ObjectName,
    RadiusAuthorization, RelayInterim, Secret, Settings, StartFail, UserNameFormat,
};
use model::time::Mono;
use model::verdict::{CutBy, Sentence};
use wire::radius::accounting::Usage;
use wire::radius::attribute::{Attribute, Attributes, Type, as_u32};
use wire::radius::authenticator::{Unsigned, sign_request, verify_response};
use wire::radius::{Code, Encoder, Packet};

use crate::scene::{Scene, group, scheme};
use crate::stage::{Birthmark, Kept, PLANE, SECRET, Setup, Stage};
use crate::vectors::{each_minute, start_fails};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const DM: Code = Code::DISCONNECT_REQUEST;
const COA: Code = Code::COA_REQUEST;

/// These settings and an authorization server.
fn trusting(mut settings: Settings) -> Settings {
    let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
    let server = AuthorizationServer { shared_key, ..AuthorizationServer::default() };
    settings.radius_authorization.servers.insert(SERVER.into(), server);
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
        let mut judge = Authorization::new(Mono::ZERO);
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
        let arrived =
            Arrived { from: (SERVER, 40_000).into(), vpn: None, to: ([0, 0, 0, 0], 3799).into(), octets: &self.asked };
        self.judge.handle_datagram(self.scene.stage.now, &arrived)
    }

    /// The shard is to obey an order, which it has weighed.
    #[track_caller]
    fn weighed(&mut self, code: Code, attributes: &[(Type, &[u8])]) -> (Token, Order) {
        let (token, _) = self.order(code, attributes);
        match self.judge.handle_outcomes(self.scene.stage.now, token, &[Outcome::Obeyed(1)]) {
            Conclusion::Ask(order) => (token, order),
            other => panic!("{other:?}"),
        }
    }

    /// The shard is to weigh an order.
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
        let mut order = Some(order);
        let reply = loop {
            let stage = &mut self.scene.stage;
            if let Some(order) = order.take() {
                stage.shard.handle_order(stage.now, token, &order);
            }
            stage.turn();
            let (answered, outcome) = stage.shard.poll_outcome().expect("the disk is quick");
            assert_eq!(answered, token);
            match self.judge.handle_outcomes(stage.now, token, &[outcome]) {
                Conclusion::Ask(weighed) => order = Some(weighed),
                Conclusion::Reply(_, reply) => break reply,
                Conclusion::Nothing => panic!("nothing is said"),
            }
        };
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

/// Sessions of the relay are known by their NAS's names, and several NAS may have given the same.
#[test]
fn dm_names_the_nas_of_a_relayed_session() {
    let plane = PlaneIndex(1);
    let mut play = Play::new(&trusting(crate::stage::settings(Setup::default())));
    let stage = &mut play.scene.stage;
    let rules = RelayRules { interim: RelayInterim::Follow, silence: 3, disconnect_fail: DisconnectFail::Keep };
    stage.shard.handle_relay_client(stage.now.mono, plane, "relay 192.0.2.1", Some(rules));
    for (session, host) in [("one", 71), ("other", 72)] {
        let mut room = [0; 200];
        let mut run = Encoder::run(&mut room);
        run.bytes(Type::NAS_IP_ADDRESS, &[192, 0, 2, host]).bytes(Type::ACCT_SESSION_ID, b"0001");
        let report = Report {
            session: session.as_bytes(),
            what: Reported::Start,
            at: stage.now,
            stamp: None,
            session_time_s: None,
            usage: Usage::default(),
            user: b"a@isp",
            domain: Some(b"isp"),
            attributes: run.finish().unwrap(),
        };
        assert_eq!(stage.shard.handle_report(stage.now, plane, &report), Ok(Taken::News));
    }
    stage.run(Duration::from_secs(1), true);
    let session: (Type, &[u8]) = (Type::ACCT_SESSION_ID, b"0001");
    let nas = |host: &'static [u8; 4]| -> (Type, &[u8]) { (Type::NAS_IP_ADDRESS, host) };
    let play = play.asks(DM, &[session, nas(&[192, 0, 2, 77])], Err(403));
    let play = play.asks(DM, &[session, nas(&[192, 0, 2, 72])], Ok(()));
    let cut = play.scene.stage.verdicts.iter().filter(|(_, sentence, _)| *sentence == Sentence::Cut);
    assert_eq!(cut.map(|(session, ..)| &session[..]).collect::<Vec<_>>(), ["other"]);
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
        let (token, order) = play.weighed(code, &attributes);
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

/// The ledger knows nothing of it: that it was logged out is certain when it has gone.
#[test]
fn dm_of_who_is_not_accounted_for_is_acknowledged_when_it_has_gone() {
    let mut none = minutely();
    scheme(&mut none).mode = Some(AccountingMode::None);
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let mut play = Play::new(&none).scene(|scene| scene.up("a", 1).up("b", 2).pass(1));
    let (token, order) = play.weighed(DM, &[user]);
    let stage = &mut play.scene.stage;
    stage.shard.handle_order(stage.now, token, &order);
    let play = play.scene(|scene| scene.pass(10));
    let mut play = play.sees("0 admit a not-accounted\n0 admit b not-accounted\n1 cut a disconnected");
    assert_eq!(play.scene.stage.shard.poll_outcome(), None, "a restart would have forgotten it");
    // Whom it does not concern is answered meanwhile.
    let play = play.asks(DM, &[(Type::USER_NAME, b"c@isp")], Err(503));
    let mut play = play.scene(|scene| scene.down("b").pass(1));
    assert_eq!(play.scene.stage.shard.poll_outcome(), None);
    let mut play = play.scene(|scene| scene.down("a").up("a", 3).pass(1));
    assert_eq!(play.scene.stage.shard.poll_outcome(), Some((token, Outcome::Obeyed(1))));
}

#[test]
fn nothing_is_promised_of_who_is_not_accounted_for() {
    let mut none = minutely();
    scheme(&mut none).mode = Some(AccountingMode::None);
    let user: (Type, &[u8]) = (Type::USER_NAME, b"a@isp");
    let timeout = 7200u32.to_be_bytes();
    let play = Play::new(&none).scene(|scene| scene.up("a", 1).pass(1));
    let mut play = play.asks(COA, &[user, (Type::SESSION_TIMEOUT, &timeout)], Err(501));
    let stage = &mut play.scene.stage;
    stage.shard.handle_plane_lost(stage.now.mono, PLANE, &stage.table);
    let play = play.asks(DM, &[user], Err(506));
    play.scene(|scene| scene.pass(7300)).sees("0 admit a not-accounted");
}

/// Several sessions of one user, and room for what is new in some of them only.
#[test]
fn coa_changes_all_or_none() {
    let user: (Type, &[u8]) = (Type::USER_NAME, b"all@isp");
    let long = [b'x'; 250];
    let big = || {
        let mut subscriber = Subscriber::default();
        while subscriber.class.push(&long) {}
        subscriber
    };
    let settings = minutely();
    let mut play = Play::new(&settings);
    play.scene.stage = Stage::with(1, play.scene.stage.now, &settings, 300).linked(1, 0);
    for slot in 0..199u32 {
        play = play.up_with(&format!("big{slot}"), slot, big());
    }
    for slot in 199..207u32 {
        let name = format!("s{slot}");
        play = play.up_with(&name, slot, Subscriber::default());
        play.scene.stage.update(&name, Subscriber { user: Some(b"all@isp"), ..Subscriber::default() });
    }
    let mut play = play.scene(|scene| scene.pass(1));
    let attributes: Vec<(Type, &[u8])> = [user].into_iter().chain([(Type::CLASS, &long[..]); 8]).collect();
    for is_trial in [true, false] {
        let told = play.scene.stage.records.len();
        let (token, order) = if is_trial { play.order(COA, &attributes) } else { play.weighed(COA, &attributes) };
        let stage = &mut play.scene.stage;
        stage.shard.handle_order(stage.now, token, &order);
        stage.turn();
        assert_eq!(stage.shard.poll_outcome(), Some((token, Outcome::Unavailable)));
        assert_eq!(stage.records.len(), told, "nobody has changed");
    }
    let play = play.asks(COA, &attributes, Err(506)).asks(COA, &[user, (Type::CLASS, b"c")], Ok(()));
    let has = |born: &Birthmark| Attributes::of_run(&born.attributes).any(|own| own.value == b"c");
    let changed = play.scene.stage.live().into_values().filter(|live| has(&live.born)).count();
    assert_eq!(changed, 8);
    // What was made for those who had room was given back: with that of three who leave there is enough.
    let mut play = play.scene(|scene| scene.down("big0").down("big1").down("big2").pass(1));
    let told = play.scene.stage.records.len();
    let (token, order) = play.order(COA, &attributes);
    let stage = &mut play.scene.stage;
    stage.shard.handle_order(stage.now, token, &order);
    assert_eq!(stage.shard.poll_outcome(), Some((token, Outcome::Obeyed(8))), "weighed");
    stage.turn();
    assert_eq!(stage.records.len(), told, "and not obeyed");
}

/// Whom a server knows as it was told, and whoever knows the whole name.
#[test]
fn a_user_is_meant_by_either_form_of_its_name() {
    let mut settings = minutely();
    group(&mut settings).user_name = UserNameFormat::WithoutDomain;
    let class: (Type, &[u8]) = (Type::CLASS, b"c");
    for (name, expected) in
        [("a@isp", Ok(())), ("a", Ok(())), ("a@other", Err(503)), ("b", Err(503)), ("isp", Err(503))]
    {
        let play = Play::new(&settings).scene(|scene| scene.up("a", 1).pass(1));
        let sent = play.scene.sent.last().unwrap();
        assert_eq!(sent.packet().find(Type::USER_NAME), Some(&b"a"[..]));
        let users = play.scene.stage.shard.access_users(play.scene.stage.now, &play.scene.stage.table, 9);
        assert_eq!(users[0].user, "a@isp", "displays show who it is");
        let mut play = play.asks(COA, &[(Type::USER_NAME, name.as_bytes()), class], expected);
        // Another name is told in the same form, and found in both.
        play.scene.stage.update("a", Subscriber { user: Some(b"z@isp"), ..Subscriber::default() });
        let play = play.scene(|scene| scene.pass(1));
        let play = play.asks(COA, &[(Type::USER_NAME, b"z"), class], Ok(()));
        let play = play.asks(COA, &[(Type::USER_NAME, b"z@isp"), class], Ok(()));
        let play = play.asks(COA, &[(Type::USER_NAME, b"a"), class], Err(503));
        play.scene(|scene| scene.cut(&UserSelector::UserName("z".to_owned()), 0))
            .scene(|scene| scene.cut(&UserSelector::UserName("z@isp".to_owned()), 1));
    }
    // Who is told whole is not meant by less.
    let play = Play::new(&minutely()).scene(|scene| scene.up("a", 1).pass(1));
    play.asks(COA, &[(Type::USER_NAME, b"a"), class], Err(503)).asks(
        COA,
        &[(Type::USER_NAME, b"a@isp"), class],
        Ok(()),
    );
}

/// Whoever was online before anybody could ask is found by and by. Orders wait for that; meanwhile sessions move.
#[test]
fn orders_wait_for_the_walk_over_who_is_online_already() {
    let (none, settings) =
        (Settings { radius_authorization: RadiusAuthorization::default(), ..minutely() }, minutely());
    let address = |slot: u32| (slot + 0x0a00_0000).to_be_bytes();
    let last: (Type, &[u8]) = (Type::FRAMED_IP_ADDRESS, &address(2999));
    let online = || {
        let mut play = Play::new(&settings);
        play.scene.stage = Stage::with(1, play.scene.stage.now, &none, 4096).linked(1, 0);
        for slot in 0..3000 {
            let framed_ip = Some(address(slot).into());
            play = play.up_with(&format!("s{slot}"), slot, Subscriber { framed_ip, ..Subscriber::default() });
        }
        play.scene.stage.turn();
        play.scene(|scene| scene.commit(&settings))
    };
    let mut play = online();
    let (token, order) = play.weighed(DM, &[last]);
    let stage = &mut play.scene.stage;
    stage.shard.handle_order(stage.now, token, &order);
    assert!(stage.shard.poll_timeout() <= Some(stage.now.mono), "it wants to go on");
    stage.update("s2999", Subscriber { framed_ip: Some([10, 9, 9, 9].into()), ..Subscriber::default() });
    stage.update("s7", Subscriber { framed_ip: Some(address(2999).into()), ..Subscriber::default() });
    stage.turn();
    assert_eq!(stage.shard.poll_outcome(), None, "two thirds of them were looked at");
    stage.verdicts.clear();
    stage.turn();
    assert_eq!(stage.shard.poll_outcome(), Some((token, Outcome::Obeyed(1))));
    let cut: Vec<&str> = stage.verdicts.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(cut, ["s7"]);
    // From now on nobody waits.
    let (token, order) = play.order(DM, &[last]);
    let stage = &mut play.scene.stage;
    stage.shard.handle_order(stage.now, token, &order);
    assert_eq!(stage.shard.poll_outcome(), Some((token, Outcome::Obeyed(1))));
    // Whoever may not ask any more waits for nothing.
    let mut play = online();
    let (token, order) = play.weighed(DM, &[last]);
    let stage = &mut play.scene.stage;
    stage.shard.handle_order(stage.now, token, &order);
    stage.configure(&none);
    assert_eq!(stage.shard.poll_outcome(), Some((token, Outcome::NotFound)));
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
    settings.radius_authorization.servers.insert(SERVER.into(), server);
    let play = Play::new(&settings).scene(|scene| scene.up("a", 1).pass(1));
    play.asks(DM, &[(Type::USER_NAME, b"a@isp")], Ok(()));
}
