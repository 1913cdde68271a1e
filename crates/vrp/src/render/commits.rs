//! `display configuration commit list` and `display configuration trial status` (BEHAVIOUR.md 2.2).

use model::report::{CommitRecord, TrialReport};
use serde_json::json;

use super::Shown;
use super::table::{columns, labelled, seconds, timestamp, total};

/// Commits, the newest first; `total` were kept.
pub fn commit_list(commits: &[CommitRecord], count: usize) -> Shown {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<[String; 5]> = commits
        .iter()
        .map(|commit| {
            let CommitRecord { id, at, user, label, description } = commit;
            [id.to_string(), or_dash(label), user.clone(), timestamp(*at), or_dash(description)]
        })
        .collect();
    let titles = ["CommitId", "Label", "User", "TimeStamp", "Description"];
    let text = columns(titles, &rows, &total(count, commits.len()));
    let rows = commits.iter().map(|commit| {
        json!({
            "id": commit.id,
            "at": seconds(commit.at),
            "user": commit.user,
            "label": commit.label,
            "description": commit.description,
        })
    });
    Shown { text, json: json!({ "total": count, "commits": rows.collect::<Vec<_>>() }) }
}

/// Whether there is a trial.
pub fn trial_status(trial: Option<&TrialReport>) -> Shown {
    let mut rows = vec![("Trial status", if trial.is_some() { "ACTIVE" } else { "INACTIVE" }.to_owned())];
    if let Some(TrialReport { user, remaining_s }) = trial {
        rows.push(("User", user.clone()));
        rows.push(("Remaining time(s)", remaining_s.to_string()));
    }
    let json = json!({
        "active": trial.is_some(),
        "user": trial.map(|trial| &trial.user),
        "remaining_s": trial.map(|trial| trial.remaining_s),
    });
    Shown { text: labelled(&rows), json }
}

#[cfg(test)]
mod tests {
    use model::time::Wall;

    use super::*;

    #[test]
    fn commits_are_listed_and_a_trial_says_how_long_it_has() {
        let commit = |id, label: Option<&str>| CommitRecord {
            id,
            at: Wall::from_millis(1_795_000_000_250),
            user: "alice".to_owned(),
            label: label.map(str::to_owned),
            description: None,
        };
        let shown = commit_list(&[commit(8, Some("before-move")), commit(7, None)], 20);
        let lines: Vec<&str> = shown.text.lines().collect();
        assert_eq!(lines[1], "  CommitId  Label        User   TimeStamp            Description");
        assert_eq!(lines[3], "  8         before-move  alice  2026/11/18 11:06:40  -");
        assert_eq!(lines[6], "  Total 20,2 printed");
        assert_eq!(shown.json["commits"][1]["label"], json!(null));
        let trial = trial_status(Some(&TrialReport { user: "bob".to_owned(), remaining_s: 59 }));
        assert!(trial.text.contains("  Remaining time(s)                     : 59\n"), "{}", trial.text);
        assert_eq!(trial_status(None).json["active"], json!(false));
    }
}
