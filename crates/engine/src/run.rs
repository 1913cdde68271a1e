//! A session's attributes as they are kept: in two pieces, which stand one behind the other on the wire.

use wire::radius::attribute::{Attribute, Attributes, VendorAttribute, VendorAttributes};

/// Attributes, encoded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run<'a> {
    /// What comes first: whole attributes that other sessions have alike.
    pub(crate) shared: &'a [u8],
    /// What follows: those that the session has for itself.
    pub(crate) own: &'a [u8],
}

impl<'a> Run<'a> {
    /// One attribute after the other.
    pub(crate) fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        Attributes::of_run(self.shared).chain(Attributes::of_run(self.own))
    }

    /// What vendors have defined among them.
    pub(crate) fn vendor_attributes(self) -> impl Iterator<Item = VendorAttribute<'a>> {
        let of = |piece| VendorAttributes::of(Attributes::of_run(piece));
        of(self.shared).chain(of(self.own))
    }

    /// Writes them into `room` in one piece, in place of what stands there.
    pub(crate) fn join(self, room: &mut Vec<u8>) {
        room.clear();
        room.extend_from_slice(self.shared);
        room.extend_from_slice(self.own);
    }
}
