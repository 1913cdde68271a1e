//! What follows from the end of a transaction: total tables of what happened × what the scheme says. To be read
//! beside BEHAVIOUR.md 3.4 and 3.5 and the owner's decisions 4 to 6.

use model::settings::{InterimFail, InterimFailPolicy, StartFail};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Start,
    Interim,
    Stop,
    /// The Stop with zero counters that plain `start-fail online` sends at once; not the session's accounting.
    ZeroStop,
}

/// How a transaction ended, over all its transmissions and servers (owner's decision 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged,
    Unanswered,
}

/// What becomes of a session whose Start has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterStart {
    /// Accounting runs.
    Account,
    /// Accounting runs although no server has the Start.
    KeepAccounting,
    /// It stays online without accounting; a zero Stop leaves, and a bill is made at log-out.
    StopAtOnce,
    /// The log-in is refused.
    Refuse,
    /// The log-in is refused, and a zero Stop leaves (`accounting-stop-packet send force`).
    RefuseAndStop,
    /// The log-in would be refused; it is told, and accounting runs although no server has the Start.
    WouldRefuse,
}

/// `shadow`: nobody is refused. `force`: who is refused has a Stop all the same. `down`: the subscriber has gone meanwhile;
/// then its Stop tells the server all there is to tell.
pub(crate) fn after_start(outcome: Outcome, policy: StartFail, shadow: bool, force: bool, down: bool) -> AfterStart {
    match (outcome, policy, shadow, down) {
        (Outcome::Acknowledged, _, _, _) => AfterStart::Account,
        (Outcome::Unanswered, _, _, true) => AfterStart::KeepAccounting,
        (Outcome::Unanswered, StartFail::OnlineKeepAccounting, _, false) => AfterStart::KeepAccounting,
        (Outcome::Unanswered, StartFail::Online, _, false) => AfterStart::StopAtOnce,
        (Outcome::Unanswered, StartFail::Offline, false, false) if force => AfterStart::RefuseAndStop,
        (Outcome::Unanswered, StartFail::Offline, false, false) => AfterStart::Refuse,
        (Outcome::Unanswered, StartFail::Offline, true, false) => AfterStart::WouldRefuse,
    }
}

/// Whether a subscriber goes online only by what becomes of its Start.
pub(crate) fn waits_for_start(policy: StartFail, shadow: bool) -> bool {
    match (policy, shadow) {
        (StartFail::Online | StartFail::OnlineKeepAccounting, _) | (StartFail::Offline, true) => false,
        (StartFail::Offline, false) => true,
    }
}

/// What becomes of a session whose interim has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterInterim {
    /// Nothing but the next interim.
    GoOn,
    /// The same, and real-time accounting has failed: worth a line in the log, once in a row of failures.
    Report,
    /// The same, but the subscriber would be logged out: told in the same way.
    WouldCut,
    /// The subscriber is logged out.
    Cut,
}

/// The consecutive failures after this transaction, and what they lead to: the policy comes with failure
/// `max_times` + 1. Whom the brake holds comes here again with the next failure. `shadow`: nobody is cut.
pub(crate) fn after_interim(outcome: Outcome, rule: InterimFail, shadow: bool, failures: u16) -> (u16, AfterInterim) {
    let limit = u16::from(rule.max_times);
    let comes_now = failures == limit;
    match (outcome, rule.policy, shadow) {
        (Outcome::Acknowledged, _, _) => (0, AfterInterim::GoOn),
        (Outcome::Unanswered, _, _) if failures < limit => (failures + 1, AfterInterim::GoOn),
        (Outcome::Unanswered, InterimFailPolicy::Offline, false) => (limit + 1, AfterInterim::Cut),
        (Outcome::Unanswered, InterimFailPolicy::Offline, true) if comes_now => (limit + 1, AfterInterim::WouldCut),
        (Outcome::Unanswered, InterimFailPolicy::Online, _) if comes_now => (limit + 1, AfterInterim::Report),
        (Outcome::Unanswered, _, _) => (failures, AfterInterim::GoOn),
    }
}

/// What becomes of a session whose Stop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterStop {
    /// It is over.
    End,
    /// It is tried again later, as a new transaction.
    Park,
    /// It is over, and a bill stands for it.
    Bill,
}

/// `resends_left` new transactions are allowed to a failed Stop (BEHAVIOUR.md 5.5); `kept`: and as many more as it takes.
pub(crate) fn after_stop(outcome: Outcome, resends_left: u16, kept: bool) -> AfterStop {
    match (outcome, resends_left, kept) {
        (Outcome::Acknowledged, _, _) => AfterStop::End,
        (Outcome::Unanswered, 0, false) => AfterStop::Bill,
        (Outcome::Unanswered, _, _) => AfterStop::Park,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `.` (answered) and `x` (unanswered) and notes what each leads to.
    fn interims(max_times: u8, policy: InterimFailPolicy, shadow: bool, play: &str) -> String {
        let mut failures = 0;
        let rule = InterimFail { max_times, policy };
        play.chars()
            .map(|outcome| {
                let outcome = if outcome == '.' { Outcome::Acknowledged } else { Outcome::Unanswered };
                let after;
                (failures, after) = after_interim(outcome, rule, shadow, failures);
                match after {
                    AfterInterim::GoOn => '-',
                    AfterInterim::Report => 'R',
                    AfterInterim::WouldCut => 'W',
                    AfterInterim::Cut => 'C',
                }
            })
            .collect()
    }

    /// BEHAVIOUR.md section 12, vectors 4 and 5.
    #[test]
    fn interim_failures_are_counted_as_the_page_says() {
        let (many, told_once) = ("x".repeat(400), format!("{}R{}", "-".repeat(255), "-".repeat(144)));
        for (max_times, policy, shadow, play, expected) in [
            (3, InterimFailPolicy::Online, false, "xxxxxx.xxxx", "---R------R"),
            (3, InterimFailPolicy::Online, true, "xxxxxx.xxxx", "---R------R"),
            (1, InterimFailPolicy::Offline, false, "x.x.xx", "-----C"),
            (5, InterimFailPolicy::Offline, false, "xxxxxx", "-----C"),
            (1, InterimFailPolicy::Offline, false, "xxxx.xx", "-CCC--C"),
            (1, InterimFailPolicy::Offline, true, "xxxx.xx", "-W----W"),
            (255, InterimFailPolicy::Online, false, &many, &told_once),
        ] {
            assert_eq!(interims(max_times, policy, shadow, play), expected, "max-times {max_times}, {play}");
        }
    }

    #[test]
    fn a_start_leads_where_the_table_says() {
        use AfterStart::{Account, KeepAccounting, Refuse, RefuseAndStop, StopAtOnce, WouldRefuse};
        for (policy, shadow, unanswered) in [
            (StartFail::Online, false, StopAtOnce),
            (StartFail::Online, true, StopAtOnce),
            (StartFail::OnlineKeepAccounting, false, KeepAccounting),
            (StartFail::OnlineKeepAccounting, true, KeepAccounting),
            (StartFail::Offline, false, Refuse),
            (StartFail::Offline, true, WouldRefuse),
        ] {
            for force in [false, true] {
                let forced = if force && unanswered == Refuse { RefuseAndStop } else { unanswered };
                assert_eq!(after_start(Outcome::Acknowledged, policy, shadow, force, false), Account);
                assert_eq!(after_start(Outcome::Acknowledged, policy, shadow, force, true), Account);
                assert_eq!(after_start(Outcome::Unanswered, policy, shadow, force, false), forced);
                assert_eq!(after_start(Outcome::Unanswered, policy, shadow, force, true), KeepAccounting);
            }
            assert_eq!(waits_for_start(policy, shadow), unanswered == Refuse);
        }
    }
}
