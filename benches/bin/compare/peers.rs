//! Clients that others have written, against a server of their own.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use benches::Place;
use benches::Program;
use serde_json::Value;

use crate::servers::{Kind, SECRET, Server};

/// Requests that radclient has out at a time.
const PARALLEL: &str = "128";
/// Of header and attributes of [`packets`], before padding.
const PACKET: usize = 20 + 17 + 36 + 6 + 7 + 6 + 19 + 9 * 6;

/// What `radclient -v` says first.
///
/// # Errors
/// It is not there.
pub(crate) fn radclient_version() -> Result<String> {
    let said = Command::new("radclient").arg("-v").output();
    let said = said.context("radclient is missing: install freeradius-utils")?;
    let all = [said.stdout, said.stderr].concat();
    Ok(String::from_utf8_lossy(&all).lines().next().unwrap_or_default().to_owned())
}

/// Processor time of radclient for each of `distinct` packets of this length, each sent `repeats` times, in microseconds.
///
/// # Errors
/// It is not there, or has failed.
pub(crate) fn radclient(place: &Arc<Place>, distinct: u32, repeats: u32, length: u16) -> Result<f64> {
    radclient_version()?;
    let server = Server::start(place, Kind::Plain)?;
    let file = place.path("packets");
    std::fs::write(&file, packets(distinct, length))?;
    let mut command = Command::new("radclient");
    command.args(["-q", "-c", &repeats.to_string(), "-p", PARALLEL, "-f"]).arg(&file);
    command.args([&server.address.to_string(), "acct", SECRET]);
    let used = Program::start(place, &mut command)?.finish()?.processor_time;
    Ok(used.as_secs_f64() * 1e6 / f64::from(distinct * repeats))
}

/// Interims as radclient reads them.
fn packets(count: u32, length: u16) -> String {
    let padding = "x".repeat(usize::from(length).saturating_sub(PACKET + 2).min(253));
    let mut text = String::new();
    for number in 0..count {
        let [.., b, c] = number.to_be_bytes();
        // Infallible: it is a string.
        let _ = writeln!(
            text,
            "User-Name=user{number:07}@isp,Acct-Session-Id=BENCH00000000000000000{number:012},\
             Acct-Status-Type=Interim-Update,NAS-Identifier=BENCH,Framed-IP-Address=100.64.{b}.{c},\
             Calling-Station-Id=02-00-00-00-{b:02x}-{c:02x},NAS-Port={number},Acct-Session-Time=100,\
             Acct-Input-Octets={number},Acct-Output-Octets={number},Acct-Input-Gigawords=1,Acct-Output-Gigawords=2,\
             Acct-Input-Packets=1000,Acct-Output-Packets=2000,Event-Timestamp=1795000000,Connect-Info={padding}\n"
        );
    }
    text
}

/// The same of the client of the crate `radius`, with 64 requests in flight.
///
/// # Errors
/// It is not built, or has failed.
pub(crate) fn tokio_client(place: &Arc<Place>, count: u32, length: u16) -> Result<f64> {
    let server = Server::start(place, Kind::Plain)?;
    let mut command = place.program("tokio_client");
    command.args([&server.address.to_string(), SECRET, &count.to_string(), &length.to_string()]);
    let program = Program::start(place, &mut command);
    let said = program.context("it is built with the feature `peers`")?.finish()?.said;
    let told: Value = said.lines().find_map(|line| serde_json::from_str(line).ok()).context("it says nothing")?;
    let replies = told["replies"].as_f64().unwrap_or_default();
    ensure!(replies > 0.0, "nothing was answered");
    let used = told["processor_seconds"].as_f64().context("it does not tell its processor time")?;
    Ok(used * 1e6 / replies)
}
