//! `display accounting health`, `display accounting phase` and `display accounting lateness`: how accounting is, on one screen.

use std::fmt::Write as _;
use std::time::Duration;

use model::report::{
    AccountingState, GroupReport, Lateness, LocalBillInformation, ServerReport, ShardReport, SurveyReport,
};
use model::time::Wall;
use serde_json::json;

use super::Shown;
use super::table::{elapse, labelled, seconds, timestamp};

/// Columns of the longest bar.
const BAR: usize = 50;

/// Everything that the screen shows.
pub struct Health<'a> {
    /// The present.
    pub now: Wall,
    /// What every shard counted.
    pub reports: &'a [ShardReport],
    /// The servers, each summed over the shards.
    pub servers: &'a [ServerReport],
    /// What a walk over the sessions has found.
    pub survey: &'a SurveyReport,
    /// The stores of bills and the ledger's disk.
    pub bills: &'a LocalBillInformation,
}

/// Servers, windows, backlog and its end, Stops, bills, disk.
pub fn accounting_health(health: &Health<'_>) -> Shown {
    let Health { now, reports, servers, survey, bills } = *health;
    let mut text =
        String::from("  Server                                    State Pending  Window  RTT(ms)    Timeouts\n");
    for server in servers {
        let ServerReport { path, pending, window, round_trip_ns, timeouts, .. } = server;
        let state = if server.up { "UP" } else { "DOWN" };
        let round_trip = format!("{}.{:02}", round_trip_ns / 1_000_000, round_trip_ns / 10_000 % 100);
        let path = path.to_string();
        let _ = writeln!(text, "  {path:<41} {state:<5} {pending:>7} {window:>7} {round_trip:>8} {timeouts:>11}");
    }
    let mut backlog = GroupReport::default();
    reports.iter().flat_map(|report| &report.groups).for_each(|group| backlog.add(group));
    let sum = |count: fn(&ShardReport) -> u64| reports.iter().map(count).sum::<u64>();
    let of = |state| survey.count(state);
    let online = of(AccountingState::Accounting) + of(AccountingState::StartFailed) + of(AccountingState::NotAccounted);
    let starting = of(AccountingState::Opening) + of(AccountingState::Starting);
    let stopping = of(AccountingState::Stopping) + of(AccountingState::Parked);
    let oldest_s = survey.oldest_stop.map(|at| now.as_millis().saturating_sub(at.as_millis()) / 1000);
    let per_second = |count: u64| format!("{:.1}", count as f64 / GroupReport::SECONDS as f64);
    let store = |bills: u64, capacity: u64| format!("{bills} of {capacity}");
    text += &labelled(&[
        ("Sessions online", format!("{online} ({} without accounting)", online - of(AccountingState::Accounting))),
        ("Sessions starting / stopping", format!("{starting} / {stopping}")),
        ("Session slots", store(sum(|report| report.sessions), sum(|report| report.session_capacity))),
        ("Backlog", backlog.backlog().to_string()),
        ("Due / acknowledged per second", format!("{} / {}", per_second(backlog.came), per_second(backlog.went))),
        ("Backlog empty in(s)", backlog.empty_in_s().map_or("-".to_owned(), |seconds| seconds.to_string())),
        ("Stops not acknowledged", sum(|report| report.stops_unacknowledged).to_string()),
        (
            "Oldest of them",
            survey
                .oldest_stop
                .zip(oldest_s)
                .map_or("-".to_owned(), |(at, age)| format!("{} ({})", timestamp(at), elapse(age))),
        ),
        ("Octets of Stops that nobody has yet", survey.octets_owed.to_string()),
        ("Octets that no bill accounts for", bills.octets_unaccounted.to_string()),
        ("Bills in the pool", store(bills.cache.bills, bills.cache.capacity)),
        ("Bills on the CF card", store(bills.cfcard.bills, bills.cfcard.capacity)),
        ("Unbilled Stops", bills.unbilled.to_string()),
        ("Ledger", if bills.disk.is_failing { "disk fails, records wait in memory" } else { "OK" }.to_owned()),
        ("Ledger segments", format!("{} ({} MiB)", bills.disk.segments, bills.disk.octets >> 20)),
        ("Users refused / cut", format!("{} / {}", sum(|report| report.refused), sum(|report| report.cut))),
    ]);
    let json = json!({
        "servers": servers.iter().map(|server| json!({
            "server": server.path.to_string(),
            "up": server.up,
            "pending": server.pending,
            "window": server.window,
            "round_trip_ns": server.round_trip_ns,
            "timeouts": server.timeouts,
        })).collect::<Vec<_>>(),
        "online": online,
        "starting": starting,
        "stopping": stopping,
        "sessions": sum(|report| report.sessions),
        "session_capacity": sum(|report| report.session_capacity),
        "backlog": backlog.backlog(),
        "due_in_5s": backlog.came,
        "acknowledged_in_5s": backlog.went,
        "empty_in_s": backlog.empty_in_s(),
        "stops_unacknowledged": sum(|report| report.stops_unacknowledged),
        "oldest_stop": survey.oldest_stop.map(seconds),
        "octets_owed": survey.octets_owed,
        "octets_unaccounted": bills.octets_unaccounted,
        "bills_cache": bills.cache.bills,
        "bills_cfcard": bills.cfcard.bills,
        "unbilled": bills.unbilled,
        "ledger_failing": bills.disk.is_failing,
        "ledger_segments": bills.disk.segments,
        "ledger_octets": bills.disk.octets,
        "refused": sum(|report| report.refused),
        "cut": sum(|report| report.cut),
    });
    Shown { text, json }
}

/// When interims are due, as parts of their sessions' intervals: with `hash` every part has as many.
pub fn accounting_phase(survey: &SurveyReport) -> Shown {
    let most = survey.phases.iter().copied().max().unwrap_or(0);
    let total: u64 = survey.phases.iter().sum();
    let mut text = format!("  {total} sessions with interims; each row is 1/{} of an interval\n", SurveyReport::PHASES);
    for (part, &count) in survey.phases.iter().enumerate() {
        let length = usize::try_from(count.saturating_mul(BAR as u64).div_ceil(most.max(1))).unwrap_or(BAR);
        let _ = writeln!(text, "{}", format!("  {part:>2} {count:>9} {}", "#".repeat(length)).trim_end());
    }
    Shown { text, json: json!({ "sessions": total, "phases": survey.phases.to_vec() }) }
}

/// How long after the moment of their schedule interims have left. The timers have ticks of this length, and none fires early.
pub fn accounting_lateness(lateness: &Lateness, tick: Duration) -> Shown {
    let parts = [500, 900, 990, 999, 1000].map(|of_thousand| lateness.at_most_ms(of_thousand));
    let ms = |part: Option<u64>| part.map_or("-".to_owned(), |ms| ms.to_string());
    let [p50, p90, p99, p999, most] = parts.map(ms);
    let text = labelled(&[
        ("Interims since the start", lateness.count().to_string()),
        ("Tick of the timers(ms)", tick.as_millis().to_string()),
        ("50% late by at most(ms)", p50),
        ("90% late by at most(ms)", p90),
        ("99% late by at most(ms)", p99),
        ("99.9% late by at most(ms)", p999),
        ("All late by at most(ms)", most),
    ]);
    let buckets = lateness.buckets().map(|(end, count)| json!({ "late_ms": end, "interims": count }));
    let [p50, p90, p99, p999, most] = parts;
    let json = json!({
        "interims": lateness.count(),
        "tick_ms": u64::try_from(tick.as_millis()).unwrap_or(u64::MAX),
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "p999_ms": p999,
        "most_ms": most,
        "buckets": buckets.collect::<Vec<_>>(),
    });
    Shown { text, json }
}

#[cfg(test)]
mod tests {
    use model::settings::ServerPath;

    use super::*;

    fn survey() -> SurveyReport {
        let mut survey = SurveyReport::EMPTY;
        survey.states[AccountingState::Accounting as usize] = 90;
        survey.states[AccountingState::NotAccounted as usize] = 10;
        survey.states[AccountingState::Parked as usize] = 3;
        survey.oldest_stop = Some(Wall::from_millis(1_795_000_000_000));
        survey.octets_owed = 77;
        survey
    }

    #[test]
    fn health_is_on_one_screen() {
        let address: std::net::SocketAddr = "192.0.2.1:1813".parse().unwrap();
        let server = ServerReport {
            pending: 12,
            window: 512,
            timeouts: 4,
            round_trip_ns: 1_234_567,
            ..ServerReport::new(ServerPath::from(address))
        };
        let health = Health {
            now: Wall::from_millis(1_795_000_061_000),
            reports: &[ShardReport { stops_unacknowledged: 3, ..ShardReport::default() }],
            servers: &[server],
            survey: &survey(),
            bills: &LocalBillInformation::default(),
        };
        let shown = accounting_health(&health);
        assert!(shown.text.lines().count() <= 23, "{}", shown.text);
        for part in
            ["192.0.2.1:1813 ", " UP         12     512     1.23           4\n", ": 100 (10 without accounting)\n"]
        {
            assert!(shown.text.contains(part), "{part}\n{}", shown.text);
        }
        assert!(shown.text.contains(": 2026/11/18 11:06:40 (0:01:01)\n"), "{}", shown.text);
        assert_eq!((&shown.json["octets_owed"], &shown.json["stopping"]), (&json!(77), &json!(3)));
    }

    #[test]
    fn phases_are_bars() {
        let mut survey = survey();
        (survey.phases[0], survey.phases[59]) = (100, 1);
        let shown = accounting_phase(&survey);
        let lines: Vec<&str> = shown.text.lines().collect();
        assert_eq!(lines.len(), 61);
        assert_eq!(lines[1], format!("   0       100 {}", "#".repeat(50)));
        assert_eq!((lines[2], lines[60]), ("   1         0", "  59         1 #"));
    }

    #[test]
    fn lateness_is_told_in_parts() {
        let mut lateness = Lateness::default();
        (1..=1000).for_each(|ms| lateness.add(Duration::from_millis(1 + ms % 16)));
        let shown = accounting_lateness(&lateness, Duration::from_millis(16));
        assert!(shown.text.contains("99.9% late by at most(ms)") && shown.text.contains(": 16\n"), "{}", shown.text);
        assert_eq!(
            (&shown.json["tick_ms"], &shown.json["p50_ms"], &shown.json["most_ms"]),
            (&json!(16), &json!(8), &json!(16))
        );
        assert_eq!(shown.json["buckets"].as_array().map(Vec::len), Some(16));
        let none = accounting_lateness(&Lateness::default(), Duration::from_millis(16));
        assert_eq!((&none.json["p999_ms"], &none.json["buckets"]), (&json!(null), &json!([])));
    }
}
