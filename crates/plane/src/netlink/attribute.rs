//! The attributes of a message.

use super::{Malformed, split_padded, u16_at};

const HEADER_BYTES: usize = 4;
/// The bits above are flags: nested, big-endian.
const KIND: u16 = 0x3fff;

/// Attributes, each a type and a value, in order; an error is the last item.
#[derive(Clone, Debug)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Attributes<'a> {
        Attributes { rest: octets }
    }

    fn split(&mut self) -> Option<(u16, &'a [u8])> {
        let (length, kind) = (u16_at(self.rest, 0)?, u16_at(self.rest, 2)?);
        let (attribute, rest) = split_padded(self.rest, length.into())?;
        self.rest = rest;
        Some((kind & KIND, attribute.get(HEADER_BYTES..)?))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let attribute = self.split().ok_or(Malformed::Attribute);
        if attribute.is_err() {
            self.rest = &[];
        }
        Some(attribute)
    }
}
