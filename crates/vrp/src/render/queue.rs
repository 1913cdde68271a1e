//! `display radius-server accounting-stop-packet` (BEHAVIOUR.md 5.5).

use std::fmt::Write as _;

use model::report::{GroupReport, QueuedStop, ShardReport};
use model::settings::{ObjectName, Settings};
use serde_json::{Value, json};

use super::Shown;
use super::table::{labelled, timestamp, visible};
use crate::error::Refusal;

/// Stops that wait to be tried again; of `total` these are shown.
pub fn queued_stops(stops: &[QueuedStop], total: u64) -> Shown {
    let mut text = String::from("  Time Stamp           Resend Times  Session Time  Username\n");
    for stop in stops {
        let QueuedStop { closed, resend_times, session_time_s, user, .. } = stop;
        let user = visible(user);
        let _ = writeln!(text, "  {:<19}  {resend_times:<12}  {session_time_s:<12}  {user}", timestamp(*closed));
    }
    let _ = writeln!(text, "  Total: {total}, printed: {}", stops.len());
    let rows = stops.iter().map(|stop| {
        json!({
            "closed": stop.closed.as_millis() / 1000,
            "resend_times": stop.resend_times,
            "session_time_s": stop.session_time_s,
            "user": stop.user,
            "server": stop.server.map(|server| server.to_string()),
        })
    });
    Shown { text, json: json!({ "total": total, "stops": rows.collect::<Vec<_>>() }) }
}

/// What waits in each group, over all shards, and when that will have gone if it goes on as in the last five seconds.
///
/// # Errors
/// No such group.
pub fn radius_server_backlog(
    settings: &Settings,
    group: Option<&ObjectName>,
    reports: &[ShardReport],
) -> Result<Shown, Refusal> {
    if group.is_some_and(|group| !settings.radius_groups.contains_key(group)) {
        return Err(Refusal::GroupMissing);
    }
    let mut groups: Vec<GroupReport> = Vec::new();
    for report in reports.iter().flat_map(|report| &report.groups) {
        match groups.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&report.name)) {
            Some(known) => known.add(report),
            None => groups.push(report.clone()),
        }
    }
    groups.retain(|report| group.is_none_or(|group| group.as_str().eq_ignore_ascii_case(&report.name)));
    let text = groups.iter().map(backlog_text).collect::<Vec<_>>().join("\n");
    Ok(Shown { text, json: json!({ "groups": groups.iter().map(backlog_json).collect::<Vec<_>>() }) })
}

fn backlog_text(group: &GroupReport) -> String {
    let per_second = |count: u64| {
        let tenths = count * 10 / GroupReport::SECONDS;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    labelled(&[
        ("Server-group-name", group.name.clone()),
        ("Waiting-starts", group.starts.to_string()),
        ("Waiting-stops", group.stops.to_string()),
        ("Waiting-stops-again", group.parked.to_string()),
        ("Waiting-interims", group.interims.to_string()),
        ("Resting-stops", group.resting.to_string()),
        ("Waiting-copies", group.copies.to_string()),
        ("Due-per-second", per_second(group.came)),
        ("Acknowledged-per-second", per_second(group.went)),
        ("Empty-in(s)", group.empty_in_s().map_or("-".to_owned(), |seconds| seconds.to_string())),
    ])
}

fn backlog_json(group: &GroupReport) -> Value {
    json!({
        "name": group.name,
        "starts": group.starts,
        "stops": group.stops,
        "stops_again": group.parked,
        "interims": group.interims,
        "resting": group.resting,
        "copies": group.copies,
        "due_in_5s": group.came,
        "acknowledged_in_5s": group.went,
        "empty_in_s": group.empty_in_s(),
    })
}

#[cfg(test)]
mod tests {
    use model::time::Wall;

    use super::*;

    #[test]
    fn the_backlog_is_added_up_and_its_end_foretold() {
        let group = |name: &str, interims, went| GroupReport {
            name: name.to_owned(),
            interims,
            resting: 100,
            came: 500,
            went,
            ..GroupReport::default()
        };
        let report =
            |interims, went| ShardReport { groups: vec![group("g1", interims, went)], ..ShardReport::default() };
        let shown =
            radius_server_backlog(&Settings::default(), None, &[report(900, 1_500), report(1_900, 1_503)]).unwrap();
        for line in [
            "Waiting-interims                      : 2800",
            "Acknowledged-per-second               : 600.6",
            "Empty-in(s)                           : 8",
        ] {
            assert!(shown.text.contains(line), "{line}\n{}", shown.text);
        }
        assert_eq!(shown.json["groups"][0]["resting"], 200);
        let stuck = radius_server_backlog(&Settings::default(), None, &[report(900, 500)]).unwrap();
        assert!(stuck.text.contains("Empty-in(s)                           : -\n"), "{}", stuck.text);
        let missing = radius_server_backlog(&Settings::default(), Some(&"g1".into()), &[]);
        assert_eq!(missing, Err(Refusal::GroupMissing));
    }

    #[test]
    fn the_columns_and_the_trailer_are_the_vendors() {
        let stop = QueuedStop {
            template: None,
            closed: Wall::from_millis(1_767_225_600_000),
            resend_times: 2,
            session_time_s: 3_600,
            user: "alice@isp".to_owned(),
            server: Some("192.0.2.1:1813".parse().unwrap()),
        };
        let shown = queued_stops(&[stop], 7);
        let lines: Vec<&str> = shown.text.lines().collect();
        assert_eq!(lines[0], "  Time Stamp           Resend Times  Session Time  Username");
        assert!(lines[1].ends_with("  2             3600          alice@isp"), "{}", lines[1]);
        assert_eq!(lines[1].find("2  "), lines[1].rfind("2  "), "{}", lines[1]);
        assert_eq!(lines[2], "  Total: 7, printed: 1");
        assert_eq!(shown.json["stops"][0]["server"], "192.0.2.1:1813");
    }
}
