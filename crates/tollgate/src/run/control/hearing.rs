//! One line of a client. A line has a bound, and so has the time that a client may say nothing: shells are few, and one
//! that was forgotten must not stand in somebody's way.

use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest line that a client may send, octets, its end included.
pub(super) const LINE_MAX: usize = 64 * 1024;
/// How long a client may take for a line, or to read an answer: the vendor's `idle-timeout` default.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(600);

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A line.
    Line,
    /// A line that is longer than may be; all of it was passed over.
    TooLong,
    /// Nothing, for so long that no more is expected.
    Idle,
    /// The end of the connection.
    Gone,
}

/// Reads the next line.
///
/// # Errors
///
/// Of the connection.
pub(super) async fn hear(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<Heard> {
    line.clear();
    tokio::time::timeout(IDLE_MAX, read(reader, line)).await.unwrap_or(Ok(Heard::Idle))
}

async fn read(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<Heard> {
    let mut heard = Heard::Gone;
    loop {
        let piece = reader.fill_buf().await?;
        if piece.is_empty() {
            return Ok(heard);
        }
        let end = piece.iter().position(|octet| *octet == b'\n');
        let taken = end.map_or(piece.len(), |end| end + 1);
        if heard == Heard::TooLong || line.len() + taken > LINE_MAX {
            heard = Heard::TooLong;
        } else {
            heard = Heard::Line;
            line.extend_from_slice(&piece[..taken]);
        }
        reader.consume(taken);
        if end.is_some() {
            return Ok(heard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, BufReader};

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over_whole() {
        let fits = "x".repeat(LINE_MAX - 1);
        let text = format!("one\n{fits}\n{fits}x\n{fits}{fits}{fits}\ntwo\nlast");
        let mut reader = BufReader::with_capacity(1000, text.as_bytes());
        let mut line = Vec::new();
        for (heard, expected) in [
            (Heard::Line, Some("one\n")),
            (Heard::Line, Some(&*format!("{fits}\n"))),
            (Heard::TooLong, None),
            (Heard::TooLong, None),
            (Heard::Line, Some("two\n")),
            (Heard::Line, Some("last")),
            (Heard::Gone, Some("")),
        ] {
            assert_eq!(hear(&mut reader, &mut line).await.unwrap(), heard);
            if let Some(expected) = expected {
                assert_eq!(line, expected.as_bytes());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_no_line_is_idle() {
        let (mut client, daemon) = tokio::io::duplex(64);
        let mut reader = BufReader::new(daemon);
        let mut line = Vec::new();
        client.write_all(b"half a line").await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(hear(&mut reader, &mut line).await.unwrap(), Heard::Idle);
        assert_eq!(began.elapsed(), IDLE_MAX);
    }
}
