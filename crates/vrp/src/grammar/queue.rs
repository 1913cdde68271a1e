//! The queue of accounting packets that no server acknowledged: its size, its rules, and what is done with it by hand.

use model::report::QueueSelector;
use model::settings::{CacheRounds, CacheWarning, ObjectName, RadiusCache};

use crate::command::{
    Action, ActionRequest, Command, Display, DisplayRequest, Done, Edit, Operate, Operation, Stored, Undo, View, Words,
};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::System],
        level: 2,
        section: "5.5",
        formats: &["radius-server accounting cache packets:INTEGER<8192-256000>"],
        undo: Some(Undo {
            formats: &["radius-server accounting cache"],
            run: |edit, _| set_packets(edit, RadiusCache::PACKETS_DEFAULT),
        }),
        help: &[("cache", "Packets that no server acknowledged"), ("packets", "Their number at most")],
        action: Action::Configure(|edit, words| set_packets(edit, words.number("packets"))),
        stored: Stored::Lines(|settings, _| {
            let packets = settings.radius_cache.packets;
            line(packets != RadiusCache::PACKETS_DEFAULT, || format!("radius-server accounting cache {packets}"))
        }),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "5.5",
        formats: &["radius-server accounting cache memory-threshold percent:INTEGER<50-85>"],
        undo: Some(Undo {
            formats: &["radius-server accounting cache memory-threshold"],
            run: |edit, _| {
                edit.settings.radius_cache.memory_threshold = RadiusCache::MEMORY_THRESHOLD_DEFAULT;
                Ok(Done::Applied)
            },
        }),
        help: &[
            ("cache", "Packets that no server acknowledged"),
            ("memory-threshold", "Share of the session memory that log-ins leave free"),
            ("percent", "Per cent that packets may take of it"),
        ],
        action: Action::Configure(|edit, words| {
            edit.settings.radius_cache.memory_threshold = words.number("percent");
            Ok(Done::Applied)
        }),
        stored: Stored::Lines(|settings, _| {
            let percent = settings.radius_cache.memory_threshold;
            line(percent != RadiusCache::MEMORY_THRESHOLD_DEFAULT, || {
                format!("radius-server accounting cache memory-threshold {percent}")
            })
        }),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "5.5",
        formats: &["radius-server accounting cache-warning-threshold upper-limit upper:INTEGER<1-100> \
                    lower-limit lower:INTEGER<0-99>"],
        undo: Some(Undo {
            formats: &["radius-server accounting cache-warning-threshold"],
            run: |edit, _| {
                edit.settings.radius_cache.warning = None;
                Ok(Done::Applied)
            },
        }),
        help: &[
            ("cache-warning-threshold", "When the fill of the cache is told of"),
            ("upper-limit", "Alarm at this fill"),
            ("upper", "Per cent"),
            ("lower-limit", "All-clear at this fill"),
            ("lower", "Per cent; 0: when it is empty"),
        ],
        action: Action::Configure(warning),
        stored: Stored::Lines(|settings, _| {
            let warning = settings.radius_cache.warning;
            let line = |CacheWarning { upper, lower }| {
                format!("radius-server accounting cache-warning-threshold upper-limit {upper} lower-limit {lower}")
            };
            warning.map(line).into_iter().collect()
        }),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "5.5",
        formats: &["radius-server accounting cache retransmit users:INTEGER<1-65535> timeout seconds:INTEGER<1-3600>"],
        undo: Some(Undo {
            formats: &["radius-server accounting cache retransmit"],
            run: |edit, _| {
                edit.settings.radius_cache.rounds = None;
                Ok(Done::Applied)
            },
        }),
        help: &[
            ("cache", "Packets that no server acknowledged"),
            ("retransmit", "Send in rounds"),
            ("users", "Users whose packets are sent in one"),
            ("timeout", "From one round to the next"),
            ("seconds", "Seconds"),
        ],
        action: Action::Configure(|edit, words| {
            let rounds = CacheRounds { users: words.number("users"), seconds: words.number("seconds") };
            edit.settings.radius_cache.rounds = Some(rounds);
            Ok(Done::Applied)
        }),
        stored: Stored::Lines(|settings, _| {
            let line = |CacheRounds { users, seconds }| {
                format!("radius-server accounting cache retransmit {users} timeout {seconds}")
            };
            settings.radius_cache.rounds.map(line).into_iter().collect()
        }),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "5.5",
        formats: &["radius-server cache keep packet"],
        undo: Some(Undo {
            formats: &["radius-server cache keep packet"],
            run: |edit, _| {
                edit.settings.radius_cache.keep_packets = false;
                Ok(Done::Applied)
            },
        }),
        help: &[
            ("cache", "Packets that no server acknowledged"),
            ("keep", "Give nothing up that was sent often enough"),
            ("packet", "Packets in the cache"),
        ],
        action: Action::Configure(|edit, _| {
            edit.settings.radius_cache.keep_packets = true;
            Ok(Done::Applied)
        }),
        stored: Stored::Lines(|settings, _| {
            line(settings.radius_cache.keep_packets, || "radius-server cache keep packet".to_owned())
        }),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "5.5",
        formats: &["radius-server accounting-stop-packet pending-limit optimize"],
        undo: Some(Undo {
            formats: &["radius-server accounting-stop-packet pending-limit optimize"],
            run: |edit, _| {
                edit.settings.radius_cache.pending_limit_optimize = false;
                Ok(Done::Applied)
            },
        }),
        help: &[
            ("accounting-stop-packet", "Stops that no server answered"),
            ("pending-limit", "Those that found no place on a server"),
            ("optimize", "They do not count as sent"),
        ],
        action: Action::Configure(|edit, _| {
            edit.settings.radius_cache.pending_limit_optimize = true;
            Ok(Done::Applied)
        }),
        stored: Stored::Lines(|settings, _| {
            line(settings.radius_cache.pending_limit_optimize, || {
                "radius-server accounting-stop-packet pending-limit optimize".to_owned()
            })
        }),
    },
    Command {
        views: &[View::User],
        level: 3,
        section: "5.5",
        formats: &["radius-server cache resend packet"],
        undo: None,
        help: &[
            ("cache", "Packets that no server acknowledged"),
            ("resend", "Send them now"),
            ("packet", "All packets"),
        ],
        action: Action::Operate(|_, _| Ok(Operation::Do(ActionRequest::ResendQueue))),
        stored: Stored::Never,
    },
    Command {
        views: &[View::User],
        level: 3,
        section: "5.5",
        formats: &["reset radius-server accounting-stop-packet { all | ip ip:X.X.X.X | ipv6 ip:X:X::X:X }"],
        undo: None,
        help: &[
            ("reset", "Clear"),
            ("accounting-stop-packet", "Stops that no server answered"),
            ("all", "Those of all servers"),
            ("ip", "Those of one server"),
            ("ipv6", "Those of one server"),
        ],
        action: Action::Operate(reset),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "owner's decision 7",
        formats: &["display radius-server backlog [ group group:NAME<1-32> ]"],
        undo: None,
        help: &[("backlog", "Packets that wait for a place on a server, and for how long")],
        action: Action::Display(|_, words| {
            Display::Live(DisplayRequest::RadiusServerBacklog { group: words.text_if("group").map(ObjectName::from) })
        }),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 3,
        section: "5.5",
        formats: &["display radius-server accounting-stop-packet { all | ip ip:X.X.X.X | ipv6 ip:X:X::X:X }"],
        undo: None,
        help: &[
            ("accounting-stop-packet", "Stops that no server answered"),
            ("all", "Those of all servers"),
            ("ip", "Those of one server"),
            ("ipv6", "Those of one server"),
        ],
        action: Action::Display(|_, words| {
            Display::Live(DisplayRequest::QueuedStops { server: words.address_if("ip") })
        }),
        stored: Stored::Never,
    },
];

fn line(is_set: bool, text: impl Fn() -> String) -> Vec<String> {
    is_set.then(text).into_iter().collect()
}

/// Room for fewer than there are now is refused.
fn set_packets(edit: &mut Edit<'_>, packets: u32) -> Result<Done, Refusal> {
    let cache = RadiusCache { packets, ..edit.settings.radius_cache };
    let queued = (edit.queued_count)();
    if u64::from(cache.users_most()) < queued {
        return Err(Refusal::CacheFilled(queued));
    }
    edit.settings.radius_cache = cache;
    Ok(Done::Applied)
}

fn warning(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let warning = CacheWarning { upper: words.number("upper"), lower: words.number("lower") };
    if warning.lower >= warning.upper {
        return Err(Refusal::LowerLimitTooHigh);
    }
    edit.settings.radius_cache.warning = Some(warning);
    Ok(Done::Applied)
}

fn reset(_: &Operate<'_>, words: &Words) -> Result<Operation, Refusal> {
    Ok(Operation::Do(ActionRequest::ResetQueue(QueueSelector { hwtacacs: false, server: words.address_if("ip") })))
}
