//! What commands say to whoever started them. A reader that has gone away (`tollgate bills list | head`) had enough:
//! the command ends quietly, and no word of it is a reason to panic.

use std::io::{ErrorKind, Write};

use crate::exit::{FAILED, Failure, Outcome};

/// Says something on standard output, at once.
pub(crate) fn print(text: &str) -> Outcome {
    write_out(&mut std::io::stdout().lock(), text)
}

/// Says something on `out`, at once.
pub(crate) fn write_out(out: &mut impl Write, text: &str) -> Outcome {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Said(FAILED)),
        Err(error) => Err(Failure::failed(format!("cannot write: {error}"))),
    }
}

/// Says a line on standard error. Nobody is left to hear that this failed.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses every octet.
    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_a_reader_that_had_enough_is_no_matter_of_words() {
        assert!(matches!(write_out(&mut Refusing(ErrorKind::BrokenPipe), "x"), Err(Failure::Said(FAILED))));
        assert!(matches!(write_out(&mut Refusing(ErrorKind::StorageFull), "x"), Err(Failure::Failed(_))));
        let mut taken = Vec::new();
        assert!(write_out(&mut taken, "all of it").is_ok());
        assert_eq!(taken, b"all of it");
    }
}
