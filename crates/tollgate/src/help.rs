//! `tollgate help`: commands of the shell and the configuration, explained by their declarations.

use crate::args::HelpArgs;
use crate::exit::{Failure, Outcome};
use crate::output::print;

/// Prints every command that the words may mean.
pub(crate) fn help(args: &HelpArgs) -> Outcome {
    let words: Vec<&str> = args.words.iter().flat_map(|word| word.split_ascii_whitespace()).collect();
    match vrp::reference::help_text(&words) {
        Some(text) => print(&text),
        None => {
            Err(Failure::usage(format!("no command begins with '{}'; `tollgate help` lists them", words.join(" "))))
        }
    }
}
