//! `display radius-server accounting-stop-packet` (BEHAVIOUR.md 5.5).

use std::fmt::Write as _;

use model::report::QueuedStop;
use serde_json::json;

use super::Shown;
use super::table::timestamp;

/// Stops that wait to be tried again; of `total` these are shown.
pub fn queued_stops(stops: &[QueuedStop], total: u64) -> Shown {
    let mut text = String::from("  Time Stamp           Resend Times  Session Time  Username\n");
    for stop in stops {
        let QueuedStop { closed, resend_times, session_time_s, user, .. } = stop;
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

#[cfg(test)]
mod tests {
    use model::time::Wall;

    use super::*;

    #[test]
    fn the_columns_and_the_trailer_are_the_vendors() {
        let stop = QueuedStop {
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
