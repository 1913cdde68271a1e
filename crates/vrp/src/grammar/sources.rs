//! Session sources: where the daemon itself learns who is online, and where their octets are counted.

use std::fmt::Write as _;

use model::settings::{
    CountedBy, CounterMap, CounterMaps, CounterOrigin, MapValues, ObjectName, SessionSource, Settings, SourceKind,
    SourcePlace,
};

use crate::command::{Action, Command, Display, DisplayRequest, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::System],
        level: 2,
        section: "INTERFACES 2",
        formats: &[
            "counter-map ipv4 path:PATH<1-255> [ value in-octets io:INTEGER<0-65528> \
             [ in-packets ip:INTEGER<0-65528> ] out-octets oo:INTEGER<0-65528> [ out-packets op:INTEGER<0-65528> ] ]",
            "counter-map ipv6 path:PATH<1-255> [ prefix bits:INTEGER<1-128> ] [ value in-octets io:INTEGER<0-65528> \
             [ in-packets ip:INTEGER<0-65528> ] out-octets oo:INTEGER<0-65528> [ out-packets op:INTEGER<0-65528> ] ]",
        ],
        undo: Some(Undo { formats: &["counter-map { ipv4 | ipv6 }"], run: undo_counter_map }),
        help: &[
            ("counter-map", "eBPF map in which a program counts the octets of users"),
            ("ipv4", "Its keys are IPv4 addresses"),
            ("ipv6", "Its keys are IPv6 prefixes"),
            ("path", "Where it is pinned"),
            ("prefix", "Bits of these prefixes"),
            ("bits", "Their number; 64 when left out"),
            ("value", "Where 64-bit numbers stand in its values; 0, 8, 16 and 24 when left out"),
            ("in-octets", "Octets that the user sent"),
            ("io", "Octets from the beginning of the value"),
            ("in-packets", "Packets that it sent"),
            ("ip", "Octets from the beginning of the value"),
            ("out-octets", "Octets that it received"),
            ("oo", "Octets from the beginning of the value"),
            ("out-packets", "Packets that it received"),
            ("op", "Octets from the beginning of the value"),
        ],
        action: Action::Configure(counter_map),
        stored: Stored::Lines(stored_counter_maps),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "INTERFACES 2",
        formats: &["counter-source { table | interfaces | ebpf } [ interval seconds:INTEGER<1-3600> ]"],
        undo: Some(Undo { formats: &["counter-source"], run: undo_counter_source }),
        help: &[
            ("counter-source", "Where the octets of session sources are counted"),
            ("table", "By whoever tells of the session: count and down"),
            ("interfaces", "By the network interface that is the session's NAS-Port-Id"),
            ("ebpf", "By an eBPF program, in counter-map"),
            ("interval", "How often they are fetched"),
            ("seconds", "Seconds; 10 when left out"),
        ],
        action: Action::Configure(counter_source),
        stored: Stored::Lines(stored_counter_source),
    },
    Command {
        views: &[View::System],
        level: 3,
        section: "INTERFACES 2",
        formats: &["session-source { directory directory:PATH<1-255> | socket socket:PATH<1-107> \
             | interfaces pattern:STRING<1-64> [ details details:PATH<1-255> ] } [ domain domain:NAME<1-64> ] \
             [ counter-source { table | interfaces | ebpf } [ interval seconds:INTEGER<1-3600> ] ]"],
        undo: Some(Undo {
            formats: &["session-source { directory directory:PATH<1-255> | socket socket:PATH<1-107> \
                 | interfaces pattern:STRING<1-64> }"],
            run: undo_session_source,
        }),
        help: &[
            ("session-source", "Where the daemon itself learns who is online"),
            ("directory", "A JSON file for each user"),
            ("socket", "Unix socket that is told lines of JSON"),
            ("interfaces", "Network interfaces"),
            ("pattern", "Pattern of their names: * is any text, ? one character, [ab] one of these"),
            ("details", "Directory of JSON files that say who the user of an interface is"),
            ("domain", "Domain of users that do not say theirs"),
            ("counter-source", "Where their octets are counted"),
            ("table", "By whoever tells of the session: count and down"),
            ("ebpf", "By an eBPF program, in counter-map"),
            ("interval", "How often they are fetched"),
            ("seconds", "Seconds; 10 when left out"),
        ],
        action: Action::Configure(session_source),
        stored: Stored::Lines(stored_session_sources),
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "INTERFACES 2",
        formats: &["display session-source"],
        undo: None,
        help: &[("session-source", "Session sources: who is up, sweeps, and what went wrong last")],
        action: Action::Display(|_, _| Display::Live(DisplayRequest::SessionSources)),
        stored: Stored::Never,
    },
];

fn counter_map(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let values = match words.number_if("io") {
        Some(in_octets) => MapValues {
            in_octets,
            in_packets: words.number_if("ip"),
            out_octets: words.number("oo"),
            out_packets: words.number_if("op"),
        },
        None => MapValues::default(),
    };
    let map = CounterMap { path: words.text("path").to_owned(), values };
    let maps = &mut edit.settings.counter_maps;
    if words.has("ipv4") {
        maps.v4 = Some(map);
    } else {
        maps.v6 = Some((map, words.number_if("bits").unwrap_or(CounterMaps::PREFIX_DEFAULT)));
    }
    Ok(Done::Applied)
}

fn undo_counter_map(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let maps = &mut edit.settings.counter_maps;
    if words.has("ipv4") {
        maps.v4 = None;
    } else {
        maps.v6 = None;
    }
    Ok(Done::Applied)
}

fn stored_counter_maps(settings: &Settings, _: &Place) -> Vec<String> {
    let CounterMaps { v4, v6 } = &settings.counter_maps;
    let mut lines = Vec::new();
    if let Some(CounterMap { path, values }) = v4 {
        lines.push(format!("counter-map ipv4 {path}{}", values_of(values)));
    }
    if let Some((CounterMap { path, values }, bits)) = v6 {
        let is_default = *bits == CounterMaps::PREFIX_DEFAULT;
        let prefix = if is_default { String::new() } else { format!(" prefix {bits}") };
        lines.push(format!("counter-map ipv6 {path}{prefix}{}", values_of(values)));
    }
    lines
}

fn values_of(values: &MapValues) -> String {
    if *values == MapValues::default() {
        return String::new();
    }
    let MapValues { in_octets, in_packets, out_octets, out_packets } = *values;
    let mut text = format!(" value in-octets {in_octets}");
    if let Some(at) = in_packets {
        let _ = write!(text, " in-packets {at}");
    }
    let _ = write!(text, " out-octets {out_octets}");
    if let Some(at) = out_packets {
        let _ = write!(text, " out-packets {at}");
    }
    text
}

fn counter_source(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.counter_source = Some(origin(words, &words.keywords));
    Ok(Done::Applied)
}

fn undo_counter_source(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.counter_source = None;
    Ok(Done::Applied)
}

fn stored_counter_source(settings: &Settings, _: &Place) -> Vec<String> {
    settings.counter_source.iter().map(line).collect()
}

fn session_source(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let place = place(words);
    // `interfaces` may stand in the line twice: behind `counter-source` it is about counters.
    let own = words.keywords.iter().position(|keyword| *keyword == "counter-source");
    let counters = own.map(|at| origin(words, &words.keywords[at..]));
    let domain = words.text_if("domain").map(ObjectName::from);
    let details = words.text_if("details").map(str::to_owned);
    edit.settings.session_sources.insert(place, SessionSource { domain, details, counters });
    Ok(Done::Applied)
}

fn undo_session_source(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    match edit.settings.session_sources.remove(&place(words)) {
        Some(_) => Ok(Done::Applied),
        None => Err(Refusal::SourceMissing),
    }
}

fn stored_session_sources(settings: &Settings, _: &Place) -> Vec<String> {
    let stored = |(place, source): (&SourcePlace, &SessionSource)| {
        let mut text = format!("session-source {place}");
        if let Some(details) = &source.details {
            let _ = write!(text, " details {details}");
        }
        if let Some(domain) = &source.domain {
            let _ = write!(text, " domain {domain}");
        }
        if let Some(counters) = &source.counters {
            let _ = write!(text, " {}", line(counters));
        }
        text
    };
    settings.session_sources.iter().map(stored).collect()
}

fn place(words: &Words) -> SourcePlace {
    let (kind, at) = match (words.text_if("directory"), words.text_if("socket")) {
        (Some(path), _) => (SourceKind::Directory, path),
        (None, Some(path)) => (SourceKind::Socket, path),
        (None, None) => (SourceKind::Interfaces, words.text("pattern")),
    };
    SourcePlace { kind, at: at.to_owned() }
}

fn origin(words: &Words, keywords: &[&str]) -> CounterOrigin {
    let from = match keywords {
        _ if keywords.contains(&"ebpf") => CountedBy::Ebpf,
        _ if keywords.contains(&"interfaces") => CountedBy::Interfaces,
        _ => CountedBy::Table,
    };
    let interval_s = words.number_if("seconds").unwrap_or(CounterOrigin::INTERVAL_DEFAULT_S);
    CounterOrigin { from, interval_s }
}

fn line(origin: &CounterOrigin) -> String {
    let from = match origin.from {
        CountedBy::Table => "table",
        CountedBy::Interfaces => "interfaces",
        CountedBy::Ebpf => "ebpf",
    };
    match origin.interval_s {
        CounterOrigin::INTERVAL_DEFAULT_S => format!("counter-source {from}"),
        seconds => format!("counter-source {from} interval {seconds}"),
    }
}
