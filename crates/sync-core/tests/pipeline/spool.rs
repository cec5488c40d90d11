//! The spool: what every kind of it promises, and what the pipeline does about one that is damaged, full,
//! or keeps more than it should.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_ipc::writer::FileWriter;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use sync_core::spool::{FolderSpool, Ownership, Spool, Spooled, verify};
use sync_core::store::{BatchStore as _, LedgerStore as _, ProgressStore as _, UnsettledBatch};
use sync_core::{
    Batch, BatchId, BatchPlace, Capabilities, ControlTotals, DeleteDetection, Digest, ErrorKind,
    Finding, FlushReceipt, Landed, Operation, ReadRequest, Receipt, Result, SchemaPlan, Sink,
    Source as _, StreamDescriptor, StreamName, TotalsQuery, Window,
};
use time::OffsetDateTime;

use crate::world::*;

/// A spool, and a way past it to what lies there.
struct Kept {
    spool: Arc<dyn Spool>,
    raw: Raw,
}

enum Raw {
    Folder(PathBuf),
    #[cfg(feature = "object-store")]
    Store(Arc<dyn object_store::ObjectStore>),
}

impl Kept {
    /// One of each kind.
    fn each(folder: &Path) -> Vec<Self> {
        #[cfg_attr(not(feature = "object-store"), expect(unused_mut))]
        let mut kinds = vec![Self {
            spool: Arc::new(FolderSpool::open(folder.join("own")).unwrap()),
            raw: Raw::Folder(folder.join("own")),
        }];
        #[cfg(feature = "object-store")]
        {
            use object_store::local::LocalFileSystem;
            use object_store::memory::InMemory;
            use sync_core::spool::ObjectStoreSpool;
            let local = folder.join("local");
            std::fs::create_dir(&local).unwrap();
            let local = LocalFileSystem::new_with_prefix(local).unwrap();
            let stores: [Arc<dyn object_store::ObjectStore>; 2] =
                [Arc::new(InMemory::new()), Arc::new(local)];
            kinds.extend(stores.map(|store| Self {
                spool: Arc::new(ObjectStoreSpool::new(Arc::clone(&store), "books/spool").unwrap()),
                raw: Raw::Store(store),
            }));
        }
        kinds
    }

    #[cfg_attr(not(feature = "object-store"), expect(clippy::unused_async))]
    async fn read(&self, name: &str) -> Vec<u8> {
        match &self.raw {
            Raw::Folder(folder) => std::fs::read(folder.join(name)).unwrap(),
            #[cfg(feature = "object-store")]
            Raw::Store(store) => {
                use object_store::ObjectStoreExt as _;
                let path = format!("books/spool/{name}").into();
                let found = store.get(&path).await.unwrap();
                found.bytes().await.unwrap().into()
            }
        }
    }

    #[cfg_attr(not(feature = "object-store"), expect(clippy::unused_async))]
    async fn write(&self, name: &str, bytes: Vec<u8>) {
        match &self.raw {
            Raw::Folder(folder) => {
                std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
                std::fs::write(folder.join(name), bytes).unwrap();
            }
            #[cfg(feature = "object-store")]
            Raw::Store(store) => {
                use object_store::ObjectStoreExt as _;
                let path = format!("books/spool/{name}").into();
                store.put(&path, bytes.into()).await.unwrap();
            }
        }
    }

    async fn names(&self) -> Vec<String> {
        let listed = self.spool.list().await.unwrap();
        let mut names: Vec<_> = listed.into_iter().map(|it| it.name).collect();
        names.sort();
        names
    }
}

/// A batch of so many entries, cut at this time.
fn batch(records: i64, seconds: i64) -> Batch {
    let books = Books::new(1000, DeleteDetection::KeySet);
    for key in 0..records {
        books.set(key, i128::from(key) * 101);
    }
    let stream = Arc::new(books.descriptor());
    let at = |seconds| OffsetDateTime::from_unix_timestamp(START + seconds).unwrap();
    let window = Window {
        from: None,
        until: at(60),
    };
    let page = in_runtime(async {
        let mut pages = books.read(ReadRequest::changes(Arc::clone(&stream), window, None));
        pages.next().await.unwrap().unwrap()
    });
    let place = BatchPlace {
        pipeline: "test".into(),
        company: "DEMO".into(),
        operation: Operation::Upsert,
        window,
        ordinal: 0,
    };
    Batch::new(stream, place, &page.rows, at(seconds)).unwrap()
}

pub(crate) fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(work)
}

#[test]
fn what_is_put_comes_back_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (batch, later) = (batch(1000, 60), batch(1000, 61));
    assert_eq!(batch.id(), later.id());
    for kept in Kept::each(folder.path()) {
        let spool = &kept.spool;
        in_runtime(async {
            assert_eq!(kept.names().await, [""; 0]);
            let spooled = spool.put(&batch).await.unwrap();
            assert_eq!(spool.put(&batch).await.unwrap(), spooled);
            assert_eq!(&spool.get(&spooled).await.unwrap(), batch.rows());
            // Compressed, and as long and as hashed as it says.
            let bytes = kept.read(&spooled.name).await;
            assert!(bytes.len() * 2 < batch.rows().get_array_memory_size());
            assert_eq!(bytes.len() as u64, spooled.bytes);
            assert_eq!(Sha256::digest(&bytes)[..], spooled.digest.as_bytes()[..]);

            let other = spool.put(&later).await.unwrap();
            let mut names = [spooled.name.clone(), other.name.clone()];
            names.sort();
            assert_eq!(kept.names().await, names);
            for _ in 0..2 {
                spool.remove(&spooled.name).await.unwrap();
                let error = spool.get(&spooled).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            }
            assert_eq!(&spool.get(&other).await.unwrap(), later.rows());
        });
    }
}

#[test]
fn a_spool_knows_whether_more_than_one_store_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = [1, 2].map(|byte| Digest::from_bytes([byte; 32]));
    for kept in Kept::each(folder.path()) {
        in_runtime(async {
            for _ in 0..2 {
                assert_eq!(kept.spool.claim(one).await.unwrap(), Ownership::Sole);
            }
            for store in [other, other, one] {
                assert_eq!(kept.spool.claim(store).await.unwrap(), Ownership::Shared);
            }
            // What stands there is no payload that nobody names.
            assert_eq!(kept.names().await, [""; 0]);
        });
    }
}

#[test]
fn a_payload_of_an_older_version_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let batch = batch(100, 60);
    let mut writer = FileWriter::try_new(Vec::new(), batch.rows().schema_ref()).unwrap();
    writer.write(batch.rows()).unwrap();
    let bytes = writer.into_inner().unwrap();
    let spooled = Spooled {
        name: format!("entry/{}.arrow", batch.id()),
        bytes: bytes.len() as u64,
        digest: Digest::from_bytes(Sha256::digest(&bytes).into()),
    };
    for kept in Kept::each(folder.path()) {
        in_runtime(async {
            kept.write(&spooled.name, bytes.clone()).await;
            assert_eq!(&kept.spool.get(&spooled).await.unwrap(), batch.rows());
        });
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Changed(prop::sample::Index, u8),
    Removed(prop::sample::Index),
    Added(prop::sample::Index, u8),
}

impl Damage {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            (at(), 1..=u8::MAX).prop_map(|(at, by)| Self::Changed(at, by)),
            at().prop_map(Self::Removed),
            (at(), any::<u8>()).prop_map(|(at, byte)| Self::Added(at, byte)),
        ]
    }

    pub(crate) fn done_to(&self, bytes: &[u8]) -> Vec<u8> {
        let (length, mut bytes) = (bytes.len(), bytes.to_vec());
        match self {
            Self::Changed(at, by) => bytes[at.index(length)] ^= by,
            Self::Removed(at) => drop(bytes.remove(at.index(length))),
            Self::Added(at, byte) => bytes.insert(at.index(length + 1), *byte),
        }
        bytes
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn one_byte_anywhere_in_a_payload_is_found_and_mended_by_putting_it_again(
        damage in Damage::any(), records in 0i64..40,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let batch = batch(records.max(1), 60);
        for kept in Kept::each(folder.path()) {
            in_runtime(async {
                let spooled = kept.spool.put(&batch).await.unwrap();
                let damaged = damage.done_to(&kept.read(&spooled.name).await);
                kept.write(&spooled.name, damaged).await;
                let error = kept.spool.get(&spooled).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Data, "{error}");
                assert!(error.to_string().contains(&spooled.name), "{error}");

                assert_eq!(kept.spool.put(&batch).await.unwrap(), spooled);
                assert_eq!(&kept.spool.get(&spooled).await.unwrap(), batch.rows());
            });
        }
    }
}

/// A destination that never answers a write, whether or not it did what it was asked to.
#[derive(Debug)]
struct Mute {
    warehouse: Arc<Warehouse>,
    writes: bool,
}

#[async_trait]
impl Sink for Mute {
    fn name(&self) -> &str {
        self.warehouse.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.warehouse.capabilities()
    }
    async fn check(&self) -> Result<Vec<Finding>> {
        self.warehouse.check().await
    }
    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan> {
        self.warehouse.plan(stream).await
    }
    async fn prepare(&self, plan: &SchemaPlan) -> Result<()> {
        self.warehouse.prepare(plan).await
    }
    async fn write(&self, batch: &Batch) -> Result<Receipt> {
        if self.writes {
            self.warehouse.write(batch).await?;
        }
        std::future::pending().await
    }
    async fn flush(&self, stream: &StreamName) -> Result<FlushReceipt> {
        self.warehouse.flush(stream).await
    }
    async fn lookup(&self, batch: &BatchId) -> Result<Landed> {
        self.warehouse.lookup(batch).await
    }
    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        self.warehouse.control_totals(query).await
    }
}

/// A run that was killed with two batches on their way: the first was sent, perhaps with effect, and
/// between them lies what the destination has, which moves no cursor before the first is settled.
fn killed_with_two_on_their_way(writes: bool) -> (World, Vec<UnsettledBatch>) {
    let world = World::new(3, DeleteDetection::KeySet);
    for key in 0..6 {
        world.books.set(key, i128::from(key) + 1);
    }
    world.books.pass(3600);
    world.run_whole();
    for key in 20..23 {
        // They became visible late.
        let (modified, cents) = (START - 60, 7);
        let mut entries = world.books.entries.lock().unwrap();
        entries.insert(key, Entry { modified, cents });
    }
    for key in 30..33 {
        world.books.set(key, 9);
    }
    world.books.pass(3600);
    let unsettled = in_runtime(async {
        let warehouse = Arc::clone(&world.warehouse);
        let sink = Arc::new(Mute { warehouse, writes });
        let store = Arc::new(open_store(world.folder.path()));
        let pipeline = world.pipeline_between(sink, Arc::clone(&store) as _);
        let run = tokio::spawn(async move { pipeline.run().await });
        let unsettled = loop {
            let unsettled = store.unsettled(&scope()).await.unwrap();
            let sent = world.warehouse.state.lock().unwrap().rows.contains_key(&20);
            if unsettled.len() == 2 && sent == writes {
                break unsettled;
            }
            tokio::task::yield_now().await;
        };
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
        let open = store.checkpoint(&scope()).await.unwrap().open.unwrap();
        assert_eq!(open.cursor, None);
        unsettled
    });
    (world, unsettled)
}

#[test]
fn a_batch_whose_payload_is_lost_is_read_again_and_arrives_once() {
    let cases = [&[0][..], &[1], &[0, 1]].into_iter().enumerate();
    for ((case, lost), writes) in cases.flat_map(|it| [(it, false), (it, true)]) {
        let (world, unsettled) = killed_with_two_on_their_way(writes);
        for one in lost {
            let file = world.folder.path().join("spool");
            let file = file.join(&unsettled[*one].batch.spooled.name);
            match case {
                0 => std::fs::remove_file(file).unwrap(),
                1 => std::fs::write(file, "").unwrap(),
                _ => {
                    let mut bytes = std::fs::read(&file).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    std::fs::write(file, bytes).unwrap();
                }
            }
        }
        let report = world.run_whole();
        let stream = &report.streams[0];
        assert_eq!(stream.given_up, lost.len() as u64, "{lost:?}: {stream:?}");
        assert_eq!(stream.recovered, 2 - lost.len() as u64);
        assert!(report.ties_out(), "{lost:?}: {report:?}");
        world.assert_equal();
        let spool = FolderSpool::open(world.folder.path().join("spool")).unwrap();
        let (entries, found) = world.with_store(|store| async move {
            let found = verify(&store, &spool).await.unwrap();
            (store.entries(0, 999).await.unwrap(), found)
        });
        assert!(found.is_intact(), "{lost:?}: {found:?}");
        let told = entries.iter().filter(|it| it.kind == "batch_given_up");
        let told: Vec<_> = told.map(|it| it.body.as_str()).collect();
        assert_eq!(told.len(), lost.len());
        for (body, one) in told.iter().zip(lost) {
            let landed = format!("\"landed\":{}", writes && *one == 0);
            for part in [&unsettled[*one].batch.id.to_string(), &landed] {
                assert!(body.contains(part), "{part} in {body}");
            }
        }
    }
}
