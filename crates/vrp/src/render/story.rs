//! `display accounting session X why`: one session's life, and what comes next.

use std::fmt::Write as _;

use model::report::{SessionStory, StoryStep};
use serde_json::json;

use super::Shown;
use super::access_user::access_user;
use super::table::{milliseconds, seconds};
use crate::error::Refusal;

/// The session as it is, its steps, oldest first, and what it waits for.
///
/// # Errors
/// [`Refusal::SessionMissing`] without a session.
pub fn accounting_session(story: Option<&SessionStory>) -> Result<Shown, Refusal> {
    let SessionStory { user, steps, next } = story.ok_or(Refusal::SessionMissing)?;
    let session = access_user(Some(user))?;
    let mut text = session.text;
    text.push_str("  What happened\n");
    for step in steps {
        let _ = writeln!(text, "  {}", line(step));
    }
    text.push_str("  What comes next\n");
    for sentence in next {
        let _ = writeln!(text, "  {sentence}");
    }
    if next.is_empty() {
        text.push_str("  Nothing, before the plane or the server says something.\n");
    }
    let steps = steps.iter().map(|step| {
        json!({
            "at": step.at.map(seconds),
            "source": step.source.as_str(),
            "event": step.event,
            "server": step.server.map(|server| server.to_string()),
        })
    });
    Ok(Shown { text, json: json!({ "session": session.json, "steps": steps.collect::<Vec<_>>(), "next": next }) })
}

fn line(step: &StoryStep) -> String {
    let at = step.at.map_or_else(|| "-".to_owned(), milliseconds);
    let server = step.server.map(|server| format!(" ({server})")).unwrap_or_default();
    format!("{at:<23}  {:<6}  {}{server}", step.source.as_str(), step.event)
}

#[cfg(test)]
mod tests {
    use model::report::StorySource;
    use model::settings::ServerPath;
    use model::time::Wall;

    use super::*;

    #[test]
    fn a_step_is_a_line() {
        let address: std::net::SocketAddr = "192.0.2.1:1813".parse().unwrap();
        let mut step = StoryStep {
            at: Some(Wall::from_millis(1_795_000_000_250)),
            source: StorySource::Journal,
            event: "Start sent, transmission 1".to_owned(),
            server: Some(ServerPath::from(address)),
        };
        assert_eq!(line(&step), "2026/11/18 11:06:40.250  engine  Start sent, transmission 1 (192.0.2.1:1813)");
        (step.at, step.server) = (None, None);
        assert_eq!(line(&step), "-                        engine  Start sent, transmission 1");
        assert_eq!(accounting_session(None), Err(Refusal::SessionMissing));
    }
}
