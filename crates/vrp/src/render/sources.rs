//! `display session-source`.

use model::report::SourceReport;
use serde_json::json;

use super::Shown;
use super::table::{labelled, seconds, timestamp};

/// Every session source.
pub fn session_sources(sources: &[SourceReport]) -> Shown {
    let text = match sources {
        [] => "  No session source is configured.\n".to_owned(),
        all => all.iter().map(one).collect(),
    };
    let rows = sources.iter().map(|source| {
        json!({
            "source": source.place.kind.as_str(),
            "at": source.place.at,
            "plane": source.plane,
            "sessions": source.sessions,
            "ups": source.ups,
            "downs": source.downs,
            "sweeps": source.sweeps,
            "sweep_seconds": source.sweep_time.as_secs_f64(),
            "uncounted": source.uncounted,
            "errors": source.errors,
            "last_error": source.last_error.as_ref().map(|(_, what)| what),
            "last_error_at": source.last_error.as_ref().map(|(at, _)| seconds(*at)),
        })
    });
    Shown { text, json: json!({ "sources": rows.collect::<Vec<_>>() }) }
}

fn one(source: &SourceReport) -> String {
    let last_error = match &source.last_error {
        Some((at, what)) => format!("{} {what}", timestamp(*at)),
        None => "-".to_owned(),
    };
    let milliseconds = source.sweep_time.as_secs_f64() * 1000.0;
    labelled(&[
        ("Session source", source.place.to_string()),
        ("Plane", source.plane.clone()),
        ("Sessions", source.sessions.to_string()),
        ("Came up", source.ups.to_string()),
        ("Went down", source.downs.to_string()),
        ("Sweeps", source.sweeps.to_string()),
        ("Last sweep took(ms)", format!("{milliseconds:.3}")),
        ("Sessions without counters", source.uncounted.to_string()),
        ("Errors", source.errors.to_string()),
        ("Last error", last_error),
    ])
}

#[cfg(test)]
mod tests {
    use model::settings::{SourceKind, SourcePlace};
    use model::time::Wall;

    use super::*;

    #[test]
    fn a_source_says_what_it_has_seen() {
        let place = SourcePlace { kind: SourceKind::Interfaces, at: "ppp*".to_owned() };
        let mut report = SourceReport::new(place, "interfaces-1");
        (report.sessions, report.sweeps) = (3, 7);
        report.sweep_time = std::time::Duration::from_micros(1500);
        report.last_error = Some((Wall::from_millis(1_795_000_000_250), "no \u{1b}door".to_owned()));
        let shown = session_sources(&[report]);
        for row in [
            "  Session source                        : interfaces ppp*\n",
            "  Last sweep took(ms)                   : 1.500\n",
            "  Last error                            : 2026/11/18 11:06:40 no \\u{1b}door\n",
        ] {
            assert!(shown.text.contains(row), "{row}{}", shown.text);
        }
        assert_eq!(shown.json["sources"][0]["sweep_seconds"], json!(0.0015));
        assert!(session_sources(&[]).text.contains("No session source"));
    }
}
