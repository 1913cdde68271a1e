//! Criterion's benches, run for a short while, and the figures that they leave.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use benches::Place;
use benches::Program;
use serde_json::Value;

use crate::bench::Scale;

/// Nanoseconds of one operation, by the bench's full name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Where the benches of this package lie.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");

pub(crate) fn exists(bench: &str) -> bool {
    let sources = Path::new(SOURCES);
    sources.join(format!("{bench}.rs")).exists() || sources.join(bench).join("main.rs").exists()
}

/// Compiles these benches, which is not to be done beside anything that is measured.
///
/// # Errors
/// They do not compile.
pub(crate) fn build(place: &Arc<Place>, benches: &[&str]) -> Result<()> {
    Program::start(place, cargo(benches).arg("--no-run"))?.finish()?;
    Ok(())
}

/// Runs these benches one after the other.
///
/// # Errors
/// One of them has failed.
pub(crate) fn run(place: &Arc<Place>, scale: Scale, benches: &[&str]) -> Result<Figures> {
    let home = place.path("criterion");
    let mut command = cargo(benches);
    command.args(["--", "--quick", "--noplot"]).env("CRITERION_HOME", &home).env("BENCH_DIR", place.directory());
    // What these print beside criterion's figures is not read here, and need not be large.
    command.env("RECOVERY_SESSIONS", scale.sessions().to_string()).env("DAY_SESSIONS", "1000");
    Program::start(place, &mut command)?.finish()?;
    let mut figures = Figures::new();
    collect(&home, &mut figures)?;
    Ok(figures)
}

/// With the features that the programs are built with, so that nothing is built twice.
fn cargo(benches: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["bench", "--quiet", "--package", "benches", "--features", "peers"]);
    command.args(benches.iter().flat_map(|bench| ["--bench", bench]));
    command
}

fn collect(directory: &Path, figures: &mut Figures) -> Result<()> {
    let newest = directory.join("new");
    if let (Some(bench), Some(estimates)) = (read(&newest.join("benchmark.json")), read(&newest.join("estimates.json")))
    {
        let operations = bench["throughput"]["Elements"].as_f64().unwrap_or(1.0);
        let name = bench["full_id"].as_str().unwrap_or_default().to_owned();
        if let Some(nanoseconds) = estimates["median"]["point_estimate"].as_f64() {
            figures.insert(name, nanoseconds / operations);
        }
        return Ok(());
    }
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, figures)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
