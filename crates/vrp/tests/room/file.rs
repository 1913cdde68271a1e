//! Configuration files: what they look like, that they read back, and what is said of wrong ones.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::support::World;
use crate::terms::terms;
use model::domain::TrafficUnit;
use model::settings::{
    AccountingMode, AccountingOn, AccountingScheme, Algorithm, AuthenticationRetries, AuthorizationPath,
    AuthorizationServer, BUILT_IN_DOMAINS, BUILT_IN_SCHEMES, BillFormat, BillReplay, BillServer, BillServerLogin,
    BillStoreSettings, CacheBackupMode, CacheRounds, CacheWarning, CfcardBackupMode, CountedBy, CounterMap,
    CounterMaps, CounterOrigin, CutBrake, DisconnectFail, Domain, HostKeyPolicy, Hwtacacs, HwtacacsRank,
    HwtacacsServer, HwtacacsTemplate, InterfaceName, Interim, InterimFail, InterimFailPolicy, InterimSpelling,
    IntervalUnit, LimitedServers, LocalAaaServer, MapValues, ObjectName, OptionalAttribute, PlaneLink,
    RadiusAuthorization, RadiusCache, RadiusGroup, RadiusHealth, RadiusLimits, RadiusRecovery, RadiusServer, RadiusTls,
    RecoveryDetect, Relay, RelayClient, RelayInterim, Secret, SessionSource, Settings, ShellLevel, Source, SourceKind,
    SourcePlace, SpeedLimit, StartFail, UserNameFormat,
};
use proptest::prelude::*;
use vrp::{Answer, Sealer, Shell, config};

/// A configuration in which every command stands that a configuration can hold.
const WHOLE: &str = include_str!("whole.cfg");

const EMPTY: &str = "\
aaa
 #
 accounting-scheme default
 #
 accounting-scheme default0
 #
 accounting-scheme default1
 #
 domain default0
 #
 domain default1
 #
 domain default_admin
#
return
";

fn read(text: &str) -> Result<Settings, Vec<config::LineError>> {
    config::read(text, &World::default())
}

#[test]
fn a_whole_file_reads_and_writes_to_the_letter() {
    let settings = read(WHOLE).unwrap();
    assert_eq!(config::write(&settings), WHOLE);
    let group = &settings.radius_groups[&"g1".into()];
    assert_eq!(group.shared_key.as_ref().map(Secret::octets), Some(&b"top"[..]));
    assert_eq!(group.stop_resend, 0);
    assert_eq!(settings.domains[&"d1".into()].accounting_scheme, Some("s1".into()));
    let login = settings.local_aaa_server.bill_server.as_ref().and_then(|server| server.login.as_ref());
    assert_eq!(login.map(|login| login.password.octets()), Some(&b"top"[..]));
    assert_eq!(settings.checkpoint_interval_s, 3_600);
}

#[test]
fn every_command_of_a_configuration_stands_in_the_whole_one() {
    // The two have their words with the server they are about; of the others only the default can be had.
    let not_printed = [
        "radius-server { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> } accounting",
        "radius-server type",
        "radius-server class-as-car",
    ];
    for command in vrp::commands().filter(|command| command.is_stored()) {
        let format = command.formats()[0];
        if not_printed.iter().any(|beginning| format.starts_with(beginning)) {
            continue;
        }
        let words = format
            .split(' ')
            .filter(|word| !word.contains(':') && !["{", "}", "[", "]", "|", "}*", "]*"].contains(word));
        let (first, words): (&str, Vec<&str>) = (format.split(' ').next().unwrap(), words.collect());
        let is_one = |line: &&str| {
            let line = line.trim().trim_start_matches("undo ");
            line.split(' ').next() == Some(first)
                && line.split(' ').filter(|word| words.contains(word)).count() >= required(format)
        };
        assert!(WHOLE.lines().any(|line| is_one(&line)), "{format}");
    }
}

/// Keywords that no choice and no option may leave out.
fn required(format: &str) -> usize {
    let mut depth = 0;
    let mut count = 0;
    for word in format.split(' ') {
        match word {
            "{" | "[" => depth += 1,
            "}" | "}*" | "]" | "]*" => depth -= 1,
            _ if depth == 0 && !word.contains(':') => count += 1,
            _ => {}
        }
    }
    count
}

#[test]
fn the_defaults_print_as_empty_blocks() {
    assert_eq!(config::write(&Settings::default()), EMPTY);
    for text in [EMPTY, "", "return\n", "#\n#\nreturn", "!Software Version V800\n\n#\n"] {
        assert_eq!(read(text).as_ref(), Ok(&Settings::default()), "{text}");
    }
}

#[test]
fn indentation_line_ends_and_missing_marks_do_not_matter() {
    let settings = read(WHOLE).unwrap();
    let flat: String = WHOLE.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    assert_eq!(read(&flat).as_ref(), Ok(&settings));
    let tabbed = WHOLE.replace(' ', "\t");
    assert_eq!(read(&tabbed).as_ref(), Ok(&settings));
    let without_return = WHOLE.replace("return\n", "");
    assert_eq!(read(&without_return).as_ref(), Ok(&settings));
    let blocks_side_by_side = "aaa\n accounting-scheme s1\n  accounting realtime 3\n accounting-scheme s2\n domain d1\n\
                               local-aaa-server\n local-bill-pool enable\n";
    let settings = read(blocks_side_by_side).unwrap();
    assert!(settings.local_aaa_server.pool_enabled);
    assert!(settings.schemes.contains_key(&"s2".into()) && settings.domains.contains_key(&"d1".into()));
    assert_eq!(settings.schemes[&"s2".into()].interim, None);
}

#[test]
fn plain_secrets_are_sealed_when_they_are_read() {
    let text = "radius-server group g1\n radius-server shared-key top\n radius-server accounting 192.0.2.1 1813\n";
    let written = config::write(&read(text).unwrap());
    assert!(written.contains(" radius-server shared-key-cipher %^%#T746f70%^%#\n"), "{written}");
    let text = "local-aaa-server\n bill-server 192.0.2.9 filename f user-name u password cipher top 22\n";
    let written = config::write(&read(text).unwrap());
    let line = " bill-server 192.0.2.9 filename f user-name u password cipher %^%#T746f70%^%# 22\n";
    assert!(written.contains(line), "{written}");
}

#[test]
fn a_line_of_the_system_view_is_known_inside_a_block() {
    // In `aaa`, `accounting` is short for `accounting-scheme`, and a scheme has commands that begin with it.
    for before in ["", "aaa\n", "aaa\n accounting-scheme s1\n#\n", "aaa\n accounting-scheme s1\n", "local-aaa-server\n"]
    {
        let settings = read(&format!("{before}accounting checkpoint-interval 5\n")).unwrap();
        assert_eq!(settings.checkpoint_interval_s, 5, "{before}");
        assert_eq!(settings.schemes.len(), if before.contains("s1") { 4 } else { 3 }, "{before}");
    }
    let found = errors("aaa\n accounting-scheme s1\n  accounting checkpoint-interval 0\n");
    assert_eq!(found, [(3, "Error: Unrecognized command found at '^' position.".to_owned())]);
}

#[test]
fn a_backup_mode_without_its_server_is_named() {
    for (text, number, message) in [
        ("local-aaa-server\n local-bill cache backup-mode tftp\n", 2, "Error: No bill server is configured."),
        (
            "local-aaa-server\n bill-server 192.0.2.9 filename f\n local-bill cache backup-mode sftp\n",
            3,
            "Error: SFTP needs the user name, password and port of the bill server.",
        ),
        (
            "#\nlocal-aaa-server\n bill-server 192.0.2.9 filename f user-name u password cipher p 22\n \
             local-bill cache backup-mode sftp\n bill-server 192.0.2.9 filename f\n",
            2,
            "Error: local-bill cache backup-mode sftp needs the user name, password and port of the bill server.",
        ),
        ("local-aaa-server\n local-bill cfcard reset\n", 2, "Error: Unrecognized command found at '^' position."),
    ] {
        assert_eq!(errors(text), [(number, message.to_owned())], "{text}");
    }
}

/// Each error as its line number and its last line of text.
fn errors(text: &str) -> Vec<(usize, String)> {
    let errors = read(text).expect_err("the file is wrong");
    errors.iter().map(|error| (error.number, error.error.fault.to_string())).collect()
}

#[test]
fn every_wrong_line_is_named() {
    let text = "\
sysnam
#
radius-server group g1
 radius-server accounting 192.0.2.1 70000
 radius-server shared-key-cipher %^%#broken%^%#
 radius-server retransmit 9
#
aaa
 #
 accounting-scheme s1
  accounting-mode tacacs
  accounting realtime 3
 #
 domain d1
  accounting-scheme s9
#
display this
commit
#
return
sysname AFTER
";
    let found = errors(text);
    let expected: &[(usize, &str)] = &[
        (1, "Error: Incomplete command found at '^' position."),
        (4, "Error: Wrong parameter found at '^' position."),
        (5, "Error: The cipher text cannot be decrypted."),
        (6, "Error: Wrong parameter found at '^' position."),
        (11, "Error: Unrecognized command found at '^' position."),
        (15, "Error: The accounting scheme does not exist."),
        (17, "Error: Unrecognized command found at '^' position."),
        (18, "Error: Unrecognized command found at '^' position."),
        (21, "Error: Unrecognized command found at '^' position."),
    ];
    let found: Vec<(usize, &str)> = found.iter().map(|(number, text)| (*number, text.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn an_error_shows_its_line_its_caret_and_no_secret() {
    let shown = |text: &str| read(text).unwrap_err()[0].to_string();
    assert_eq!(
        shown("aaa\n accounting-scheme s1\n  accounting realtime 70000\n"),
        "line 3:\n  accounting realtime 70000\n                      ^\nError: Wrong parameter found at '^' position."
    );
    let broken = shown("radius-server group g1\n radius-server shared-key-cipher %^%#topsecret%^%#\n");
    assert_eq!(broken, "line 2:\nradius-server shared-key-cipher ******\nError: The cipher text cannot be decrypted.");
    assert!(!shown("radius-server group g1\n radius-server shared-key topsecret x").contains("topsecret"));
    for line in [
        "bill-server 192.0.2.9 filename f user-name u password cipher topsecret 0",
        "bill-server 192.0.2.9 filename f user-name u password topsecret 22",
        "bill-server 192.0.2.9 file f user-name u password cipher topsecret-topsecret 22",
        "bill-server 192.0.2 filename f user-name u password cipher topsecret 22",
        "bill-server 192.0.2.9 filename f user-name u password cipher %^%#topsecret%^%# 22",
    ] {
        assert!(!shown(&format!("local-aaa-server\n {line}\n")).contains("topsecret"), "{line}");
    }
}

#[test]
fn a_block_that_was_not_opened_is_passed_over() {
    let text = "radius-server group a/b\n radius-server retransmit 3\n#\naaa\n accounting-scheme -\n  accounting realtime 3\n \
                accounting-scheme s1\n";
    let numbers: Vec<usize> = errors(text).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [1, 5]);
}

#[test]
fn what_only_the_whole_tree_can_tell_is_said_of_the_block() {
    let text = "sysname B\n#\nradius-server group g1\n radius-server accounting 192.0.2.1 1813 weight 0\n#\nreturn\n";
    let message = "Error: Accounting server 192.0.2.1:1813 of RADIUS server group g1 has no shared key.";
    assert_eq!(errors(text), [(3, message.to_owned())]);
}

#[test]
fn a_typo_in_a_block_is_not_taken_for_a_command_around_it() {
    // In the AAA view `accounting` is short for `accounting-scheme`.
    let found = errors("aaa\n accounting-scheme s1\n  accounting s9\n");
    assert_eq!(found, [(3, "Error: Unrecognized command found at '^' position.".to_owned())]);
}

fn name() -> impl Strategy<Value = ObjectName> {
    "[A-Za-z0-9@._-]{3,32}".prop_map(|name| ObjectName::from(name.as_str()))
}

fn secret() -> impl Strategy<Value = Secret> {
    prop::collection::vec(any::<u8>(), 1..128).prop_map(|octets| {
        let stored = World::default().seal(&octets);
        Secret::new(octets, stored)
    })
}

fn ip() -> impl Strategy<Value = IpAddr> {
    let v4 = any::<[u8; 4]>()
        .prop_map(Ipv4Addr::from)
        .prop_filter("a host", |ip| !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast());
    let v6 = any::<[u8; 16]>()
        .prop_map(Ipv6Addr::from)
        .prop_filter("a host", |ip| !ip.is_unspecified() && !ip.is_multicast());
    prop_oneof![v4.prop_map(IpAddr::V4), v6.prop_map(IpAddr::V6)]
}

fn interface() -> impl Strategy<Value = InterfaceName> {
    // Now and then a keyword, which is a name all the same where it cannot be the keyword.
    let word = prop_oneof![4 => "[!-.0-9;-~]{1,15}", 1 => Just("interface".to_owned()), 1 => Just("weight".to_owned())];
    word.prop_filter_map("a name", |name| InterfaceName::new(&name))
}

fn server() -> impl Strategy<Value = RadiusServer> {
    let source = |ip: IpAddr| {
        let address = match ip {
            IpAddr::V4(_) => Just(Source::Address([192, 0, 2, 77].into())),
            IpAddr::V6(_) => Just(Source::Address([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77].into())),
        };
        prop::option::of(prop_oneof![address, source_interface()])
    };
    let path = ip().prop_flat_map(move |ip| (Just(ip), prop::option::of(interface()), source(ip)));
    (path, 1..=u16::MAX, prop::option::of(secret()), 0..=100_u8, any::<bool>(), prop::option::of(tls())).prop_map(
        |((ip, vpn, source), port, shared_key, weight, message_authenticator, tls)| RadiusServer {
            address: SocketAddr::new(ip, port),
            vpn,
            source,
            shared_key,
            weight,
            message_authenticator,
            tls,
        },
    )
}

fn tls() -> impl Strategy<Value = RadiusTls> {
    // Now and then a keyword, which is a file's or a server's name all the same.
    let word = || prop_oneof![4 => "[!-.0-9;-~]{1,15}", 1 => Just("key".to_owned()), 1 => Just("weight".to_owned())];
    (word(), prop::option::of((word(), word())), prop::option::of(word())).prop_map(|(ca, pair, server_name)| {
        let (cert, key) = pair.unzip();
        RadiusTls { ca, cert, key, server_name }
    })
}

/// An interface that is not named as the keyword that may stand in its place.
fn source_interface() -> impl Strategy<Value = Source> {
    interface()
        .prop_filter("no keyword", |name| !name.as_str().eq_ignore_ascii_case("ip-address"))
        .prop_map(Source::Interface)
}

/// Without those that are one server with an earlier one.
fn each_once(servers: Vec<RadiusServer>) -> Vec<RadiusServer> {
    let mut kept: Vec<RadiusServer> = Vec::new();
    for server in servers {
        if !kept.iter().any(|known| known.is_at(server.address, server.vpn)) {
            kept.push(server);
        }
    }
    kept
}

fn group() -> impl Strategy<Value = RadiusGroup> {
    let formats = [UserNameFormat::DomainIncluded, UserNameFormat::Original, UserNameFormat::WithoutDomain];
    let without = prop::sample::subsequence(OptionalAttribute::ALL.to_vec(), 0..=8);
    let carried = (any::<[bool; 2]>(), any::<prop::sample::Index>(), without, accounting_on());
    let servers = prop::collection::vec(server(), 0..=16);
    let source = prop::option::of(interface());
    let retries = prop::option::of(
        (1..=5_u8, 3..=25_u8).prop_map(|(transmissions, timeout_s)| AuthenticationRetries { transmissions, timeout_s }),
    );
    (
        (servers, prop::collection::vec(server(), 0..3), retries),
        secret(),
        any::<bool>(),
        1..=5_u8,
        3..=25_u8,
        (1..=256_u16, source),
        any::<([u16; 3], prop::sample::Index)>(),
        carried,
    )
        .prop_map(
            move |(
                (accounting, authenticating, authentication_retries),
                key,
                shares,
                retransmit,
                timeout_s,
                (source_ports, source),
                ([stop_resend, start_resend, interim_resend], unit),
                (flags, format, without, accounting_on),
            )| {
                let accounting = each_once(accounting);
                // Message-Authenticator and TLS are words of accounting servers.
                let authentication = each_once(authenticating)
                    .into_iter()
                    .map(|server| RadiusServer { message_authenticator: false, tls: None, ..server })
                    .collect();
                let algorithm = if shares { Algorithm::LoadingShare } else { Algorithm::MasterBackup };
                let [strict, sequence] =
                    if shares { [false; 2] } else { [start_resend % 2 == 0, stop_resend % 2 == 0] };
                RadiusGroup {
                    authentication,
                    authentication_retries,
                    accounting,
                    shared_key: Some(key),
                    algorithm,
                    strict,
                    sequence,
                    retransmit,
                    timeout_s,
                    source_ports,
                    source,
                    stop_resend,
                    start_resend,
                    interim_resend,
                    accounting_on,
                    traffic_unit: *unit.get(&TrafficUnit::ALL),
                    send_force: flags[0],
                    alarm_disabled: flags[1],
                    user_name: *format.get(&formats),
                    disabled_attributes: without.into_iter().collect(),
                }
            },
        )
}

fn accounting_on() -> impl Strategy<Value = AccountingOn> {
    prop::sample::select(vec![AccountingOn::Disabled, AccountingOn::Enabled, AccountingOn::Wait])
}

fn radius_health() -> impl Strategy<Value = RadiusHealth> {
    (3..=u16::MAX, 1..=100_u8, 0..=60_u8, 1..=u16::MAX, any::<bool>()).prop_map(
        |(dead_count, fail_rate, dead_interval_s, dead_time_min, recover_count_invalid)| RadiusHealth {
            dead_count,
            fail_rate,
            dead_interval_s,
            dead_time_min,
            recover_count_invalid,
        },
    )
}

fn radius_recovery() -> impl Strategy<Value = RadiusRecovery> {
    let detect = || {
        let detect = (prop::option::of("[!-~]{1,253}"), 1..=3_600_u16, 1..=10_u8);
        prop::option::of(detect.prop_map(|(user, interval_s, threshold)| RecoveryDetect {
            user,
            interval_s,
            threshold,
        }))
    };
    (detect(), detect()).prop_map(|(accounting, authentication)| RadiusRecovery { accounting, authentication })
}

fn radius_limits() -> impl Strategy<Value = BTreeMap<LimitedServers, RadiusLimits>> {
    let servers = (prop::option::of((ip(), prop::option::of(interface()))), prop::option::of(1..=u16::MAX));
    let servers = servers.prop_map(|(place, port)| {
        let (ip, vpn) = place.map_or((None, None), |(ip, vpn)| (Some(ip), vpn));
        LimitedServers { ip, vpn, port }
    });
    let speed = (1..=u16::MAX, 1..=3_600_u16).prop_map(|(count, seconds)| SpeedLimit { count, seconds });
    let limits = (prop::option::of(1..=u16::MAX), prop::option::of(speed))
        .prop_filter_map("none is not stored", |(pending, speed)| {
            (pending.is_some() || speed.is_some()).then_some(RadiusLimits { pending, speed })
        });
    prop::collection::btree_map(servers, limits, 0..4)
}

fn radius_cache() -> impl Strategy<Value = RadiusCache> {
    let warning = (1..=100_u8)
        .prop_flat_map(|upper| (Just(upper), 0..upper))
        .prop_map(|(upper, lower)| CacheWarning { upper, lower });
    let rounds = (1..=u16::MAX, 1..=3_600_u16).prop_map(|(users, seconds)| CacheRounds { users, seconds });
    let flags = any::<[bool; 2]>();
    (8_192..=256_000_u32, 50..=85_u8, prop::option::of(warning), prop::option::of(rounds), flags).prop_map(
        |(packets, memory_threshold, warning, rounds, [keep_packets, pending_limit_optimize])| RadiusCache {
            packets,
            memory_threshold,
            warning,
            rounds,
            keep_packets,
            pending_limit_optimize,
        },
    )
}

/// With secrets of their own; all speak to one address each, or none.
fn radius_authorization() -> impl Strategy<Value = RadiusAuthorization> {
    let server = (secret(), prop::option::of(1..=u16::MAX), 0..=AuthorizationServer::ACK_RESERVED_MAX_S);
    let path = (ip(), prop::option::of(interface())).prop_map(|(ip, vpn)| AuthorizationPath { ip, vpn });
    let servers = prop::collection::btree_map(path, server, 0..4);
    (servers, any::<bool>(), any::<bool>()).prop_map(|(servers, speak_to_one, realtime_packet_disabled)| {
        let server = |(path, (secret, port, ack_reserved_s)): (AuthorizationPath, _)| {
            let server = AuthorizationServer {
                shared_key: Some(secret),
                server_group: None,
                destination_ip: speak_to_one.then_some(path.ip),
                destination_port: Option::filter(port, |port| *port != AuthorizationServer::PORT_DEFAULT),
                ack_reserved_s,
            };
            (path, server)
        };
        RadiusAuthorization { servers: servers.into_iter().map(server).collect(), realtime_packet_disabled }
    })
}

fn interim() -> impl Strategy<Value = Interim> {
    (any::<u16>(), any::<bool>(), any::<[bool; 2]>(), any::<bool>()).prop_filter_map(
        "0 without flags is the default",
        |(value, second, flags, realtime)| {
            let (unit, [hash, traffic], spelling) = match (realtime, second) {
                (true, _) => (IntervalUnit::Minute, [false; 2], InterimSpelling::Realtime),
                (false, true) => (IntervalUnit::Second, flags, InterimSpelling::Interval),
                (false, false) => (IntervalUnit::Minute, flags, InterimSpelling::Interval),
            };
            (value != 0 || hash || traffic).then_some(Interim { value, unit, hash, traffic, spelling })
        },
    )
}

fn scheme() -> impl Strategy<Value = AccountingScheme> {
    let start_fail =
        prop_oneof![Just(StartFail::Online), Just(StartFail::OnlineKeepAccounting), Just(StartFail::Offline)];
    let policy = prop_oneof![Just(InterimFailPolicy::Online), Just(InterimFailPolicy::Offline)];
    let mode = prop_oneof![
        Just(None),
        Just(Some(AccountingMode::None)),
        Just(Some(AccountingMode::Radius)),
        Just(Some(AccountingMode::Hwtacacs)),
    ];
    (mode, start_fail, prop::option::of(interim()), 1..=u8::MAX, policy, any::<([bool; 2], u16)>()).prop_map(
        |(mode, start_fail, interim, max_times, policy, ([send_update, shadow], no_send_remain_s))| AccountingScheme {
            mode,
            start_fail,
            interim,
            interim_fail: InterimFail { max_times, policy },
            send_update,
            no_send_remain_s,
            shadow,
        },
    )
}

fn bill_server() -> impl Strategy<Value = BillServer> {
    let address = any::<[u8; 4]>()
        .prop_map(Ipv4Addr::from)
        .prop_filter("a host", |ip| !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast());
    let password = prop::collection::vec(any::<u8>(), 1..=16).prop_map(|octets| {
        let stored = World::default().seal(&octets);
        Secret::new(octets, stored)
    });
    let login = ("[!-~]{1,64}", password, 1..=u16::MAX).prop_map(|(user, password, port)| BillServerLogin {
        user,
        password,
        port,
    });
    (address, "[A-Za-z0-9._%-]{3,30}", prop::option::of(login)).prop_map(|(address, file_name, login)| BillServer {
        address,
        file_name,
        login,
    })
}

fn store<M: std::fmt::Debug>(modes: impl Strategy<Value = M>) -> impl Strategy<Value = BillStoreSettings<M>> {
    (1..=16_000_000_u32, 50..=100_u8, modes, 1..=u16::MAX).prop_map(
        |(capacity, alarm_threshold, backup_mode, backup_interval_min)| BillStoreSettings {
            capacity,
            alarm_threshold,
            backup_mode,
            backup_interval_min,
        },
    )
}

/// Backup modes are such as the bill server allows.
fn local_aaa_server() -> impl Strategy<Value = LocalAaaServer> {
    let cache = store(prop::sample::select(vec![
        CacheBackupMode::Cfcard,
        CacheBackupMode::None,
        CacheBackupMode::Tftp,
        CacheBackupMode::Sftp,
    ]));
    let cfcard = store(prop::sample::select(vec![CfcardBackupMode::Tftp, CfcardBackupMode::Sftp]));
    let host_key = prop_oneof![
        Just(HostKeyPolicy::Refuse),
        Just(HostKeyPolicy::AcceptFirst),
        "SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]".prop_map(HostKeyPolicy::Pinned),
    ];
    let reaching = (prop::option::of(bill_server()), 1..=u16::MAX, host_key, prop::option::of("/[!-~]{1,254}"));
    let written = (prop::sample::select(BillFormat::ALL.to_vec()), 1..=LocalAaaServer::FILE_SIZE_MAX);
    let replay = prop::sample::select(vec![BillReplay::Disabled, BillReplay::Enabled, BillReplay::EnabledStartFailed]);
    (any::<bool>(), reaching, cache, cfcard, written, replay).prop_map(
        |(pool_enabled, (bill_server, tftp_port, host_key, key_file), mut cache, mut cfcard, written, replay)| {
            let has_login = bill_server.as_ref().is_some_and(|server| server.login.is_some());
            if bill_server.is_none() && cache.backup_mode == CacheBackupMode::Tftp
                || !has_login && cache.backup_mode == CacheBackupMode::Sftp
            {
                cache.backup_mode = CacheBackupMode::None;
            }
            if bill_server.is_none() {
                cfcard.backup_mode = CfcardBackupMode::Sftp;
            }
            let (format, file_size) = written;
            LocalAaaServer {
                pool_enabled,
                bill_server,
                tftp_port,
                host_key,
                key_file,
                cache,
                cfcard,
                format,
                file_size,
                replay,
            }
        },
    )
}

fn hwtacacs() -> impl Strategy<Value = Hwtacacs> {
    let resend = prop::option::of(1..=300_u16);
    let templates = prop::collection::btree_map(name(), hwtacacs_template(), 0..3);
    (any::<bool>(), resend, templates).prop_map(|(is_disabled, stop_resend, templates)| Hwtacacs {
        is_disabled,
        stop_resend,
        templates,
    })
}

fn hwtacacs_template() -> impl Strategy<Value = HwtacacsTemplate> {
    let servers = || prop::array::uniform4(prop::option::of(hwtacacs_server())).boxed();
    let times = (1..=300_u16, any::<u8>());
    let formats = [UserNameFormat::DomainIncluded, UserNameFormat::Original, UserNameFormat::WithoutDomain];
    let words =
        (prop::sample::select(TrafficUnit::ALL.to_vec()), prop::sample::select(formats.to_vec()), any::<bool>());
    ([servers(), servers(), servers()], secret(), prop::option::of(ip()), times, words).prop_map(
        |([mut accounting, authentication, authorization], key, source, times, words)| {
            // Each at an address of its own.
            for rank in 1..HwtacacsRank::COUNT {
                let (before, behind) = accounting.split_at_mut(rank);
                let is_known = |server: &mut HwtacacsServer| {
                    let mut before = before.iter().flatten();
                    before.any(|known| known.address.ip() == server.address.ip() && known.vpn == server.vpn)
                };
                behind[0].take_if(is_known);
            }
            let ((response_timeout_s, quiet_min), (traffic_unit, user_name, watchdog_alone)) = (times, words);
            HwtacacsTemplate {
                accounting,
                authentication,
                authorization,
                shared_key: Some(key),
                source,
                response_timeout_s,
                quiet_min,
                traffic_unit,
                user_name,
                watchdog_alone,
            }
        },
    )
}

fn hwtacacs_server() -> impl Strategy<Value = HwtacacsServer> {
    let port = prop_oneof![Just(HwtacacsTemplate::PORT_DEFAULT), 1..=u16::MAX];
    (ip(), port, prop::option::of(interface()), prop::option::of(secret()), any::<bool>()).prop_map(
        |(ip, port, vpn, shared_key, mux_mode)| HwtacacsServer {
            address: SocketAddr::new(ip, port),
            vpn,
            shared_key,
            mux_mode,
        },
    )
}

fn relay() -> impl Strategy<Value = Relay> {
    let interim = prop_oneof![Just(RelayInterim::Follow), (60..=3_932_100_u32).prop_map(RelayInterim::Every)];
    let fail = prop_oneof![Just(DisconnectFail::Keep), Just(DisconnectFail::Stop)];
    let domain = prop::option::of(prop::sample::select(BUILT_IN_DOMAINS.to_vec()));
    let client = (secret(), domain, prop::option::of(1..=u16::MAX), fail, interim, 0..=100_u8).prop_map(
        |(shared_key, domain, disconnect_port, disconnect_fail, interim, silence)| RelayClient {
            domain: domain.map(ObjectName::from),
            disconnect_port,
            disconnect_fail,
            interim,
            silence,
            ..RelayClient::new(shared_key)
        },
    );
    let listen = prop::option::of((ip(), 1..=u16::MAX).prop_map(SocketAddr::from));
    (listen, prop::collection::btree_map(ip(), client, 0..3)).prop_map(|(listen, clients)| Relay { listen, clients })
}

fn counter_origin() -> impl Strategy<Value = CounterOrigin> {
    let from = prop::sample::select(vec![CountedBy::Table, CountedBy::Interfaces, CountedBy::Ebpf]);
    (from, 1..=3_600_u16).prop_map(|(from, interval_s)| CounterOrigin { from, interval_s })
}

/// There is one, so that every source may be counted by it.
fn counter_maps() -> impl Strategy<Value = CounterMaps> {
    let at = || 0..=65_528_u32;
    let values = (at(), prop::option::of(at()), at(), prop::option::of(at()));
    let values = values.prop_map(|(in_octets, in_packets, out_octets, out_packets)| MapValues {
        in_octets,
        in_packets,
        out_octets,
        out_packets,
    });
    let map = ("/[!-~]{1,100}", prop_oneof![Just(MapValues::default()), values]);
    let map = map.prop_map(|(path, values)| CounterMap { path, values });
    let bits = prop_oneof![Just(CounterMaps::PREFIX_DEFAULT), 1..=128_u8];
    (map.clone(), prop::option::of((map, bits))).prop_map(|(v4, v6)| CounterMaps { v4: Some(v4), v6 })
}

fn source_place() -> impl Strategy<Value = SourcePlace> {
    let of = |kind: SourceKind, at: &'static str| at.prop_map(move |at| SourcePlace { kind, at });
    prop_oneof![
        of(SourceKind::Directory, "/[!-~]{1,254}"),
        of(SourceKind::Socket, "/[!-~]{1,106}"),
        of(SourceKind::Interfaces, "[!-~]{1,64}"),
    ]
}

fn session_source() -> impl Strategy<Value = SessionSource> {
    // A domain that there always is.
    let domain = prop::option::of(Just(ObjectName::from("default1")));
    (domain, prop::option::of(counter_origin())).prop_map(|(domain, counters)| SessionSource {
        domain,
        details: None,
        counters,
    })
}

/// Any settings that typing can lead to: what is at its default says so.
fn settings() -> impl Strategy<Value = Settings> {
    let box_wide = (
        "[!-~]{1,64}",
        prop::option::of("[!-~]{1,7}"),
        prop::option::of("/[!-~]{1,100}"),
        0..=86_400_u32,
        local_aaa_server(),
        1..=3_600_u16,
        // On the heap, for strategies are large.
        hwtacacs().boxed(),
        (
            radius_health(),
            radius_recovery(),
            [radius_limits(), radius_limits()],
            radius_cache(),
            radius_authorization(),
        ),
        (
            prop::option::of((1..=100_u8, 1..=86_400_u32).prop_map(|(percent, seconds)| CutBrake { percent, seconds })),
            prop::collection::btree_map("[a-z]{1,32}", prop::sample::select(ShellLevel::ALL.to_vec()), 0..3),
            prop::collection::btree_map(source_place(), session_source(), 0..4),
            (prop::option::of(counter_origin()), counter_maps()),
            relay(),
        )
            .boxed(),
    );
    let groups = prop::collection::btree_map(name(), group(), 0..4);
    let schemes = prop::collection::btree_map(name(), scheme(), 0..6);
    let built_in = prop::collection::vec(scheme(), BUILT_IN_SCHEMES.len());
    let index = any::<prop::sample::Index>;
    let binding = (index(), index(), any::<bool>(), any::<bool>(), any::<bool>(), terms());
    let domains = prop::collection::btree_map(name(), binding.clone(), 0..6);
    let built_in_domains = prop::collection::vec(binding, BUILT_IN_DOMAINS.len());
    (box_wide, groups, schemes, built_in, domains, built_in_domains).prop_map(
        |(box_wide, radius_groups, mut schemes, built_in, mut bindings, built_in_bindings)| {
            let (
                sysname,
                session_id_prefix,
                path,
                grace_s,
                local_aaa_server,
                checkpoint_interval_s,
                hwtacacs,
                (
                    radius_health,
                    radius_recovery,
                    [radius_limits, radius_authentication_limits],
                    radius_cache,
                    radius_authorization,
                ),
                (cut_brake, shell_groups, session_sources, (counter_source, counter_maps), relay),
            ) = box_wide;
            schemes.extend(BUILT_IN_SCHEMES.map(ObjectName::from).into_iter().zip(built_in));
            for (name, scheme) in &mut schemes {
                let default = AccountingScheme::default().mode_or_default(name.as_str());
                scheme.mode = scheme.mode.filter(|mode| *mode != default);
            }
            bindings.extend(BUILT_IN_DOMAINS.map(ObjectName::from).into_iter().zip(built_in_bindings));
            let scheme_names: Vec<_> = schemes.keys().cloned().collect();
            let group_names: Vec<_> = radius_groups.keys().cloned().collect();
            let mut domains = BTreeMap::new();
            for (name, (scheme, group, has_scheme, has_group, has_copy, terms)) in bindings {
                let default = ObjectName::from(Domain::default().scheme_or_default(name.as_str()));
                let scheme = Some(scheme.get(&scheme_names).clone()).filter(|scheme| has_scheme && *scheme != default);
                let group = has_group.then_some(group).filter(|_| !group_names.is_empty());
                let radius_group = group.map(|group| group.get(&group_names).clone());
                // To the first group, unless that is the domain's own.
                let accounting_copy =
                    group_names.first().filter(|first| has_copy && radius_group.as_ref() != Some(first));
                let accounting_copy = accounting_copy.cloned();
                let hwtacacs_template = hwtacacs.templates.keys().next().filter(|_| has_copy).cloned();
                let bound =
                    Domain { accounting_scheme: scheme, radius_group, hwtacacs_template, accounting_copy, ..terms };
                domains.insert(name, bound);
            }
            Settings {
                sysname,
                session_id_prefix,
                plane_link: PlaneLink { path, grace_s },
                session_sources,
                counter_source,
                counter_maps,
                radius_health,
                radius_recovery,
                radius_limits,
                radius_authentication_limits,
                radius_cache,
                radius_authorization,
                relay,
                radius_groups,
                hwtacacs,
                schemes,
                domains,
                local_aaa_server,
                checkpoint_interval_s,
                cut_brake,
                shell_groups,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(settings in settings()) {
        let text = config::write(&settings);
        let read_back = read(&text);
        prop_assert_eq!(read_back.as_ref(), Ok(&settings), "{}", text);
        prop_assert_eq!(config::write(&settings), text);
    }

    #[test]
    fn a_refreshed_candidate_has_what_only_one_of_both_changed(base in settings(), theirs in settings()) {
        let world = World::default();
        let [base, theirs] = [base, theirs].map(Arc::new);
        let mut shell = Shell::new(Arc::clone(&base), ShellLevel::Management);
        shell.execute("system-view", &world);
        shell.execute("sysname mine", &world);
        shell.running_changed(Arc::clone(&theirs));
        let answer = shell.execute("refresh configuration candidate", &world);
        // Only the name can be what both changed.
        let both = base.sysname != "mine" && theirs.sysname != "mine" && theirs.sysname != base.sysname;
        match answer {
            Answer::Text(text) => prop_assert!(both && text.lines().count() == 1, "{}", text),
            answer => prop_assert!(!both && answer == Answer::Silent, "{:?}", answer),
        }
        let expected = Settings { sysname: "mine".to_owned(), ..Settings::clone(&theirs) };
        if base.sysname != "mine" {
            prop_assert_eq!(shell.candidate(), &expected);
        }
    }

    #[test]
    fn text_is_a_fixed_point(settings in settings()) {
        let text = config::write(&settings);
        prop_assert_eq!(config::write(&read(&text).unwrap()), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,300}") {
        let _ = read(&text);
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(cut in 0..WHOLE.len(), with in ".{0,3}") {
        let _ = read(&format!("{}{with}{}", &WHOLE[..cut], &WHOLE[cut..]));
        let _ = read(&WHOLE[..cut]);
    }
}
