//! `display radius-server authorization configuration`, and `display radius-server packet … { coa | dm }`
//! (BEHAVIOUR.md 5.6, 5.7).

use model::report::AuthorizationReport;
use model::settings::{AuthorizationPath, AuthorizationServer, InterfaceName, RadiusAuthorization};
use serde_json::json;

use super::Shown;
use super::table::labelled;
use crate::error::Refusal;

/// The servers, and what follows a change.
pub(crate) fn configuration(settings: &RadiusAuthorization) -> Shown {
    let interim = if settings.realtime_packet_disabled { "Disable" } else { "Enable" };
    let mut text = labelled(&[("Accounting-realtime-packet", interim.to_owned())]);
    text.extend(settings.servers.iter().map(|(path, server)| server_text(path, server)));
    let servers = settings.servers.iter().map(|(path, server)| {
        json!({
            "server": path.ip,
            "vpn_instance": path.vpn.as_ref().map(InterfaceName::as_str),
            "destination": server.destination(path.ip).to_string(),
            "own_shared_key": server.shared_key.is_some(),
            "server_group": server.server_group.as_ref().map(|group| group.as_str()),
            "ack_reserved_s": server.ack_reserved_s,
        })
    });
    let servers = servers.collect::<Vec<_>>();
    Shown { text, json: json!({ "realtime_packet": !settings.realtime_packet_disabled, "servers": servers }) }
}

fn server_text(path: &AuthorizationPath, server: &AuthorizationServer) -> String {
    let or_none = |text: Option<String>| text.unwrap_or("-".to_owned());
    labelled(&[
        ("IP-Address", path.ip.to_string()),
        ("Vpn-instance", or_none(path.vpn.as_ref().map(ToString::to_string))),
        ("Destination-IP", or_none(server.destination_ip.map(|to| to.to_string()))),
        ("Destination-port", server.destination(path.ip).port().to_string()),
        ("Shared-key", if server.shared_key.is_some() { "******" } else { "-" }.to_owned()),
        ("Server-group", or_none(server.server_group.as_ref().map(ToString::to_string))),
        ("Ack-reserved-interval(s)", server.ack_reserved_s.to_string()),
    ])
}

/// What one server has asked for: to change users, or to log them out.
///
/// # Errors
/// No such server has been configured.
pub fn authorization_packet(
    server: AuthorizationPath,
    coa: bool,
    report: &AuthorizationReport,
) -> Result<Shown, Refusal> {
    let AuthorizationPath { ip, vpn } = server;
    let server = report.servers.iter().find(|row| row.server == server);
    let server = server.ok_or(Refusal::AuthorizationServerMissing)?;
    let counts = if coa { server.coa } else { server.disconnect };
    let pair = |one: u64, other: u64| format!("{one}/{other}");
    let text = labelled(&[
        ("Server", server.server.to_string()),
        ("Requests/Retransmissions", pair(counts.requests, counts.duplicates)),
        ("Acks/Naks", pair(counts.acks, counts.naks)),
        ("Bad Authenticators/Pending Requests", pair(counts.bad_authenticators, counts.pending)),
        ("Wrong Destinations/Stale Timestamps", pair(counts.wrong_destination, counts.stale)),
        ("Malformed/Unknown Servers", pair(server.malformed, report.unknown_server)),
    ]);
    let json = json!({
        "server": ip,
        "vpn_instance": vpn.as_ref().map(InterfaceName::as_str),
        "kind": if coa { "coa" } else { "dm" },
        "requests": counts.requests,
        "duplicates": counts.duplicates,
        "acks": counts.acks,
        "naks": counts.naks,
        "bad_authenticators": counts.bad_authenticators,
        "pending": counts.pending,
        "wrong_destination": counts.wrong_destination,
        "stale": counts.stale,
        "malformed": server.malformed,
        "unknown_server": report.unknown_server,
    });
    Ok(Shown { text, json })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use model::report::{AuthorizationServerReport, DynamicCounts};

    use super::*;

    #[test]
    fn each_kind_has_its_own_counters() {
        let path = |last| AuthorizationPath { ip: [192, 0, 2, last].into(), vpn: InterfaceName::new("red") };
        let server = path(7);
        let disconnect = DynamicCounts { requests: 9, duplicates: 1, acks: 5, naks: 2, ..DynamicCounts::default() };
        let coa = DynamicCounts { requests: 3, bad_authenticators: 3, ..DynamicCounts::default() };
        let row = AuthorizationServerReport { server, disconnect, coa, malformed: 4 };
        let report = AuthorizationReport { servers: vec![row], unknown_server: 6 };
        for (kind, lines) in [
            (
                false,
                [
                    "Server                                : 192.0.2.7 vpn-instance red",
                    "Acks/Naks                             : 5/2",
                ],
            ),
            (true, ["Bad Authenticators/Pending Requests   : 3/0", "Malformed/Unknown Servers             : 4/6"]),
        ] {
            let shown = authorization_packet(server, kind, &report).unwrap();
            assert!(lines.iter().all(|line| shown.text.contains(line)), "{}", shown.text);
            assert_eq!(shown.json["requests"], if kind { 3 } else { 9 });
        }
        for other in [path(8), server.ip.into()] {
            assert_eq!(authorization_packet(other, true, &report), Err(Refusal::AuthorizationServerMissing));
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let mut settings = RadiusAuthorization { realtime_packet_disabled: true, ..RadiusAuthorization::default() };
        let shared_key = Some(model::settings::Secret::new(b"hidden".to_vec(), "%^%#hidden%^%#".to_owned()));
        let server = AuthorizationServer { shared_key, ..AuthorizationServer::default() };
        settings.servers.insert(IpAddr::from([192, 0, 2, 7]).into(), server);
        let shown = configuration(&settings);
        assert!(shown.text.contains("Shared-key                            : ******\n"), "{}", shown.text);
        assert!(shown.text.contains("Accounting-realtime-packet            : Disable\n"), "{}", shown.text);
        assert!(!shown.text.contains("hidden") && !shown.json.to_string().contains("hidden"));
        assert_eq!(shown.json["servers"][0]["destination"], "0.0.0.0:3799");
    }
}
