//! A state directory that lasts as long as the demo.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// A fresh directory, removed with all that is in it when it is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn create() -> Result<Scratch, Failure> {
        let path = std::env::temp_dir().join(format!("tollgate-demo-{}", std::process::id()));
        // Not recursive, so that what somebody else has put there is refused.
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Scratch(path)),
            Err(error) => {
                Err(Failure::failed(format!("cannot make the scratch directory {}: {error}", path.display())))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
