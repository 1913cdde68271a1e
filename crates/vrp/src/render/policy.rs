//! `display accounting policy`: whom the failure policies refused or logged out, and whom they would have.

use model::report::ShardReport;
use model::settings::CutBrake;
use serde_json::json;

use super::Shown;
use super::table::labelled;

/// The brake that is in force, and what every shard counted since the engine started.
pub fn accounting_policy(brake: Option<CutBrake>, reports: &[ShardReport]) -> Shown {
    let sum = |count: fn(&ShardReport) -> u64| reports.iter().map(count).sum::<u64>();
    let holds = reports.iter().any(|report| report.brake_holds);
    let rows = [
        ("Refused-users", "refused", sum(|report| report.refused)),
        ("Cut-users", "cut", sum(|report| report.cut)),
        ("Cut-users-without-answer", "cuts_unanswered", sum(|report| report.cuts_unanswered)),
        ("Shadow-refused-users", "would_refuse", sum(|report| report.would_refuse)),
        ("Shadow-cut-users", "would_cut", sum(|report| report.would_cut)),
        ("Brake-held-cuts", "cuts_held", sum(|report| report.cuts_held)),
        ("Counter-regressions", "counter_regressions", sum(|report| report.counter_regressions)),
    ];
    let rule = brake.map_or("-".to_owned(), |brake| format!("{}% in {} s", brake.percent, brake.seconds));
    let mut text = vec![("Brake", rule), ("Brake-state", if holds { "Holding" } else { "Released" }.to_owned())];
    text.extend(rows.map(|(label, _, count)| (label, count.to_string())));
    let mut json = json!({
        "brake_percent": brake.map(|brake| brake.percent),
        "brake_s": brake.map(|brake| brake.seconds),
        "brake_holds": holds,
    });
    for (_, name, count) in rows {
        json[name] = json!(count);
    }
    Shown { text: labelled(&text), json }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_are_added_up() {
        let shard = |cut, brake_holds| ShardReport { cut, brake_holds, cuts_held: 7, ..ShardReport::default() };
        let brake = Some(CutBrake { percent: 10, seconds: 60 });
        let shown = accounting_policy(brake, &[shard(2, false), shard(3, true)]);
        assert!(shown.text.contains("  Brake                                 : 10% in 60 s\n"), "{}", shown.text);
        assert!(shown.text.contains("  Brake-state                           : Holding\n"), "{}", shown.text);
        assert!(shown.text.contains("  Cut-users                             : 5\n"), "{}", shown.text);
        assert_eq!((&shown.json["cuts_held"], &shown.json["brake_percent"]), (&json!(14), &json!(10)));
        let none = accounting_policy(None, &[]);
        assert!(none.text.contains("  Brake                                 : -\n"), "{}", none.text);
    }
}
