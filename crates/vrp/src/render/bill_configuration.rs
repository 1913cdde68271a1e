//! `display local-bill configuration` (BEHAVIOUR.md 7.7). The login's password and the key's contents are not shown.

use model::settings::{BillReplay, BillServer, HostKeyPolicy, LocalAaaServer};
use serde_json::{Value, json};

use super::Shown;

/// What is in force: the vendor's settings first, then our own.
pub(super) fn local_bill_configuration(server: &LocalAaaServer) -> Shown {
    let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let bill_server = server.bill_server.as_ref();
    let login = bill_server.and_then(|bill_server| bill_server.login.as_ref());
    let (cache, cfcard) = (&server.cache, &server.cfcard);
    let user_and_port = login.map_or("- / -".to_owned(), |login| format!("{} / {}", login.user, login.port));
    let rows = [
        ("Bill-Pool", if server.pool_enabled { "Enable" } else { "Disable" }.to_owned()),
        ("Bill-Server", optional(bill_server.map(|bill_server| bill_server.address.to_string()))),
        ("Bill-Server-Filename", optional(bill_server.map(|bill_server| bill_server.file_name.clone()))),
        ("Bill-Server-User / Port", user_and_port),
        ("Cache-Backup-Mode", cache.backup_mode.as_str().to_owned()),
        ("Cache-Backup-Interval(min)", cache.backup_interval_min.to_string()),
        ("Cache-Alarm-Threshold", format!("{}%", cache.alarm_threshold)),
        ("Cfcard-Backup-Mode", cfcard.backup_mode.as_str().to_owned()),
        ("Cfcard-Backup-Interval(min)", cfcard.backup_interval_min.to_string()),
        ("Cfcard-Alarm-Threshold", format!("{}%", cfcard.alarm_threshold)),
        ("Bill-Server-Tftp-Port", server.tftp_port.to_string()),
        ("Bill-Server-Host-Key", host_key(&server.host_key).to_owned()),
        ("Bill-Server-Key-File", optional(server.key_file.clone())),
        ("Cache-Capacity", cache.capacity.to_string()),
        ("Cfcard-Capacity", cfcard.capacity.to_string()),
        ("Cache-Replay", replay(server.replay).to_owned()),
        ("Bill-Format", server.format.as_str().to_owned()),
        ("Bill-File-Size", server.file_size.to_string()),
    ];
    // The longest label of the pool's is as wide as this; the card's is one wider and moves its colon.
    let text = rows.iter().map(|(label, value)| format!("{label:<26}: {value}\n")).collect();
    Shown { text, json: json_of(server) }
}

fn json_of(server: &LocalAaaServer) -> Value {
    let (cache, cfcard) = (&server.cache, &server.cfcard);
    json!({
        "pool": server.pool_enabled,
        "server": server.bill_server.as_ref().map(server_json),
        "tftp_port": server.tftp_port,
        "host_key": host_key(&server.host_key),
        "key_file": server.key_file,
        "cache": {
            "backup_mode": cache.backup_mode.as_str(),
            "backup_interval_min": cache.backup_interval_min,
            "alarm_threshold_percent": cache.alarm_threshold,
            "capacity": cache.capacity,
            "replay": replay(server.replay),
        },
        "cfcard": {
            "backup_mode": cfcard.backup_mode.as_str(),
            "backup_interval_min": cfcard.backup_interval_min,
            "alarm_threshold_percent": cfcard.alarm_threshold,
            "capacity": cfcard.capacity,
        },
        "format": server.format.as_str(),
        "file_size": server.file_size,
    })
}

fn server_json(server: &BillServer) -> Value {
    let login = server.login.as_ref();
    json!({
        "address": server.address.to_string(),
        "filename": server.file_name,
        "user": login.map(|login| &login.user),
        "port": login.map(|login| login.port),
    })
}

/// As in the command; `refuse` is what holds without it.
fn host_key(policy: &HostKeyPolicy) -> &str {
    match policy {
        HostKeyPolicy::Refuse => "refuse",
        HostKeyPolicy::Pinned(fingerprint) => fingerprint,
        HostKeyPolicy::AcceptFirst => "accept-first",
    }
}

/// As in the command.
fn replay(replay: BillReplay) -> &'static str {
    match replay {
        BillReplay::Disabled => "disable",
        BillReplay::Enabled => "enable",
        BillReplay::EnabledStartFailed => "enable start-failed",
    }
}

#[cfg(test)]
mod tests {
    use model::settings::{BillFormat, BillServerLogin, CacheBackupMode, Secret};

    use super::*;

    fn configured() -> LocalAaaServer {
        let password = Secret::new(b"topsecret".to_vec(), "%^%#sealed%^%#".to_owned());
        let login = Some(BillServerLogin { user: "u1".to_owned(), password, port: 22 });
        LocalAaaServer {
            pool_enabled: true,
            bill_server: Some(BillServer {
                address: "192.0.2.9".parse().unwrap(),
                file_name: "bills".to_owned(),
                login,
            }),
            ..LocalAaaServer::default()
        }
    }

    const REST: &str = "\
Cache-Backup-Mode         : cfcard
Cache-Backup-Interval(min): 1440
Cache-Alarm-Threshold     : 75%
Cfcard-Backup-Mode        : sftp
Cfcard-Backup-Interval(min): 1440
Cfcard-Alarm-Threshold    : 75%
Bill-Server-Tftp-Port     : 69
Bill-Server-Host-Key      : refuse
Bill-Server-Key-File      : -
Cache-Capacity            : 49152
Cfcard-Capacity           : 235410
Cache-Replay              : disable
Bill-Format               : detail
Bill-File-Size            : 1000
";

    #[test]
    fn it_is_aligned_as_proposed() {
        let with_server = "\
Bill-Pool                 : Enable
Bill-Server               : 192.0.2.9
Bill-Server-Filename      : bills
Bill-Server-User / Port   : u1 / 22
";
        let without = "\
Bill-Pool                 : Disable
Bill-Server               : -
Bill-Server-Filename      : -
Bill-Server-User / Port   : - / -
";
        for (server, first) in [(configured(), with_server), (LocalAaaServer::default(), without)] {
            assert_eq!(local_bill_configuration(&server).text, format!("{first}{REST}"));
        }
    }

    #[test]
    fn the_password_is_in_neither_dress() {
        let shown = local_bill_configuration(&configured());
        let all = format!("{}{}", shown.text, shown.json);
        assert!(!all.contains("topsecret") && !all.contains("sealed"), "{all}");
        assert_eq!(shown.json["server"]["user"], "u1");
        assert_eq!(shown.json["cache"]["backup_mode"], "cfcard");
    }

    #[test]
    fn words_are_those_of_the_commands() {
        let mut server = configured();
        server.cache.backup_mode = CacheBackupMode::Tftp;
        server.host_key = HostKeyPolicy::AcceptFirst;
        server.replay = BillReplay::EnabledStartFailed;
        server.format = BillFormat::Json;
        let shown = local_bill_configuration(&server);
        for line in [
            "Cache-Backup-Mode         : tftp\n",
            "Bill-Server-Host-Key      : accept-first\n",
            "Cache-Replay              : enable start-failed\n",
            "Bill-Format               : json\n",
        ] {
            assert!(shown.text.contains(line), "{line}{}", shown.text);
        }
        assert_eq!(shown.json["cache"]["replay"], "enable start-failed");
    }
}
