//! Which slots a service that shrinks keeps.

use crate::fleet::Slot;
use std::collections::BTreeMap;

/// What scaling down looks at in a slot that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// Which.
    pub slot: Slot,
    /// Some task in it runs.
    pub runs: bool,
    /// The node of its only task; `None` where it holds several.
    pub node: Option<u32>,
}

/// The slots in the order in which they are kept: those that run before those that do not, spread over the nodes, low
/// numbers first. The original leaves open which of equals comes first; here it is the lowest number.
pub fn in_order_of_keeping(mut slots: Vec<Occupied>) -> Vec<Slot> {
    slots.sort_by_key(|occupied| (!occupied.runs, occupied.slot));
    let mut on_node: BTreeMap<u32, u32> = BTreeMap::new();
    let nth_on_its_node = |occupied: Occupied| {
        let nth = occupied.node.map_or(u32::MAX, |node| {
            let count = on_node.entry(node).or_default();
            *count += 1;
            *count
        });
        (nth, occupied.slot)
    };
    let mut ranked: Vec<(u32, Slot)> = slots.into_iter().map(nth_on_its_node).collect();
    ranked.sort_by_key(|(nth, _)| *nth); // Stable: among equals those that run stay first.
    ranked.into_iter().map(|(_, slot)| slot).collect()
}
