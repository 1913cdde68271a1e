//! Writes the seeds of every target to a directory each, `corpus` unless another one is named, where the fuzzer starts from them.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let corpus = env::args_os().nth(1).map(PathBuf::from);
    let corpus = corpus.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus"));
    for target in fuzz::TARGETS {
        let directory = corpus.join(target.name);
        fs::create_dir_all(&directory)?;
        let seeds = (target.seeds)();
        for (number, octets) in seeds.iter().enumerate() {
            fs::write(directory.join(format!("seed-{number:03}")), octets)?;
        }
        println!("{} seeds in {}", seeds.len(), directory.display());
    }
    Ok(())
}
