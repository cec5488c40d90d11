//! Records of one kind with their two orders: by number, and by last change.

/// What every record carries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// RECORDNO.
    pub(crate) id: u32,
    /// WHENCREATED, seconds since 1970.
    pub(crate) created: u32,
    /// WHENMODIFIED; 0 where the record was created and never modified.
    pub(crate) modified: u32,
    /// Record number of the user who made and last changed it.
    pub(crate) created_by: u8,
    pub(crate) modified_by: u8,
    /// The owning entity's place among the entities, counted from 1; 0 at top level.
    pub(crate) entity: u8,
    pub(crate) private: bool,
    pub(crate) deleted: bool,
}

/// A kind of record that a [`Table`] can keep.
pub(crate) trait Row {
    fn head(&self) -> &Head;
    fn head_mut(&mut self) -> &mut Head;
}

/// Records by slot. Slots are given out in the order of record numbers and never used again.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    rows: Vec<T>,
    by_key: Vec<u32>,
    by_modified: Vec<u32>,
    changed: Vec<u32>,
    next_id: u32,
}

impl<T: Row> Table<T> {
    pub(crate) fn new(first_id: u32) -> Self {
        Self {
            rows: Vec::new(),
            by_key: Vec::new(),
            by_modified: Vec::new(),
            changed: Vec::new(),
            next_id: first_id,
        }
    }

    /// Adds a record, gives it the next record number and returns its slot.
    pub(crate) fn push(&mut self, mut row: T) -> u32 {
        let slot = self.rows.len() as u32;
        row.head_mut().id = self.next_id;
        self.next_id += 1;
        self.rows.push(row);
        self.changed.push(slot);
        slot
    }

    pub(crate) fn get(&self, slot: u32) -> &T {
        &self.rows[slot as usize]
    }

    /// The record for a change that happens at `instant`.
    pub(crate) fn change(&mut self, slot: u32, instant: u32) -> &mut T {
        self.changed.push(slot);
        let row = &mut self.rows[slot as usize];
        row.head_mut().modified = instant;
        row
    }

    /// The record for completing it while it is being made: its time of change stays.
    pub(crate) fn complete(&mut self, slot: u32) -> &mut T {
        &mut self.rows[slot as usize]
    }

    /// Makes a record one that was created and never modified.
    pub(crate) fn forget_change(&mut self, slot: u32) {
        self.changed.push(slot);
        self.rows[slot as usize].head_mut().modified = 0;
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        self.changed.push(slot);
        self.rows[slot as usize].head_mut().deleted = true;
    }

    pub(crate) fn slots(&self) -> u32 {
        self.rows.len() as u32
    }

    /// Every slot that was ever given out, with its record, deleted ones too.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &T)> {
        self.rows
            .iter()
            .enumerate()
            .map(|(slot, row)| (slot as u32, row))
    }

    /// Records that exist, by record number. Valid once the table is settled.
    pub(crate) fn by_key(&self) -> &[u32] {
        &self.by_key
    }

    /// Records that exist, by last change and record number. Valid once the table is settled.
    pub(crate) fn by_modified(&self) -> &[u32] {
        &self.by_modified
    }

    pub(crate) fn is_live(&self, slot: u32) -> bool {
        self.rows
            .get(slot as usize)
            .is_some_and(|row| !row.head().deleted)
    }

    /// Brings both orders up to date: one pass over the old order, a sort of what changed.
    pub(crate) fn settle(&mut self) {
        if self.changed.is_empty() {
            return;
        }
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let rows = &self.rows;
        let mut is_changed = vec![false; rows.len()];
        for &slot in &changed {
            is_changed[slot as usize] = true;
        }
        changed.retain(|&slot| !rows[slot as usize].head().deleted);
        merge(&mut self.by_key, &is_changed, &changed, |slot| {
            u64::from(slot)
        });
        let order = |slot: u32| {
            let head = rows[slot as usize].head();
            (u64::from(head.modified) << 32) | u64::from(head.id)
        };
        changed.sort_unstable_by_key(|&slot| order(slot));
        merge(&mut self.by_modified, &is_changed, &changed, order);
    }
}

/// Replaces the changed members of a sorted list by their new places.
fn merge(list: &mut Vec<u32>, is_changed: &[bool], sorted: &[u32], order: impl Fn(u32) -> u64) {
    let mut merged = Vec::with_capacity(list.len() + sorted.len());
    let mut added = sorted.iter().copied().peekable();
    for &slot in list.iter().filter(|&&slot| !is_changed[slot as usize]) {
        while let Some(other) = added.next_if(|&other| order(other) < order(slot)) {
            merged.push(other);
        }
        merged.push(slot);
    }
    merged.extend(added);
    *list = merged;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Thing(Head);

    impl Row for Thing {
        fn head(&self) -> &Head {
            &self.0
        }
        fn head_mut(&mut self) -> &mut Head {
            &mut self.0
        }
    }

    #[test]
    fn orders_follow_changes_and_removals() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut table = Table::new(10);
        for round in 0..200_u32 {
            for _ in 0..random.u32(0..4) {
                let head = Head {
                    modified: random.u32(0..20),
                    ..Head::default()
                };
                table.push(Thing(head));
            }
            for _ in 0..random.u32(0..3) {
                if table.slots() > 0 {
                    let slot = random.u32(0..table.slots());
                    if random.u32(0..5) == 0 {
                        table.remove(slot);
                    } else {
                        table.change(slot, random.u32(0..20) + round);
                    }
                }
            }
            table.settle();
            let live = || table.all().filter(|(_, thing)| !thing.0.deleted);
            let by_key: Vec<u32> = live().map(|(slot, _)| slot).collect();
            let mut by_modified: Vec<_> = live().map(|(s, t)| (t.0.modified, t.0.id, s)).collect();
            by_modified.sort_unstable();
            assert_eq!(table.by_key(), by_key);
            assert!(
                table
                    .by_modified()
                    .iter()
                    .eq(by_modified.iter().map(|(_, _, slot)| slot))
            );
        }
    }
}
