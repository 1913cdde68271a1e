//! What a session took at log-in: its scheme, its group, its domain. Interned, because a million sessions have a
//! handful of these; counted, because a changed configuration makes new ones and forgets the old when their last
//! session ends.

use model::domain::{QuotaAction, Terms};
use model::settings::{ObjectName, PinnedScheme};

/// What a session took at log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contract {
    pub(crate) scheme: PinnedScheme,
    pub(crate) terms: Terms,
    /// Of the domain as it is configured now; in the contract of a session this is not looked at.
    pub(crate) quota_out: QuotaAction,
    /// The group's place in the shard.
    pub(crate) group: u16,
    /// That of the copies; the group of those who have none: there are no copies.
    pub(crate) copy_group: u16,
    pub(crate) domain: ObjectName,
}

/// All contracts that a session or a domain of the running configuration holds.
#[derive(Default)]
pub(crate) struct Contracts {
    items: Vec<(Option<Contract>, u32)>,
}

impl Contracts {
    /// Takes hold of the contract, making it if there is none like it. `None` when 65,535 different ones live.
    pub(crate) fn hold(&mut self, contract: Contract) -> Option<u16> {
        let same = |(item, _): &(Option<Contract>, u32)| item.as_ref() == Some(&contract);
        let index = match self.items.iter().position(same) {
            Some(index) => index,
            None => {
                let index = self.items.iter().position(|(item, _)| item.is_none()).unwrap_or(self.items.len());
                if index == self.items.len() {
                    self.items.push((None, 0));
                }
                self.items[index].0 = Some(contract);
                index
            }
        };
        let number = u16::try_from(index).ok().filter(|&number| number != u16::MAX)?;
        self.items[index].1 += 1;
        Some(number)
    }

    /// One holder more of a contract that is held.
    pub(crate) fn share(&mut self, number: u16) {
        self.items[usize::from(number)].1 += 1;
    }

    /// One holder fewer.
    pub(crate) fn release(&mut self, number: u16) {
        let (item, holders) = &mut self.items[usize::from(number)];
        *holders -= 1;
        if *holders == 0 {
            *item = None;
        }
    }

    /// A contract that is held.
    ///
    /// # Panics
    /// When nobody holds it: a session outlived its contract.
    pub(crate) fn get(&self, number: u16) -> &Contract {
        self.items[usize::from(number)].0.as_ref().expect("a session holds its contract")
    }

    /// Whether a held contract names this group.
    pub(crate) fn names_group(&self, group: u16) -> bool {
        self.items
            .iter()
            .any(|(item, _)| item.as_ref().is_some_and(|item| item.group == group || item.copy_group == group))
    }
}
