//! `display accounting-scheme` (BEHAVIOUR.md 3.6).

use model::settings::{AccountingMode, AccountingScheme, InterimFailPolicy, ObjectName, Settings, StartFail};
use serde_json::{Value, json};

use super::Shown;
use super::table::{columns, labelled, total};

/// One scheme.
pub(super) fn detail(name: &ObjectName, scheme: &AccountingScheme) -> Shown {
    let pinned = scheme.pinned(name.as_str());
    let interval = if pinned.interim_s == 0 { "-".to_owned() } else { pinned.interim_s.to_string() };
    let no_send = if pinned.no_send_remain_s == 0 { "-".to_owned() } else { pinned.no_send_remain_s.to_string() };
    let text = labelled(&[
        ("Accounting-scheme-name", name.to_string()),
        ("Accounting-method", method(pinned.mode).to_owned()),
        ("Realtime-accounting-switch", if pinned.interim_s == 0 { "Close" } else { "Open" }.to_owned()),
        ("Realtime-accounting-interval(sec)", interval),
        ("Start-accounting-fail-policy", start_fail(pinned.start_fail).to_owned()),
        ("Realtime-accounting-fail-policy", interim_fail(pinned.interim_fail.policy).to_owned()),
        ("Realtime-accounting-send-update", yes(pinned.send_update)),
        ("Realtime-accounting-traffic-update", yes(pinned.interim_traffic)),
        ("Realtime-accounting-failure-retries", pinned.interim_fail.max_times.to_string()),
        ("Realtime-accounting-hash", yes(pinned.interim_hash)),
        // Ours: the vendor has no such rows.
        ("Realtime-accounting-no-send(sec)", no_send),
        ("Accounting-policy", if pinned.shadow { "Shadow" } else { "Enforce" }.to_owned()),
    ]);
    let json = json!({
        "name": name.as_str(),
        "method": method_word(pinned.mode),
        "realtime": pinned.interim_s != 0,
        "interval_s": if pinned.interim_s == 0 { Value::Null } else { json!(pinned.interim_s) },
        "start_fail": match pinned.start_fail {
            StartFail::Online => "online",
            StartFail::OnlineKeepAccounting => "online keep-accounting",
            StartFail::Offline => "offline",
        },
        "interim_fail": match pinned.interim_fail.policy {
            InterimFailPolicy::Online => "online",
            InterimFailPolicy::Offline => "offline",
        },
        "interim_fail_max_times": pinned.interim_fail.max_times,
        "send_update": pinned.send_update,
        "traffic": pinned.interim_traffic,
        "hash": pinned.interim_hash,
        "no_send_remain_s": pinned.no_send_remain_s,
        "policy": if pinned.shadow { "shadow" } else { "enforce" },
    });
    Shown { text, json }
}

/// All schemes.
pub(super) fn list(settings: &Settings) -> Shown {
    let modes = || settings.schemes.iter().map(|(name, scheme)| (name.as_str(), scheme.mode_or_default(name.as_str())));
    let rows: Vec<_> = modes().map(|(name, mode)| [name.to_owned(), method(mode).to_owned()]).collect();
    let text = columns(["Accounting-scheme-name", "Accounting-method"], &rows, &total(rows.len(), rows.len()));
    let json = modes().map(|(name, mode)| json!({ "name": name, "method": method_word(mode) })).collect();
    Shown { text, json }
}

fn yes(is_so: bool) -> String {
    if is_so { "Yes" } else { "No" }.to_owned()
}

fn method(mode: AccountingMode) -> &'static str {
    match mode {
        AccountingMode::None => "No accounting",
        AccountingMode::Radius => "RADIUS accounting",
        AccountingMode::Hwtacacs => "HWTACACS accounting",
    }
}

fn method_word(mode: AccountingMode) -> &'static str {
    match mode {
        AccountingMode::None => "none",
        AccountingMode::Radius => "radius",
        AccountingMode::Hwtacacs => "hwtacacs",
    }
}

fn start_fail(policy: StartFail) -> &'static str {
    match policy {
        StartFail::Online => "Online",
        StartFail::OnlineKeepAccounting => "Online(keep-accounting)",
        StartFail::Offline => "Cut user",
    }
}

fn interim_fail(policy: InterimFailPolicy) -> &'static str {
    match policy {
        InterimFailPolicy::Online => "Online",
        InterimFailPolicy::Offline => "Cut user",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::settings::{Interim, InterimFail, InterimSpelling, IntervalUnit};

    #[test]
    fn the_detail_is_laid_out_as_the_sample() {
        let scheme = AccountingScheme {
            interim: Some(Interim {
                value: 100,
                unit: IntervalUnit::Minute,
                hash: true,
                traffic: true,
                spelling: InterimSpelling::Interval,
            }),
            interim_fail: InterimFail { max_times: 5, policy: InterimFailPolicy::Offline },
            ..AccountingScheme::default()
        };
        let shown = detail(&ObjectName::from("huawei"), &scheme);
        let expected = "\
---------------------------------------------------------------------------
  Accounting-scheme-name                : huawei
  Accounting-method                     : RADIUS accounting
  Realtime-accounting-switch            : Open
  Realtime-accounting-interval(sec)     : 6000
  Start-accounting-fail-policy          : Online
  Realtime-accounting-fail-policy       : Cut user
  Realtime-accounting-send-update       : No
  Realtime-accounting-traffic-update    : Yes
  Realtime-accounting-failure-retries   : 5
  Realtime-accounting-hash              : Yes
  Realtime-accounting-no-send(sec)      : -
  Accounting-policy                     : Enforce
---------------------------------------------------------------------------
";
        assert_eq!(shown.text, expected);
        assert!(shown.text.lines().filter(|line| line.starts_with(' ')).all(|line| line.find(':') == Some(40)));
        assert_eq!(shown.json["interval_s"], 6000);
    }

    #[test]
    fn without_real_time_accounting_the_interval_is_a_dash() {
        let shown = detail(&ObjectName::from("default0"), &AccountingScheme::default());
        assert!(shown.text.contains("Accounting-method                     : No accounting\n"));
        assert!(shown.text.contains("Realtime-accounting-switch            : Close\n"));
        assert!(shown.text.contains("Realtime-accounting-interval(sec)     : -\n"));
        assert_eq!(shown.json["interval_s"], Value::Null);
    }

    #[test]
    fn the_list_has_the_built_in_schemes_and_a_total() {
        let shown = list(&Settings::default());
        assert!(shown.text.contains("  default1                RADIUS accounting\n"), "{}", shown.text);
        assert!(shown.text.ends_with("  Total 3,3 printed\n"), "{}", shown.text);
        assert_eq!(shown.json[0], json!({ "name": "default", "method": "none" }));
    }
}
