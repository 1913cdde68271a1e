//! Bill files that have left the box, with their manifests beside them.

use std::io::Write;
use std::path::{Path, PathBuf};

use ledger::bill::Manifest;

use super::{Form, Shape};
use crate::args::StoreArgs;
use crate::exit::{Failure, Outcome};
use crate::output::write_out;

/// Prints what there is to print of files: their manifests, or themselves.
pub(super) fn print(args: &StoreArgs, shape: &Shape, out: &mut impl Write) -> Outcome {
    if !shape.ids.is_empty() {
        return Err(Failure::usage("bills are found by id in a store, not in files"));
    }
    if args.unbilled {
        // What waits for a pool never was in a file.
        return Ok(());
    }
    for path in &args.files {
        let manifest = manifest(path)?;
        if shape.form == Form::List {
            write_out(out, &manifest.to_json())?;
            continue;
        }
        // `detail` is also what `export` means when no form is named, and then a file is what it is.
        if args.format.is_some() && shape.form.format() != Some(manifest.format) {
            let (path, format) = (path.display(), manifest.format.as_str());
            return Err(Failure::failed(format!("{path} is {format}: only its store can write another form")));
        }
        write_out(out, &String::from_utf8_lossy(&read(path)?))?;
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))
}

pub(super) fn manifest(path: &Path) -> Result<Manifest, Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".manifest");
    let beside = PathBuf::from(beside);
    Manifest::parse(&read(&beside)?).map_err(|_| Failure::failed(format!("{} is no manifest", beside.display())))
}
