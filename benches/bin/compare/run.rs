//! The order of a run: daemons with long intervals start first and are measured when their interims have come, and other rows
//! are measured meanwhile.
//!
//! ```text
//!   3,100/s    ├ memory ────────────────────────────────────────────────────┤ measured ┤
//!   14,800/s        ├───────── sends, second by second ─────────┤ measured ┤
//!   the others           transports, growth                               interims, batching, clients, dual-stack …
//! ```
//!
//! At most two daemons have all sessions at a time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::Bench;
use crate::pictures;
use crate::rows::growth::{self, Point};
use crate::rows::{clients, hearts, interims, lateness, log_ins, memory, paced, relay, storm, transports};
use crate::samples::Samples;
use crate::stage::{Scene, Stage};
use crate::table::Row;

/// What `--only` can name, in the order of the table.
pub(crate) const ROWS: [&str; 13] = [
    "interims",
    "batching",
    "paced",
    "radclient",
    "tokio",
    "transports",
    "relay",
    "memory",
    "hearts",
    "lateness",
    "log-ins",
    "storm",
    "growth",
];

/// How long the picture of sends shows interims.
const SHOWN: Duration = Duration::from_secs(60);

pub(crate) struct Run {
    bench: Bench,
    only: Vec<String>,
    pictures: Option<PathBuf>,
    rows: Vec<Row>,
    began: Instant,
}

impl Run {
    pub(crate) fn new(bench: Bench, only: Vec<String>, pictures: Option<PathBuf>) -> Run {
        Run { bench, only, pictures, rows: Vec::new(), began: Instant::now() }
    }

    /// Measures everything that is wanted.
    pub(crate) fn rows(mut self) -> Vec<Row> {
        let built = self.wants("hearts").then(|| {
            self.tell("criterion's benches are built");
            hearts::build(&self.bench)
        });
        let slow = self.slow();
        let fast = self.fast();
        self.row("transports", |bench| transports::rows(bench));
        let few = self.wants("growth").then(|| {
            self.tell("growth");
            growth::of_few(&self.bench)
        });
        if let Some((stage, samples)) = fast {
            self.pace(&stage, samples);
        }
        self.row("interims", interims::plain);
        self.row("batching", |bench| interims::batching(bench));
        self.row("radclient", clients::radclient);
        self.row("tokio", clients::tokio);
        if let Some(few) = few {
            self.growth(few);
        }
        self.row("memory", |bench| memory::dual_stack(bench));
        if let Some(stage) = slow {
            self.pace(&stage, None);
        }
        self.row("storm", |bench| storm::rows(bench));
        self.row("lateness", |bench| lateness::rows(bench));
        self.row("log-ins", |bench| log_ins::rows(bench));
        self.row("hearts", |bench| built.unwrap_or(Ok(())).and_then(|()| hearts::rows(bench)));
        self.row("relay", |bench| relay::rows(bench));
        self.rows.sort_by_key(|row| ROWS.iter().position(|key| *key == row.key));
        self.rows
    }

    fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == key)
    }

    fn tell(&self, what: &str) {
        eprintln!("{:4} s  {what}", self.began.elapsed().as_secs());
    }

    fn row(&mut self, key: &'static str, measure: impl FnOnce(&mut Bench) -> Result<Vec<Row>>) {
        if self.wants(key) {
            self.tell(key);
            let found = measure(&mut self.bench);
            self.add(key, found);
        }
    }

    fn add(&mut self, key: &'static str, found: Result<Vec<Row>>) {
        match found {
            Ok(rows) => self.rows.extend(rows),
            Err(error) => self.rows.push(Row::failed(key, key, &error)),
        }
    }

    /// The daemon with the longest interval, which nobody disturbs while everybody comes.
    fn slow(&mut self) -> Option<Stage> {
        if !["memory", "paced"].iter().any(|key| self.wants(key)) {
            return None;
        }
        self.tell("memory");
        let stage = match Stage::open(&self.bench.place, paced::slow(self.bench.scale)) {
            Ok(stage) => stage,
            Err(error) => {
                for key in ["memory", "paced"].into_iter().filter(|key| self.wants(key)).collect::<Vec<_>>() {
                    self.rows.push(Row::failed(key, key, &error));
                }
                return None;
            }
        };
        if self.wants("memory") {
            self.add("memory", memory::row(&stage).map(|row| vec![row]));
        }
        self.wants("paced").then_some(stage)
    }

    fn fast(&mut self) -> Option<(Stage, Option<Samples>)> {
        if !self.wants("paced") {
            return None;
        }
        self.tell("sessions for 14,800/s");
        match Stage::open(&self.bench.place, paced::fast(self.bench.scale)) {
            Ok(stage) => {
                let accounts = stage.daemon.accounts().clone();
                let samples = self.pictures.is_some().then(|| Samples::start(accounts, stage.online));
                Some((stage, samples))
            }
            Err(error) => {
                self.rows.push(Row::failed("paced", "paced", &error));
                None
            }
        }
    }

    /// What interims cost when they have come, on a stage with a long interval.
    fn pace(&mut self, stage: &Stage, samples: Option<Samples>) {
        self.tell("paced");
        if let (Some(samples), Some(directory)) = (samples, self.pictures.clone()) {
            let drawn = draw_sends(&directory, stage, samples);
            self.note_picture(drawn);
        }
        let found = paced::row(&self.bench, stage).map(|row| vec![row]);
        self.add("paced", found);
    }

    fn growth(&mut self, few: Result<Vec<Point>>) {
        self.tell("growth");
        let points = few.and_then(|mut points| {
            points.push(growth::of_all(&mut self.bench)?);
            Ok(points)
        });
        match points {
            Ok(points) => {
                self.rows.extend(growth::row(&points));
                if let Some(directory) = self.pictures.clone() {
                    let interval_s = self.bench.scale.interval_s(10);
                    self.note_picture(pictures::draw_costs(&directory, &points, interval_s));
                }
            }
            Err(error) => self.rows.push(Row::failed("growth", "growth", &error)),
        }
    }

    fn note_picture(&mut self, drawn: Result<()>) {
        if let Err(error) = drawn {
            self.rows.push(Row::failed("growth", "pictures", &error));
        }
    }
}

fn draw_sends(directory: &Path, stage: &Stage, samples: Samples) -> Result<()> {
    std::thread::sleep((stage.steady_at() + SHOWN).saturating_duration_since(Instant::now()));
    let scene: Scene = stage.scene;
    pictures::draw_sends(directory, scene, samples.finish())
}
