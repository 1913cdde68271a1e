//! The last words: the account in figures, and the verdict.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::account::{Account, Differences, Sum};
use super::schedule::Schedule;
use super::view::{grouped, round_trip};
use super::watch::Figures;

/// What everybody waits for.
const VERDICT: &str = "every octet is accounted for";

/// Prints the account; `took`: the whole command.
pub(super) fn print(account: &Account, figures: &Figures, schedule: &Schedule, took: Duration) {
    let mut out = std::io::stdout().lock();
    let text = text(account, figures, schedule, took, out.is_terminal());
    // Who does not listen any more still gets the exit status.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn text(account: &Account, figures: &Figures, schedule: &Schedule, took: Duration, colours: bool) -> String {
    let mut text = String::from("\n");
    let mut row = |name: &str, count: u64, remark: &str| {
        let remark = if remark.is_empty() { String::new() } else { format!("   {remark}") };
        let _ = writeln!(text, "  {name:<22} {:>11}{remark}", grouped(count));
    };
    let again = u64::from(schedule.lives() - schedule.subscribers());
    row("Sessions", account.counted.sessions, &format!("{} subscribers came twice", grouped(again)));
    row("Starts heard", account.starts, "");
    row("Interims heard", account.interims, &format!("of {} sessions", grouped(account.with_interims)));
    row("Stops acknowledged", account.stops.sessions.saturating_sub(account.both.sessions), "");
    row("Bills", account.bills.sessions, "");
    row("  sent, not answered", account.delivery_unknown, "");
    row("  heard nevertheless", account.both.sessions, "");

    let _ = writeln!(text, "\n  {:<22} {:>11} {:>22} {:>22}", "", "sessions", "octets in", "octets out");
    let told = account.told();
    for (name, sum) in [
        ("Stops at the server", account.stops),
        ("+ bills", account.bills),
        ("- in both", account.both),
        ("= told", told),
        ("Counted by the plane", account.counted),
    ] {
        let Sum { sessions, in_octets, out_octets } = sum;
        let (sessions, in_octets, out_octets) = (grouped(sessions), grouped(in_octets), grouped(out_octets));
        let _ = writeln!(text, "  {name:<22} {sessions:>11} {in_octets:>22} {out_octets:>22}");
    }

    let mean = u128::from(figures.requests) * 1000 / figures.took.as_millis().max(1);
    let _ = writeln!(text, "\n  {} sessions moved more than 2^33 octets in one direction.", grouped(account.large));
    let _ = writeln!(
        text,
        "  {} requests in {} s: {} a second, {} at best.",
        grouped(figures.requests),
        seconds(figures.took),
        grouped(u64::try_from(mean).unwrap_or(u64::MAX)),
        grouped(figures.best_rate),
    );
    let _ = writeln!(
        text,
        "  Mean round trip {}. The whole demo took {} s.\n",
        round_trip(figures.round_trip_ns),
        seconds(took)
    );
    verdict(&mut text, account, colours);
    text
}

fn verdict(text: &mut String, account: &Account, colours: bool) {
    let (green, red, plain) = if colours { ("\x1b[1;32m", "\x1b[1;31m", "\x1b[0m") } else { ("", "", "") };
    if account.is_balanced() {
        let _ = writeln!(text, "  {green}{VERDICT}{plain}");
        return;
    }
    let _ = writeln!(text, "  {red}the account does not balance{plain}");
    let Differences { refused, untold, wrong_stops, wrong_bills, told_twice, strangers } = account.differences;
    for (count, what) in [
        (refused, "sessions were not let in"),
        (untold, "sessions have neither a Stop nor a bill"),
        (wrong_stops, "Stops differ from what the plane counted"),
        (wrong_bills, "bills differ from what the plane counted"),
        (told_twice, "sessions were told twice"),
        (strangers, "Stops or bills are of sessions that the plane does not know"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "  {} {what}", grouped(count));
        }
    }
    let told = account.told();
    for (direction, told, counted) in
        [("in", told.in_octets, account.counted.in_octets), ("out", told.out_octets, account.counted.out_octets)]
    {
        match told.cmp(&counted) {
            std::cmp::Ordering::Less => {
                let _ = writeln!(text, "  {} octets {direction} are missing", grouped(counted - told));
            }
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => {
                let _ = writeln!(text, "  {} octets {direction} are told too many", grouped(told - counted));
            }
        }
    }
}

/// `12.3`
fn seconds(took: Duration) -> String {
    format!("{}.{}", took.as_secs(), took.subsec_millis() / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(account: &Account) -> String {
        text(account, &Figures::default(), &Schedule::new(10, 10), Duration::ZERO, false)
    }

    #[test]
    fn the_verdict_is_said_only_when_the_account_balances() {
        let sum = |octets| Sum { sessions: 1, in_octets: octets, out_octets: 7 };
        let good = Account { counted: sum(5), stops: sum(5), ..Account::default() };
        assert!(printed(&good).contains(VERDICT));
        let bad = Account { counted: sum(5), stops: sum(4), ..Account::default() };
        assert!(!printed(&bad).contains(VERDICT));
        assert!(printed(&bad).contains("1 octets in are missing"));
    }
}
