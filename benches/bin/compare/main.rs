//! The daemon beside the floor of the machine and beside other clients, all in one run: the same server, packets of the same
//! length, the same machine. Prints a table in Markdown, with `--json` writes it as JSON as well, and with `--pictures` draws
//! the two pictures of the manual.
//!
//! ```text
//!   subscribers ──link──▶ tollgate ──▶ sink ◀── floor, radclient, tokio_client
//!                            │                       │
//!                     processor time of all threads, per acknowledged interim
//! ```
//!
//! Floor and daemon take turns, and medians are shown; figures drift between machines and hours, ratios do not. It ends with
//! status 1 only when something could not be measured, after all the rest.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for scripts")]

mod bench;
mod cores;
mod criterion;
mod crowd;
mod daemon;
mod floor;
mod length;
mod machine;
mod peers;
mod pictures;
mod rows;
mod run;
mod samples;
mod servers;
mod stage;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use benches::Place;
use clap::Parser;

use crate::bench::{Bench, Scale};
use crate::run::{ROWS, Run};
use crate::table::Table;

#[derive(Parser)]
#[command(name = "scripts/bench", about = "The daemon beside the floor of the machine and beside other clients.")]
struct Plan {
    /// A tenth of the sessions and of the time
    #[arg(long)]
    quick: bool,
    /// Only these rows
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_parser = ROWS)]
    only: Vec<String>,
    /// The table as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The pictures of the rows growth and paced
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
}

fn main() -> ExitCode {
    match compare(&Plan::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True: everything was measured.
fn compare(plan: &Plan) -> Result<bool> {
    let (place, load) = (Place::new()?, machine::load());
    if let Some(directory) = &plan.pictures {
        std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    }
    let length = length::mean(&place).context("the length of an interim")?;
    let bench = Bench::new(place.clone(), Scale { quick: plan.quick }, length);
    let rows = Run::new(bench, plan.only.clone(), plan.pictures.clone()).rows();
    let mut machine = machine::described(&place);
    machine.push(load);
    let table = Table { rows, machine };
    print!("{}", table.markdown());
    if let Some(file) = &plan.json {
        let text = serde_json::to_string_pretty(&table.json())?;
        std::fs::write(file, text + "\n").with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(!table.rows.iter().any(table::Row::has_failed))
}
