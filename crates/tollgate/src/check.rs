//! `tollgate check FILE`.

use crate::args::CheckArgs;
use crate::exit::{Failure, Outcome};
use crate::output::print;
use crate::secrets::{KeySealer, NoKey};

/// Validates a configuration: a line for each error, with its line number; warnings are no errors.
pub(crate) fn check(args: &CheckArgs) -> Outcome {
    let file = args.file.display();
    let text =
        std::fs::read_to_string(&args.file).map_err(|error| Failure::usage(format!("cannot read {file}: {error}")))?;
    let sealer: Box<dyn vrp::Sealer> = match &args.key_file {
        Some(path) => Box::new(KeySealer::load(path)?),
        None => Box::new(NoKey),
    };
    let settings = vrp::config::read(&text, &*sealer).map_err(|errors| configuration_errors(&args.file, &errors))?;
    for finding in vrp::check(&settings) {
        print(&format!("{file}: {}\n", finding.problem))?;
    }
    print(&format!("{file}: the configuration is correct\n"))
}

/// A line for each wrong line of a configuration: place, message, and the line itself with secrets hidden.
pub(crate) fn configuration_errors(file: &std::path::Path, errors: &[vrp::config::LineError]) -> Failure {
    let line = |error: &vrp::config::LineError| {
        format!("{}:{}: {} in \"{}\"", file.display(), error.number, error.error.fault, error.error.line.trim())
    };
    Failure::Usage(errors.iter().map(line).collect())
}
