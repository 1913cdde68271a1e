//! `display relay` (INTERFACES.md section 5).

use model::report::{RelayClientReport, RelayReport};
use model::settings::Relay;
use serde_json::json;

use super::Shown;
use super::table::labelled;

/// What was counted, of the whole and of each client.
pub fn relay(settings: &Relay, report: &RelayReport) -> Shown {
    let listen = settings.listen.map(|at| at.to_string());
    let mut text = labelled(&[
        ("Listening on", listen.clone().unwrap_or_else(|| "-".to_owned())),
        ("Unknown Clients", report.unknown_client.to_string()),
        ("Dropped by the System/Other Worker", pair(report.overflow, report.crowded)),
    ]);
    text.extend(report.clients.iter().map(client_text));
    let clients = report.clients.iter().map(client_json).collect::<Vec<_>>();
    let json = json!({
        "listen": listen,
        "unknown_client": report.unknown_client,
        "overflow": report.overflow,
        "crowded": report.crowded,
        "clients": clients,
    });
    Shown { text, json }
}

fn pair(one: u64, other: u64) -> String {
    format!("{one}/{other}")
}

fn client_text(row: &RelayClientReport) -> String {
    let counts = &row.counts;
    let disconnects = &counts.disconnects;
    let lines = labelled(&[
        ("Client", row.client.to_string()),
        ("Sessions", counts.sessions.to_string()),
        ("Starts/Interims/Stops", format!("{}/{}", pair(counts.starts, counts.interims), counts.stops)),
        ("Accounting-On/Accounting-Off", pair(counts.ons, counts.offs)),
        ("Status-Server", counts.status_servers.to_string()),
        ("Responses/Waiting Requests", pair(counts.responses, counts.waiting)),
        ("Duplicates/Stale Requests", pair(counts.duplicates, counts.stale)),
        ("Sessions Joined/Ended by Silence", pair(counts.joined, counts.silent)),
        ("Bad Authenticators/Malformed", pair(counts.bad_authenticators, counts.malformed)),
        ("Without Domain/Without Room", pair(counts.no_domain, counts.no_room)),
        ("Disconnects/Retransmissions", pair(disconnects.requests, disconnects.retransmissions)),
        ("Disconnect Acks/Naks", pair(disconnects.acks, disconnects.naks)),
        ("Disconnect Timeouts/Unsent", pair(disconnects.timeouts, disconnects.unsent)),
        ("Disconnect Bad Replies/Pending", pair(disconnects.bad_replies, disconnects.pending)),
    ]);
    format!("\n{lines}")
}

fn client_json(row: &RelayClientReport) -> serde_json::Value {
    let counts = &row.counts;
    let disconnects = &counts.disconnects;
    json!({
        "client": row.client,
        "sessions": counts.sessions,
        "starts": counts.starts,
        "interims": counts.interims,
        "stops": counts.stops,
        "accounting_on": counts.ons,
        "accounting_off": counts.offs,
        "status_servers": counts.status_servers,
        "responses": counts.responses,
        "waiting": counts.waiting,
        "duplicates": counts.duplicates,
        "stale": counts.stale,
        "joined": counts.joined,
        "silent": counts.silent,
        "bad_authenticators": counts.bad_authenticators,
        "malformed": counts.malformed,
        "no_domain": counts.no_domain,
        "no_room": counts.no_room,
        "disconnects": {
            "requests": disconnects.requests,
            "retransmissions": disconnects.retransmissions,
            "acks": disconnects.acks,
            "naks": disconnects.naks,
            "timeouts": disconnects.timeouts,
            "unsent": disconnects.unsent,
            "bad_replies": disconnects.bad_replies,
            "pending": disconnects.pending,
        },
    })
}

#[cfg(test)]
mod tests {
    use model::report::RelayCounts;

    use super::*;

    #[test]
    fn every_client_has_its_rows() {
        let settings = Relay { listen: Some(([127, 0, 0, 1], 1813).into()), ..Relay::default() };
        let counts = RelayCounts { starts: 3, interims: 20, stops: 1, waiting: 2, ..RelayCounts::default() };
        let row = |last| RelayClientReport { client: [192, 0, 2, last].into(), counts };
        let mut report = RelayReport { clients: vec![row(1), row(2)], unknown_client: 7, ..RelayReport::default() };
        report.add(&RelayReport { clients: vec![row(2)], overflow: 5, ..RelayReport::default() });
        let shown = relay(&settings, &report);
        for line in [
            "Listening on                          : 127.0.0.1:1813",
            "Dropped by the System/Other Worker    : 5/0",
            "Client                                : 192.0.2.2",
            "Starts/Interims/Stops                 : 6/40/2",
            "Responses/Waiting Requests            : 0/4",
        ] {
            assert!(shown.text.contains(line), "{line}\n{}", shown.text);
        }
        assert_eq!(shown.json["clients"][1]["interims"], 40);
    }
}
