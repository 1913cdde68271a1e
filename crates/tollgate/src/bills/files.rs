//! Bill files that have left the box, with their manifests beside them.

use std::io::Write;
use std::path::{Path, PathBuf};

use ledger::bill::Manifest;
use ledger::verify::bill_file;

use super::words::file_fault;
use super::{Shape, write_out};
use crate::exit::{Failure, Outcome};

/// Prints what there is to print of files: their manifests, or themselves.
pub(super) fn print(files: &[PathBuf], shape: &Shape, out: &mut impl Write) -> Outcome {
    for path in files {
        let text = match shape {
            Shape::List => manifest(path)?.to_json(),
            Shape::Show(ids) if ids.is_empty() => String::from_utf8_lossy(&read(path)?).into_owned(),
            Shape::Show(_) => return Err(Failure::usage("bills are found by id in a store, not in files")),
            Shape::File(_) => return Err(Failure::usage("these files are exports already")),
        };
        write_out(out, text.trim_end_matches('\n'))?;
        write_out(out, "\n")?;
    }
    Ok(())
}

/// Holds every file against its manifest.
#[expect(clippy::print_stdout, reason = "the answer of the command")]
pub(super) fn verify(files: &[PathBuf]) -> Outcome {
    let mut sound = true;
    for path in files {
        let verdict = bill_file(&read(path)?, &manifest(path)?);
        let name = path.display();
        for fault in &verdict.faults {
            println!("{name}: {}", file_fault(fault));
        }
        if verdict.faults.is_empty() {
            println!("{name}: {} bills, complete and undamaged", verdict.bills);
        }
        sound &= verdict.faults.is_empty();
    }
    if sound { Ok(()) } else { Err(Failure::failed("a bill file is damaged or incomplete")) }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))
}

fn manifest(path: &Path) -> Result<Manifest, Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".manifest");
    let beside = PathBuf::from(beside);
    Manifest::parse(&read(&beside)?).map_err(|_| Failure::failed(format!("{} is no manifest", beside.display())))
}
