//! The daemon and its command line. Here is the wiring: threads, loops, files and sockets; every decision about
//! accounting is made in the pure rooms.
#![forbid(unsafe_code)]

mod args;
mod bill_server;
mod bills;
mod check;
mod cli;
mod demo;
mod exit;
mod feed;
mod help;
mod output;
mod run;
mod script;
mod secrets;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Asked-for help and version are no failure.
            let code = if error.use_stderr() { exit::USAGE } else { exit::DONE };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let done = match args.command {
        Command::Run(args) => run::run(&args),
        Command::Cli(args) => cli::cli(&args),
        Command::Feed(args) => feed::feed(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Bills(args) => bills::bills(&args),
        Command::Check(args) => check::check(&args),
        Command::Help(args) => help::help(&args),
    };
    match done {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code())
        }
    }
}
