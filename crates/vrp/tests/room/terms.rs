//! What a domain says of counting, reporting, delays and quotas: typed, printed, taken back, shown.

use model::domain::{DualStack, FlowStatistic, QuotaOut, StartDelay, UserTypes};
use model::settings::Domain;
use proptest::prelude::*;

use crate::support::{World, run, sitting_after};

/// Any terms; whom they bind to what is left open.
pub(crate) fn terms() -> impl Strategy<Value = Domain> + Clone {
    let delay = (1..=300_u16, any::<bool>(), 1..=15_u8).prop_map(|(seconds, offline, types)| {
        let user_types = UserTypes::from_bits(types).expect("somebody");
        StartDelay { seconds, offline, user_types }
    });
    let quota_out = prop_oneof![
        Just(QuotaOut::Offline),
        Just(QuotaOut::Online),
        Just(QuotaOut::SendRealtimeAccounting),
        ("[!-~]{1,200}", any::<bool>()).prop_map(|(url, stop_accounting)| QuotaOut::Redirect { url, stop_accounting }),
    ];
    (any::<[bool; 4]>(), prop::option::of(delay), quota_out).prop_map(
        |([up, down, identical, ipv4_starts], start_delay, quota_out)| Domain {
            flow_statistic: FlowStatistic { up, down },
            dual_stack: if identical { DualStack::Identical } else { DualStack::Separate },
            start_delay,
            ipv4_starts,
            quota_out,
            ..Domain::default()
        },
    )
}

/// Lines typed in a domain's view, and what is stored of it then.
#[test]
fn a_repeated_command_replaces_what_it_names() {
    for (typed, expected) in [
        (&["undo flow-statistic up down", "flow-statistic down"][..], &["undo flow-statistic up"][..]),
        (&["undo flow-statistic up", "flow-statistic up"], &[]),
        (&["accounting dual-stack identical", "accounting dual-stack separate"], &[]),
        (
            &["accounting-start-delay 5 online user-type static ipoe", "accounting-start-delay 300 offline"],
            &["accounting-start-delay 300 offline"],
        ),
        (
            &["accounting-start-delay 5 online user-type static ipoe"],
            &["accounting-start-delay 5 online user-type ipoe static"],
        ),
        (
            &["accounting-start-delay 5 online", "accounting-start-delay ipv4 start-accounting immediately"],
            &["accounting-start-delay 5 online", "accounting-start-delay ipv4 start-accounting immediately"],
        ),
        (&["accounting-start-delay 5 online user-type l2tp ppp"], &["accounting-start-delay 5 online"]),
        (&["quota-out online", "quota-out offline"], &[]),
        (
            &["quota-out send-realtime-accounting", "quota-out redirect url http://a/ redirect-stop-accounting"],
            &["quota-out redirect url http://a/ redirect-stop-accounting"],
        ),
    ] {
        let mut shell = sitting_after(&["aaa", "domain isp"]);
        assert_eq!(run(&mut shell, &World::default(), typed), "", "{typed:?}");
        let text = vrp::config::write(shell.candidate());
        let block = text.split(" domain isp\n").nth(1).unwrap_or_default();
        let lines: Vec<&str> = block.lines().map(str::trim).take_while(|line| *line != "#").collect();
        assert_eq!(lines, expected, "{typed:?}");
    }
}

#[test]
fn a_domain_is_shown_by_name_and_in_its_own_view() {
    let world = World::default();
    let mut shell = sitting_after(&["aaa", "domain isp", "flow-statistic up", "undo flow-statistic down", "commit"]);
    let here = run(&mut shell, &world, &["display domain"]);
    assert!(here.contains("  Flow-Statistic-Down                   : No\n"), "{here}");
    assert_eq!(run(&mut shell, &world, &["quit", "quit", "display domain ISP"]), here);
    assert!(run(&mut shell, &world, &["display domain"]).contains("default_admin"));
    let missing = run(&mut shell, &world, &["display domain nobody"]);
    assert!(missing.contains("Error"), "{missing}");
}
