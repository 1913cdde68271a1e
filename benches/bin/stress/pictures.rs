//! Two pictures of a run, for the manual.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use benches::grouped;
use benches::plot::{Axis, Chart, Series};

use crate::daemon::Sample;
use crate::schedule::{Act, Schedule};

/// # Errors
/// A file cannot be written.
pub(crate) fn draw(directory: &Path, sessions: u32, schedule: Schedule, samples: &[Sample]) -> Result<()> {
    let pairs = || samples.windows(2).map(|pair| (&pair[0], &pair[1]));
    let seconds = |at: Duration| at.as_secs_f64();
    let line = |name: &str, points: Vec<(f64, f64)>| Series { name: name.to_owned(), points, dots: false };
    let sent: Vec<_> = pairs().map(|(before, now)| (seconds(now.at), now.sent_since(before))).collect();
    let acknowledged: Vec<_> = pairs().map(|(before, now)| (seconds(now.at), now.acknowledged_since(before))).collect();
    let backlog: Vec<_> = samples.iter().map(|sample| (seconds(sample.at), sample.backlog as f64 / 1e3)).collect();
    let end = samples.last().map_or(Duration::ZERO, |sample| sample.at);
    let title = |what: &str| format!("{} sessions and one FreeRADIUS: {what}", grouped(sessions));
    let rates = Chart {
        title: title("packets a second"),
        x: axis(schedule, end),
        y: Axis::from_zero("packets a second", sent.iter().chain(&acknowledged).map(|(_, rate)| *rate)),
        series: vec![line("acknowledged", acknowledged), line("sent", sent)],
    };
    let waiting = Chart {
        title: title("what waits to be sent, in thousands"),
        x: axis(schedule, end),
        y: Axis::from_zero("packets, thousands", backlog.iter().map(|(_, count)| *count)),
        series: vec![line("backlog", backlog)],
    };
    for (name, chart) in [("stress-sends.svg", rates), ("stress-backlog.svg", waiting)] {
        let path = directory.join(name);
        std::fs::write(&path, chart.svg()).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// Named after what is done to the server, the line, and the subscribers.
fn axis(schedule: Schedule, end: Duration) -> Axis {
    let at = |wanted: Act| {
        let found = schedule.acts().into_iter().find(|(_, act)| *act == wanted);
        found.map_or(0, |(at, _)| at.as_secs())
    };
    let label = format!(
        "seconds: server held {}–{}, a tenth lost {}–{}, killed {}, back {}, all go {}",
        at(Act::Hold),
        at(Act::LetGo),
        at(Act::Lose),
        at(Act::Mend),
        at(Act::Kill),
        at(Act::Return),
        at(Act::AllGo)
    );
    let end = end.as_secs_f64();
    let mut axis = Axis::from_zero(&label, std::iter::once(end));
    axis.range.1 = end;
    axis.marks.retain(|(at, _)| *at <= end);
    axis
}
