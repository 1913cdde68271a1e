//! The way to a server: `vpn-instance` and `source`, as they are typed, stored and refused.

use crate::support::{World, obey, sitting_after};
use model::settings::{InterfaceName, RadiusTls, Source, Transport};
use vrp::{Shell, config};

#[test]
fn row_5_1_a_server_has_a_vpn_instance_and_a_source() {
    let world = World::default();
    let name = |name: &str| InterfaceName::new(name);
    let from = |text: &str| Some(Source::Address(text.parse().unwrap()));
    for (line, vpn, source, written) in [
        ("192.0.2.1 1813 vpn-instance red", name("red"), None, "192.0.2.1 1813 vpn-instance red weight 0"),
        ("192.0.2.1 vpn-instance red 1813", name("red"), None, "192.0.2.1 1813 vpn-instance red weight 0"),
        (
            "192.0.2.1 1813 weight 5 source ip-address 10.0.0.1 vpn-instance red",
            name("red"),
            from("10.0.0.1"),
            "192.0.2.1 1813 vpn-instance red source ip-address 10.0.0.1 weight 5",
        ),
        (
            "2001:db8::1 source ip-address 2001:db8::2 1813",
            None,
            from("2001:db8::2"),
            "2001:db8::1 1813 source ip-address 2001:db8::2 weight 0",
        ),
        (
            "192.0.2.1 source LoopBack0 1813 weight 1",
            None,
            name("LoopBack0").map(Source::Interface),
            "192.0.2.1 1813 source LoopBack0 weight 1",
        ),
    ] {
        let mut shell = sitting_after(&["radius-server group g1"]);
        assert_eq!(obey(&mut shell, &world, &format!("radius-server accounting {line}")), "", "{line}");
        let server = &shell.candidate().radius_groups[&"g1".into()].accounting[0];
        assert_eq!((server.vpn, server.source), (vpn, source), "{line}");
        let text = config::write(shell.candidate());
        assert!(text.contains(&format!("\n radius-server accounting {written}\n")), "{line}: {text}");
    }
    for line in ["192.0.2.1 1813 source ip-address 2001:db8::2", "2001:db8::1 source ip-address 10.0.0.1 1813"] {
        let said =
            obey(&mut sitting_after(&["radius-server group g1"]), &world, &format!("radius-server accounting {line}"));
        let sentence = "Error: The source address and the server's must be of one family, both IPv4 or both IPv6.\n";
        assert_eq!(said, sentence, "{line}");
    }
}

#[test]
fn row_5_1_a_server_in_a_vrf_is_another_server() {
    let world = World::default();
    let mut shell = sitting_after(&[
        "radius-server group g1",
        "radius-server accounting 192.0.2.1 1813",
        "radius-server accounting 192.0.2.1 1813 vpn-instance red",
        "radius-server accounting 192.0.2.1 vpn-instance blue 1814 weight 3",
        "radius-server shared-key k accounting 192.0.2.1 vpn-instance red 1813",
    ]);
    let servers = |shell: &Shell| -> Vec<(String, bool)> {
        let group = &shell.candidate().radius_groups[&"g1".into()];
        let told = |server| (group.path_of(server).to_string(), server.shared_key.is_some());
        group.accounting.iter().map(told).collect()
    };
    let (plain, red, blue) = ("192.0.2.1:1813", "192.0.2.1:1813 vpn-instance red", "192.0.2.1:1814 vpn-instance blue");
    let expect = |all: &[(&str, bool)]| all.iter().map(|(path, key)| ((*path).to_owned(), *key)).collect::<Vec<_>>();
    assert_eq!(servers(&shell), expect(&[(plain, false), (red, true), (blue, false)]));
    for (line, left) in [
        ("radius-server shared-key accounting 192.0.2.1 vpn-instance red 1813", vec![plain, red, blue]),
        ("radius-server accounting 192.0.2.1", vec![red, blue]),
        ("radius-server accounting 192.0.2.1 vpn-instance blue 1814", vec![red]),
        ("radius-server accounting 192.0.2.1 vpn-instance red", vec![]),
    ] {
        assert_eq!(obey(&mut shell, &world, &format!("undo {line}")), "", "{line}");
        assert_eq!(servers(&shell), expect(&left.iter().map(|path| (*path, false)).collect::<Vec<_>>()), "{line}");
    }
}

#[test]
fn row_5_1_one_server_has_one_source() {
    let lines = |first: &str, second: &str| {
        let text =
            |name: &str, line: &str| format!("radius-server group {name}\n radius-server shared-key k\n {line}\n#\n");
        let text = format!("{}{}", text("g1", first), text("g2", second));
        let found = config::read(&text, &World::default()).err().unwrap_or_default();
        found.iter().map(|error| error.error.fault.to_string()).collect::<Vec<_>>()
    };
    let plain = "radius-server accounting 192.0.2.1 1813";
    let differ = |server: &str| {
        vec![format!("Error: Accounting server {server} has one source in RADIUS server group g1 and another in g2.")]
    };
    let from = |source: &str| format!("{plain} source {source}");
    assert_eq!(lines(plain, &from("lo1")), differ("192.0.2.1:1813"));
    assert_eq!(lines(&from("lo1"), &from("ip-address 10.0.0.1")), differ("192.0.2.1:1813"));
    let (group, red) = ("radius-server source interface lo1", format!("{plain} vpn-instance red"));
    assert_eq!(lines(&format!("{group}\n {plain}"), plain), differ("192.0.2.1:1813"));
    assert_eq!(lines(&format!("{group}\n {red}"), &red), differ("192.0.2.1:1813 vpn-instance red"));
    assert_eq!(lines(&format!("{group}\n {plain}"), &from("lo1")), Vec::<String>::new());
    assert_eq!(lines(&format!("{group}\n {plain}"), &red), Vec::<String>::new(), "another VRF, another server");
}

#[test]
fn an_accounting_server_is_spoken_to_over_tls() {
    let world = World::default();
    let tls = |cert: Option<&str>, key: Option<&str>, server_name: Option<&str>| {
        let own = |word: Option<&str>| word.map(str::to_owned);
        Some(RadiusTls { ca: "/ca.pem".to_owned(), cert: own(cert), key: own(key), server_name: own(server_name) })
    };
    let me = (Some("/me.pem"), Some("/me.key"));
    for (line, expected, written) in [
        ("tls ca /ca.pem", tls(None, None, None), "weight 0 tls ca /ca.pem"),
        (
            "tls ca /ca.pem server-name a.b weight 5",
            tls(None, None, Some("a.b")),
            "weight 5 tls ca /ca.pem server-name a.b",
        ),
        (
            "weight 5 tls ca /ca.pem cert /me.pem key /me.key vpn-instance red",
            tls(me.0, me.1, None),
            "vpn-instance red weight 5 tls ca /ca.pem cert /me.pem key /me.key",
        ),
        (
            "tls ca /ca.pem cert /me.pem key /me.key server-name 192.0.2.1",
            tls(me.0, me.1, Some("192.0.2.1")),
            "weight 0 tls ca /ca.pem cert /me.pem key /me.key server-name 192.0.2.1",
        ),
        ("", None, "weight 0"),
    ] {
        let mut shell = sitting_after(&["radius-server group g1", "radius-server shared-key k"]);
        let line = format!("radius-server accounting 192.0.2.1 2083 {line}");
        assert_eq!(obey(&mut shell, &world, &line), "", "{line}");
        let group = &shell.candidate().radius_groups[&"g1".into()];
        let server = &group.accounting[0];
        assert_eq!(server.tls, expected, "{line}");
        let (transport, secret) = match expected {
            Some(_) => (Transport::Tls, &b"radsec"[..]),
            None => (Transport::Datagrams, &b"k"[..]),
        };
        assert_eq!(group.path_of(server).transport, transport, "{line}");
        assert_eq!(group.secret_of(server).map(|secret| secret.octets()), Some(secret), "{line}");
        let text = config::write(shell.candidate());
        assert!(text.contains(&format!("\n radius-server accounting 192.0.2.1 2083 {written}\n")), "{line}: {text}");
    }
    for line in [
        "radius-server accounting 192.0.2.1 2083 tls",
        "radius-server accounting 192.0.2.1 2083 tls ca /ca.pem cert /me.pem",
        "radius-server accounting 192.0.2.1 2083 tls ca /ca.pem key /me.key",
        "radius-server accounting 192.0.2.1 2083 tls server-name a.b",
        "radius-server authentication 192.0.2.1 2083 tls ca /ca.pem",
    ] {
        let said = obey(&mut sitting_after(&["radius-server group g1"]), &world, line);
        assert!(said.contains("Error:"), "{line}: {said}");
    }
    let mut shell = sitting_after(&["radius-server group g1"]);
    assert_eq!(obey(&mut shell, &world, "radius-server accounting 192.0.2.1 2083 shared-key own tls ca /ca.pem"), "");
    let group = &shell.candidate().radius_groups[&"g1".into()];
    assert_eq!(group.secret_of(&group.accounting[0]).map(|secret| secret.octets()), Some(&b"own"[..]));
}
