//! What was prepared for a sink and is not settled: by key, the state that the sink is going to have.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use crate::batch::{Batch, RecordKey};
use crate::id::RecordId;

/// Batches whose records are known one by one; those of older ones are only remembered to be some.
const KNOWN_BATCHES: usize = 8;

/// Bits of the memory of older ones: 2 MiB, whatever their number. At ten million keys one in three
/// others is taken for one of them, and sent again for nothing.
const SKETCH_BITS: u64 = 1 << 24;

/// The records on their way to one sink, in memory that has a limit.
///
/// The store's index tells what a sink *has*. Whether a record must be sent is a question of what it
/// *will have* once all that waits has arrived, so what waits is asked first:
///
/// - The record is in one of the newest batches: its state there is the answer.
/// - It may be in an older one: it is sent. A sketch (a Bloom filter) never forgets a key, and where it
///   takes another for one of its own, a record is sent that need not be, which changes nothing.
/// - It is in none: the index is right, also about what it does not have.
#[derive(Debug)]
pub(super) struct UnderWay {
    hash: RandomState,
    known: VecDeque<Known>,
    older: Option<Sketch>,
}

#[derive(Debug)]
struct Known {
    ordinal: u64,
    states: HashMap<u64, RecordId>,
}

#[derive(Debug)]
struct Sketch {
    /// The last of the batches that are in it.
    newest: u64,
    bits: Vec<u64>,
}

/// What waits of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Nothing.
    No,
    /// This state is the last that was prepared.
    State(RecordId),
    /// Something may.
    Perhaps,
}

impl UnderWay {
    pub(super) fn new() -> Self {
        Self {
            hash: RandomState::new(),
            known: VecDeque::new(),
            older: None,
        }
    }

    /// A batch was prepared.
    pub(super) fn add(&mut self, batch: &Batch) {
        let records = batch.keys().iter().zip(batch.record_ids());
        let states = records.map(|(key, id)| (self.hash.hash_one(key), *id));
        let (ordinal, states) = (batch.place().ordinal, states.collect());
        self.known.push_back(Known { ordinal, states });
        if self.known.len() > KNOWN_BATCHES
            && let Some(oldest) = self.known.pop_front()
        {
            let sketch = self.older.get_or_insert_with(Sketch::new);
            sketch.newest = oldest.ordinal;
            for hash in oldest.states.into_keys() {
                sketch.insert(hash);
            }
        }
    }

    /// Everything before this number was settled, as the index tells by now.
    pub(super) fn settled_before(&mut self, ordinal: u64) {
        while self
            .known
            .front()
            .is_some_and(|batch| batch.ordinal < ordinal)
        {
            self.known.pop_front();
        }
        self.older.take_if(|older| older.newest < ordinal);
    }

    pub(super) fn waiting(&self, key: &RecordKey) -> Waiting {
        let hash = self.hash.hash_one(key);
        // Should two keys have one hash, the ids of their states differ, and both are sent.
        let mut newest_first = self.known.iter().rev();
        if let Some(id) = newest_first.find_map(|batch| batch.states.get(&hash)) {
            return Waiting::State(*id);
        }
        match &self.older {
            Some(older) if older.contains(hash) => Waiting::Perhaps,
            _ => Waiting::No,
        }
    }
}

impl Sketch {
    fn new() -> Self {
        Self {
            newest: 0,
            bits: vec![0; (SKETCH_BITS / 64) as usize],
        }
    }

    fn insert(&mut self, hash: u64) {
        for (word, bit) in places(hash) {
            self.bits[word] |= bit;
        }
    }

    fn contains(&self, hash: u64) -> bool {
        places(hash).all(|(word, bit)| self.bits[word] & bit != 0)
    }
}

/// Two bits for each key.
fn places(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    [hash, hash.rotate_left(32)].into_iter().map(|half| {
        let place = half % SKETCH_BITS;
        ((place / 64) as usize, 1 << (place % 64))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow_array::{Int64Array, RecordBatch};
    use arrow_schema::{DataType, Field, Schema};
    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::*;
    use crate::batch::{BatchPlace, Operation};
    use crate::stream::{StreamDescriptor, StreamName};
    use crate::window::Window;

    fn batch(ordinal: u64, records: &BTreeMap<i64, i64>) -> Batch {
        let field = |name| Field::new(name, DataType::Int64, false);
        let schema = Arc::new(Schema::new(vec![field("key"), field("state")]));
        let name = StreamName::new("entry").unwrap();
        let stream = StreamDescriptor::new(name, Arc::clone(&schema), vec!["key".into()]).unwrap();
        let until = OffsetDateTime::UNIX_EPOCH;
        let place = BatchPlace {
            pipeline: "test".into(),
            company: "DEMO".into(),
            operation: Operation::Upsert,
            window: Window { from: None, until },
            ordinal,
        };
        let (keys, states): (Vec<i64>, Vec<i64>) = records.iter().unzip();
        let (keys, states) = (Int64Array::from(keys), Int64Array::from(states));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(keys), Arc::new(states)]).unwrap();
        Batch::new(Arc::new(stream), place, &rows, until).unwrap()
    }

    proptest! {
        /// However many batches wait: what waits is never said not to, and a state that is given is the
        /// last one prepared.
        #[test]
        fn nothing_that_waits_is_forgotten(
            batches in prop::collection::vec(prop::collection::btree_map(0i64..40, 0i64..3, 1..6), 1..30),
            settled in 0u64..30,
        ) {
            let mut under_way = UnderWay::new();
            let mut last = BTreeMap::new();
            for (ordinal, records) in (0..).zip(&batches) {
                let batch = batch(ordinal, records);
                for (key, id) in batch.keys().iter().zip(batch.record_ids()) {
                    last.insert(key.clone(), (ordinal, *id));
                }
                under_way.add(&batch);
            }
            under_way.settled_before(settled);
            for (key, (ordinal, id)) in &last {
                let waiting = under_way.waiting(key);
                let whole = under_way.known.iter().any(|known| known.ordinal == *ordinal);
                prop_assert!(match waiting {
                    Waiting::No => *ordinal < settled,
                    Waiting::State(state) => whole && state == *id,
                    Waiting::Perhaps => !whole && under_way.older.is_some(),
                }, "{key}: {waiting:?}");
            }
            under_way.settled_before(batches.len() as u64);
            prop_assert!(under_way.known.is_empty() && under_way.older.is_none());
        }
    }
}
