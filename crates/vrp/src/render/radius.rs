//! `display radius-server configuration` and `display radius-server packet` (BEHAVIOUR.md 5.7).

use std::net::IpAddr;

use model::domain::TrafficUnit;
use model::report::{Discards, ServerReport};
use model::settings::{AccountingOn, Algorithm, InterfaceName, ObjectName, RadiusGroup, ServerPath, Settings};
use serde_json::{Value, json};

use super::Shown;
use super::table::{labelled, two_per_row};
use crate::error::Refusal;

/// The groups with the state of their servers. A server of which there is no report is assumed to be up.
///
/// # Errors
/// [`Refusal::GroupMissing`] when `group` is named and does not exist.
pub fn radius_server_configuration(
    settings: &Settings,
    group: Option<&ObjectName>,
    reports: &[ServerReport],
) -> Result<Shown, Refusal> {
    let wanted = |name: &ObjectName| group.is_none_or(|group| group == name);
    let groups: Vec<_> = settings.radius_groups.iter().filter(|(name, _)| wanted(name)).collect();
    if group.is_some() && groups.is_empty() {
        return Err(Refusal::GroupMissing);
    }
    let text = groups.iter().map(|(name, group)| text_of(name, group, reports)).collect();
    let json = groups.iter().map(|(name, group)| json_of(name, group, reports)).collect();
    Ok(Shown { text, json })
}

/// The counters of the server at `address`; without a port, of every server there. A datagram that changed nothing need not be a server's, so `discards` are those of the whole box.
///
/// # Errors
/// [`Refusal::ServerMissing`] when no report is of such a server.
pub fn radius_server_packet(
    address: IpAddr,
    vpn: Option<InterfaceName>,
    port: Option<u16>,
    reports: &[ServerReport],
    discards: &Discards,
) -> Result<Shown, Refusal> {
    let is_asked = |report: &&ServerReport| {
        let ServerPath { address: own, vpn: own_vpn, .. } = report.path;
        let is_at = own.ip() == address && own_vpn == vpn && port.is_none_or(|port| own.port() == port);
        is_at && !report.path.transport.is_tacacs()
    };
    let mut servers: Vec<&ServerReport> = reports.iter().filter(is_asked).collect();
    servers.sort_by_key(|report| report.path);
    if servers.is_empty() {
        return Err(Refusal::ServerMissing);
    }
    let text = servers.iter().copied().map(packet_text).collect::<String>() + &discards_text(discards);
    let json = servers.iter().map(|server| packet_json(server, discards)).collect();
    Ok(Shown { text, json })
}

fn text_of(name: &ObjectName, group: &RadiusGroup, reports: &[ServerReport]) -> String {
    let mut rows = vec![("Server-group-name", name.to_string())];
    for server in &group.authentication {
        let (ip, port, weight) = (server.address.ip(), server.address.port(), server.weight);
        // Nobody here asks it whether it is up.
        rows.push(("Authentication-server", format!("IP:{ip} Port:{port} Weight[{weight}] [UP]")));
        rows.push(("", format!("Vpn: {}", server.vpn.as_ref().map_or("-", InterfaceName::as_str))));
    }
    if group.authentication.is_empty() {
        rows.push(("Authentication-server", "-".to_owned()));
    }
    for server in &group.accounting {
        let state = if is_up(&group.path_of(server), reports) { "UP" } else { "DOWN" };
        let (ip, port, weight) = (server.address.ip(), server.address.port(), server.weight);
        rows.push(("Accounting-server", format!("IP:{ip} Port:{port} Weight[{weight}] [{state}]")));
        rows.push(("", format!("Vpn: {}", server.vpn.as_ref().map_or("-", InterfaceName::as_str))));
        if let Some(tls) = &server.tls {
            rows.push(("", format!("Tls: {}", tls.server_name.as_deref().unwrap_or("-"))));
        }
    }
    if group.accounting.is_empty() {
        rows.push(("Accounting-server", "-".to_owned()));
    }
    let resend = if group.stop_resend == 0 { "NO" } else { "YES" };
    rows.extend([
        ("Protocol-version", "radius".to_owned()),
        ("Shared-secret-key", if group.shared_key.is_some() { "******" } else { "-" }.to_owned()),
        ("Retransmission", group.retransmit.to_string()),
        ("Timeout-interval(s)", group.timeout_s.to_string()),
        ("Source-ports", group.source_ports.to_string()),
        ("Acct-Stop-Packet Resend", resend.to_owned()),
        ("Acct-Stop-Packet Resend-Times", group.stop_resend.to_string()),
        ("Accounting-On", on_of(group).to_owned()),
        ("Traffic-unit", unit_of(group.traffic_unit).to_owned()),
        ("ClassAsCar", "NO".to_owned()),
        ("User-name-format", group.user_name.as_str().to_owned()),
        ("Packet send algorithm", label_of(group)),
    ]);
    labelled(&rows)
}

fn on_of(group: &RadiusGroup) -> &'static str {
    match group.accounting_on {
        AccountingOn::Disabled => "NO",
        AccountingOn::Enabled => "YES",
        AccountingOn::Wait => "YES wait",
    }
}

fn label_of(group: &RadiusGroup) -> String {
    let name = match group.algorithm {
        Algorithm::MasterBackup => "Master-Backup",
        Algorithm::LoadingShare => "Loading-Share",
    };
    let word = |is_set: bool, word: &'static str| if is_set { word } else { "" };
    [name, word(group.strict, " strict"), word(group.sequence, " sequence")].concat()
}

pub(super) fn unit_of(unit: TrafficUnit) -> &'static str {
    match unit {
        TrafficUnit::Byte => "B",
        TrafficUnit::Kbyte => "KB",
        TrafficUnit::Mbyte => "MB",
        TrafficUnit::Gbyte => "GB",
    }
}

fn json_of(name: &ObjectName, group: &RadiusGroup, reports: &[ServerReport]) -> Value {
    let server = |server: &model::settings::RadiusServer| {
        json!({
            "server": server.address.to_string(),
            "vpn": server.vpn.map(|vpn| vpn.to_string()),
            "source": group.path_of(server).source.map(|source| source.to_string()),
            "weight": server.weight,
            "message_authenticator": server.message_authenticator,
            "tls": server.tls.as_ref().map(|tls| json!({ "ca": tls.ca, "server_name": tls.server_name })),
            "own_shared_key": server.shared_key.is_some(),
            "up": is_up(&group.path_of(server), reports),
        })
    };
    let disabled: Vec<_> = group.disabled_attributes.iter().map(|attribute| attribute.as_str()).collect();
    let authentication = group.authentication.iter().map(|server| {
        json!({
            "server": server.address.to_string(),
            "vpn": server.vpn.map(|vpn| vpn.to_string()),
            "source": server.source.map(|source| source.to_string()),
            "weight": server.weight,
            "own_shared_key": server.shared_key.is_some(),
        })
    });
    json!({
        "name": name.as_str(),
        "authentication": authentication.collect::<Vec<_>>(),
        "accounting": group.accounting.iter().map(server).collect::<Vec<_>>(),
        "shared_key": group.shared_key.is_some(),
        "algorithm": label_of(group).to_ascii_lowercase(),
        "retransmit": group.retransmit,
        "timeout_s": group.timeout_s,
        "source_ports": group.source_ports,
        "source": group.source.map(|interface| interface.to_string()),
        "stop_resend": group.stop_resend,
        "stop_send_force": group.send_force,
        "user_name": group.user_name.as_str().to_ascii_lowercase(),
        "disabled_attributes": disabled,
        "alarm_disabled": group.alarm_disabled,
        "traffic_unit": group.traffic_unit.as_str(),
        "accounting_on": on_of(group).to_ascii_lowercase(),
    })
}

fn is_up(path: &ServerPath, reports: &[ServerReport]) -> bool {
    reports.iter().find(|report| report.path == *path).is_none_or(|report| report.up)
}

fn packet_text(server: &ServerReport) -> String {
    let requests = server.starts + server.interims + server.stops;
    let pairs = [
        [("Account Requests", requests), ("Account Retransmissions", server.retransmissions)],
        [("Account Responses", server.responses), ("Pending Requests", server.pending)],
        [("Start Requests", server.starts), ("Realtime Requests", server.interims)],
        [("Stop Requests", server.stops), ("Timeouts", server.timeouts)],
        [("Speed Limit Block", server.speed_limit_blocks), ("Pending Limit Block", server.pending_limit_blocks)],
        [("Window", server.window), ("Identifiers Exhausted", server.identifiers_exhausted)],
        [("Probe Requests", server.probes), ("Probe Responses", server.probe_responses)],
        [("Mean Round Trip(us)", server.round_trip_ns / 1000), ("No Source IP Block", server.no_source_ip_blocks)],
    ];
    let rows = two_per_row(&pairs);
    let path = server.path;
    let state = if server.up { "UP" } else { "DOWN" };
    format!("Total radius server accounting packets of {path} [{state}]:\n{rows}")
}

fn discards_text(discards: &Discards) -> String {
    let pairs = [
        [("Bad Authenticators", discards.bad_authenticator), ("Unknown Identifiers", discards.unknown_identifier)],
        [("Wrong Addresses", discards.wrong_address), ("Unknown Types", discards.unexpected_code)],
        [("Malformed", discards.malformed), ("Truncated", discards.truncated)],
        [("Oversized", discards.oversized), ("Total Discarded", total_discarded(discards))],
    ];
    format!("Packets discarded, of all servers:\n{}", two_per_row(&pairs))
}

fn total_discarded(discards: &Discards) -> u64 {
    let Discards {
        truncated,
        oversized,
        malformed,
        unexpected_code,
        wrong_address,
        unknown_identifier,
        bad_authenticator,
    } = *discards;
    truncated + oversized + malformed + unexpected_code + wrong_address + unknown_identifier + bad_authenticator
}

fn packet_json(server: &ServerReport, discards: &Discards) -> Value {
    json!({
        "server": server.path.address.to_string(),
        "vpn": server.path.vpn.map(|vpn| vpn.to_string()),
        "source": server.path.source.map(|source| source.to_string()),
        "up": server.up,
        "pending": server.pending,
        "window": server.window,
        "starts": server.starts,
        "interims": server.interims,
        "stops": server.stops,
        "retransmissions": server.retransmissions,
        "responses": server.responses,
        "timeouts": server.timeouts,
        "identifiers_exhausted": server.identifiers_exhausted,
        "pending_limit_blocks": server.pending_limit_blocks,
        "speed_limit_blocks": server.speed_limit_blocks,
        "no_source_ip_blocks": server.no_source_ip_blocks,
        "probes": server.probes,
        "probe_responses": server.probe_responses,
        "round_trip_ns": server.round_trip_ns,
        "discards": {
            "truncated": discards.truncated,
            "oversized": discards.oversized,
            "malformed": discards.malformed,
            "unexpected_code": discards.unexpected_code,
            "wrong_address": discards.wrong_address,
            "unknown_identifier": discards.unknown_identifier,
            "bad_authenticator": discards.bad_authenticator,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::settings::{RadiusServer, RadiusTls, Secret};

    fn path(address: &str, vpn: Option<&str>) -> ServerPath {
        let vpn = vpn.and_then(InterfaceName::new);
        ServerPath { vpn, ..ServerPath::from(address.parse::<std::net::SocketAddr>().unwrap()) }
    }

    fn report(address: &str, up: bool, responses: u64, round_trip_ns: u64) -> ServerReport {
        ServerReport {
            path: path(address, None),
            up,
            pending: 1,
            window: 64,
            starts: 10,
            interims: 20,
            stops: 30,
            retransmissions: 4,
            responses,
            timeouts: 5,
            identifiers_exhausted: 6,
            refusals: 0,
            pending_limit_blocks: 7,
            speed_limit_blocks: 8,
            no_source_ip_blocks: 3,
            probes: 9,
            probe_responses: 2,
            round_trip_ns,
        }
    }

    const NONE: Discards = Discards {
        truncated: 0,
        oversized: 0,
        malformed: 0,
        unexpected_code: 0,
        wrong_address: 0,
        unknown_identifier: 0,
        bad_authenticator: 0,
    };

    fn settings() -> Settings {
        let mut settings = Settings::default();
        let group = RadiusGroup {
            accounting: ["192.0.2.1:1813", "[2001:db8::1]:1813"]
                .map(|address| RadiusServer { weight: 7, ..RadiusServer::new(address.parse().unwrap()) })
                .to_vec(),
            shared_key: Some(Secret::new(b"topsecret".to_vec(), "%^%#sealed%^%#".to_owned())),
            stop_resend: 0,
            ..RadiusGroup::default()
        };
        settings.radius_groups.insert("g1".into(), group);
        settings
    }

    #[test]
    fn a_group_shows_its_servers_and_never_its_secret() {
        let reports = [report("192.0.2.1:1813", false, 0, 0)];
        let shown = radius_server_configuration(&settings(), Some(&"G1".into()), &reports).unwrap();
        for line in [
            "  Server-group-name                     : g1\n",
            "  Accounting-server                     : IP:192.0.2.1 Port:1813 Weight[7] [DOWN]\n",
            "  Accounting-server                     : IP:2001:db8::1 Port:1813 Weight[7] [UP]\n",
            "  Shared-secret-key                     : ******\n",
            "  Retransmission                        : 3\n",
            "  Acct-Stop-Packet Resend               : NO\n",
            "  Acct-Stop-Packet Resend-Times         : 0\n",
        ] {
            assert!(shown.text.contains(line), "{line}{}", shown.text);
        }
        let all = format!("{}{}", shown.text, shown.json);
        assert!(!all.contains("topsecret") && !all.contains("sealed"));
        assert!(shown.text.contains("  Packet send algorithm                 : Master-Backup\n"), "{}", shown.text);
        let mut shared = settings();
        shared.radius_groups.get_mut(&"g1".into()).unwrap().algorithm = Algorithm::LoadingShare;
        let shown = radius_server_configuration(&shared, None, &reports).unwrap();
        assert!(shown.text.contains("  Packet send algorithm                 : Loading-Share\n"), "{}", shown.text);
        assert_eq!(shown.json[0]["algorithm"], "loading-share");
        let missing = radius_server_configuration(&settings(), Some(&"g2".into()), &reports);
        assert_eq!(missing, Err(Refusal::GroupMissing));
    }

    #[test]
    fn counters_are_summed_over_the_shards() {
        let mut sum = report("192.0.2.1:1813", false, 1, 1_000_000);
        sum.add(&report("192.0.2.1:1813", true, 3, 5_000_000));
        let reports = [report("192.0.2.1:1814", true, 9, 9_000_000), sum];
        let ip = "192.0.2.1".parse().unwrap();
        let shown = radius_server_packet(ip, None, Some(1813), &reports, &NONE).unwrap();
        let words = shown.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "[UP]",
            "Account Requests : 120",
            "Account Retransmissions : 8",
            "Account Responses : 4",
            "Timeouts : 10",
            "Probe Requests : 18 Probe Responses : 4",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
        assert!(words.contains("Mean Round Trip(us) : 4000 No Source IP Block : 6"), "{words}");
        assert_eq!(
            radius_server_packet(ip, None, None, &reports, &NONE).unwrap().json.as_array().map(Vec::len),
            Some(2)
        );
        assert_eq!(radius_server_packet(ip, None, Some(9), &reports, &NONE), Err(Refusal::ServerMissing));
    }

    #[test]
    fn a_server_over_tls_says_so() {
        let mut settings = settings();
        let servers = &mut settings.radius_groups.get_mut(&"g1".into()).unwrap().accounting;
        let tls =
            RadiusTls { ca: "/ca".to_owned(), cert: None, key: None, server_name: Some("aaa.example".to_owned()) };
        servers[0].tls = Some(tls);
        let shown = radius_server_configuration(&settings, None, &[]).unwrap();
        let words = shown.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.replace(" : ", " ").contains("Vpn: - Tls: aaa.example"), "{words}");
        assert_eq!(shown.json[0]["accounting"][0]["tls"]["ca"], "/ca");
        assert!(shown.json[0]["accounting"][1]["tls"].is_null());
    }

    #[test]
    fn row_5_7_a_server_in_a_vrf_has_counters_and_a_state_of_its_own() {
        let mut settings = settings();
        let servers = &mut settings.radius_groups.get_mut(&"g1".into()).unwrap().accounting;
        servers[1] = RadiusServer { vpn: InterfaceName::new("red"), ..servers[0].clone() };
        let plain = report("192.0.2.1:1813", true, 1, 1_000_000);
        let red = ServerReport { path: path("192.0.2.1:1813", Some("red")), up: false, ..plain };
        let shown = radius_server_configuration(&settings, None, &[plain, red]).unwrap();
        let words = shown.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in ["Port:1813 Weight[7] [UP] Vpn: -", "Port:1813 Weight[7] [DOWN] Vpn: red"] {
            assert!(words.replace(" : ", " ").contains(part), "{part} in {words}");
        }
        assert_eq!(shown.json[0]["accounting"][1]["vpn"], "red");
        let ip = "192.0.2.1".parse().unwrap();
        for (vpn, state) in [(None, "192.0.2.1:1813 [UP]"), (Some("red"), "192.0.2.1:1813 vpn-instance red [DOWN]")] {
            let vpn = vpn.and_then(InterfaceName::new);
            let shown = radius_server_packet(ip, vpn, None, &[plain, red], &NONE).unwrap();
            assert!(shown.text.contains(state), "{state} in {}", shown.text);
            assert_eq!(shown.json.as_array().map(Vec::len), Some(1));
        }
        let missing = radius_server_packet(ip, InterfaceName::new("blue"), None, &[plain, red], &NONE);
        assert_eq!(missing, Err(Refusal::ServerMissing));
    }

    #[test]
    fn what_was_discarded_is_shown_by_name() {
        let discards = Discards {
            truncated: 1,
            oversized: 2,
            malformed: 3,
            unexpected_code: 4,
            wrong_address: 5,
            unknown_identifier: 6,
            bad_authenticator: 7,
        };
        let reports = [report("192.0.2.1:1813", true, 1, 1_000_000), report("192.0.2.1:1814", true, 1, 1_000_000)];
        let shown = radius_server_packet("192.0.2.1".parse().unwrap(), None, None, &reports, &discards).unwrap();
        let words = shown.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let block = "Packets discarded, of all servers: Bad Authenticators : 7 Unknown Identifiers : 6 \
                     Wrong Addresses : 5 Unknown Types : 4 Malformed : 3 Truncated : 1 Oversized : 2 Total Discarded : 28";
        assert!(words.ends_with(block), "{words}");
        assert_eq!(shown.json[1]["discards"]["wrong_address"], 5);
    }
}
