//! The table: what was measured, what it is held against, and whether that is reached. In Markdown and in JSON.

use std::fmt::{self, Display};

use serde_json::{Value, json};

/// A number with its unit; the unit may be empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// Microseconds of processor time.
pub(crate) fn us(value: f64) -> Figure {
    Figure { value, unit: "µs" }
}

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = match self.value.abs() {
            value if value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            _ => 2,
        };
        write!(f, "{:.decimals$} {}", self.value, self.unit)
    }
}

/// What a result is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// At most so many times the floor.
    TimesFloor(f64),
    /// At least this part of what the floor gets done in the same time.
    PartOfFloor(f64),
    /// The peer takes at least so many times as much.
    PeerTakes(f64),
    /// At most this, in the unit of the result.
    AtMost(f64),
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What `--only` calls it.
    pub(crate) key: &'static str,
    pub(crate) what: String,
    pub(crate) target: Option<Target>,
    pub(crate) floor: Option<Figure>,
    pub(crate) peer: Option<Figure>,
    pub(crate) result: Outcome,
    /// What belongs to the result.
    pub(crate) beside: String,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Measured(Figure),
    /// There is nothing to measure, and why.
    NotYet(String),
    /// It could not be measured, and why.
    Failed(String),
}

impl Row {
    pub(crate) fn measured(key: &'static str, what: impl Into<String>, result: Figure) -> Row {
        let result = Outcome::Measured(result);
        Row { key, what: what.into(), target: None, floor: None, peer: None, result, beside: String::new() }
    }

    pub(crate) fn not_yet(key: &'static str, what: impl Into<String>, why: impl Into<String>) -> Row {
        let result = Outcome::NotYet(why.into());
        Row { result, ..Row::measured(key, what, us(0.0)) }
    }

    pub(crate) fn failed(key: &'static str, what: impl Into<String>, why: &anyhow::Error) -> Row {
        let result = Outcome::Failed(format!("{why:#}"));
        Row { result, ..Row::measured(key, what, us(0.0)) }
    }

    pub(crate) fn target(self, target: Target) -> Row {
        Row { target: Some(target), ..self }
    }

    pub(crate) fn floor(self, floor: Figure) -> Row {
        Row { floor: Some(floor), ..self }
    }

    pub(crate) fn peer(self, peer: Figure) -> Row {
        Row { peer: Some(peer), ..self }
    }

    pub(crate) fn beside(self, beside: impl Into<String>) -> Row {
        Row { beside: beside.into(), ..self }
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.result, Outcome::Failed(_))
    }

    fn figure(&self) -> Option<Figure> {
        if let Outcome::Measured(figure) = self.result { Some(figure) } else { None }
    }

    /// What the target speaks of; without a target, the floor's multiple or the peer's.
    fn ratio(&self) -> Option<f64> {
        let result = self.figure()?.value;
        let of_floor = self.floor.map(|floor| result / floor.value);
        let of_peer = self.peer.map(|peer| peer.value / result);
        match self.target {
            Some(Target::TimesFloor(_)) => of_floor,
            Some(Target::PartOfFloor(_)) => of_floor.map(f64::recip),
            Some(Target::PeerTakes(_)) => of_peer,
            Some(Target::AtMost(_)) => None,
            None => of_floor.or(of_peer),
        }
    }

    fn is_reached(&self) -> Option<bool> {
        match self.target? {
            Target::TimesFloor(most) => Some(self.ratio()? <= most),
            Target::PartOfFloor(least) | Target::PeerTakes(least) => Some(self.ratio()? >= least),
            Target::AtMost(most) => Some(self.figure()?.value <= most),
        }
    }

    fn markdown(&self) -> String {
        let figure = |figure: Option<Figure>| figure.map_or_else(String::new, |figure| figure.to_string());
        let target = self.target.map_or_else(String::new, |target| self.text_of(target));
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2} ×"));
        let reached = self.is_reached().map_or("", |reached| if reached { "yes" } else { "**no**" });
        let result = match &self.result {
            Outcome::Measured(figure) => figure.to_string(),
            Outcome::NotYet(why) => format!("not yet: {why}"),
            Outcome::Failed(why) => format!("not measured: {}", why.replace('|', "/").replace('\n', " ")),
        };
        let (floor, peer) = (figure(self.floor), figure(self.peer));
        format!("| {} | {target} | {floor} | {peer} | {result} | {ratio} | {reached} | {} |", self.what, self.beside)
    }

    fn text_of(&self, target: Target) -> String {
        match target {
            Target::TimesFloor(most) => format!("≤ {most} × floor"),
            Target::PartOfFloor(least) => format!("≥ {:.0} % of the floor", least * 100.0),
            Target::PeerTakes(least) => format!("peer takes ≥ {least} ×"),
            Target::AtMost(value) => {
                let unit = self.figure().map_or("", |figure| figure.unit);
                format!("≤ {}", Figure { value, unit })
            }
        }
    }

    fn json(&self) -> Value {
        let number = |figure: Option<Figure>| figure.map(|figure| figure.value);
        let why = match &self.result {
            Outcome::Measured(_) => None,
            Outcome::NotYet(why) | Outcome::Failed(why) => Some(why),
        };
        json!({
            "row": self.key,
            "what": self.what,
            "target": self.target.map(|target| self.text_of(target)),
            "floor": number(self.floor),
            "peer": number(self.peer),
            "result": number(self.figure()),
            "unit": self.figure().map(|figure| figure.unit),
            "ratio": self.ratio(),
            "reached": self.is_reached(),
            "failed": self.has_failed(),
            "why": why,
            "beside": self.beside,
        })
    }
}

/// Everything that a run found, and what it was found on.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    pub(crate) machine: Vec<String>,
}

impl Table {
    pub(crate) fn markdown(&self) -> String {
        let mut text = "| what | target | floor | peer | result | ratio | reached | |\n".to_owned();
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        text.extend(self.rows.iter().map(|row| row.markdown() + "\n"));
        text.push('\n');
        text.extend(self.machine.iter().map(|line| format!("{line}  \n")));
        text
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "machine": self.machine, "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: Target) -> Row {
        Row::measured("interims", "x", us(2.0)).target(target).floor(us(1.0)).peer(us(30.0))
    }

    #[test]
    fn each_target_looks_at_its_own_ratio() {
        let ratio = |target| (row(target).ratio(), row(target).is_reached());
        assert_eq!(ratio(Target::TimesFloor(1.9)), (Some(2.0), Some(false)));
        assert_eq!(ratio(Target::PartOfFloor(0.5)), (Some(0.5), Some(true)));
        assert_eq!(ratio(Target::PeerTakes(15.0)), (Some(15.0), Some(true)));
        assert_eq!(ratio(Target::AtMost(1.9)), (None, Some(false)));
    }

    #[test]
    fn what_was_not_measured_is_neither_reached_nor_missed() {
        let lacking = Row { floor: None, ..row(Target::TimesFloor(1.25)) };
        assert_eq!((lacking.ratio(), lacking.is_reached()), (None, None));
        let failed = Row::failed("interims", "x", &anyhow::anyhow!("no a | b"));
        assert!(failed.has_failed());
        assert_eq!(failed.markdown(), "| x |  |  |  | not measured: no a / b |  |  |  |");
        assert!(!Row::not_yet("relay", "x", "none").has_failed());
    }

    #[test]
    fn figures_have_three_digits() {
        let text = [0.0456, 1.256, 12.56, 125.6].map(|value| us(value).to_string());
        assert_eq!(text, ["0.05 µs", "1.26 µs", "12.6 µs", "126 µs"]);
    }
}
