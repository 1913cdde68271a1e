//! What it was measured on, and with.

use std::process::Command;
use std::sync::Arc;

use benches::Place;

use crate::peers::radclient_version;

/// How busy the machine was in the last minute.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load average before the run: {}", load.split_whitespace().next().unwrap_or("unknown"))
}

/// One line each.
pub(crate) fn described(place: &Arc<Place>) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let processor = processor.map_or("a processor without a name", |(_, name)| name.trim());
    vec![
        first_line(place.program("tollgate").arg("--version")),
        format!("{}, {cores} cores, {processor}", first_line(Command::new("uname").arg("-srm"))),
        radclient_version().unwrap_or_else(|error| error.to_string()),
        "radius 0.4 of crates.io, on tokio 1".to_owned(),
    ]
}

fn first_line(command: &mut Command) -> String {
    let said = command.output().map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).unwrap_or_default();
    said.lines().next().unwrap_or("unknown").to_owned()
}
