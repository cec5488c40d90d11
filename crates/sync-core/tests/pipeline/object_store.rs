//! A pipeline whose payloads lie in an object store, also in one that cannot write conditionally.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use sync_core::clock::ManualClock;
use sync_core::pipeline::{Pipeline, RunReport};
use sync_core::spool::{ObjectStoreSpool, Ownership, Spool, verify};
use sync_core::{DeleteDetection, Digest};
use time::{Duration, OffsetDateTime};

use crate::spool::in_runtime;
use crate::world::*;

/// As some stores are: what is asked for on a condition is refused.
#[derive(Debug, Default)]
struct Unconditional(InMemory);

impl fmt::Display for Unconditional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store without conditions")
    }
}

#[async_trait]
impl ObjectStore for Unconditional {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        if options.mode != PutMode::Overwrite {
            return Err(Error::NotImplemented {
                operation: "a conditional put".into(),
                implementer: self.to_string(),
            });
        }
        self.0.put_opts(location, payload, options).await
    }
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }
    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.0.get_opts(location, options).await
    }
    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(locations)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.0.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }
    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[test]
fn a_pipeline_keeps_its_payloads_in_any_object_store() {
    let conditional = Arc::new(InMemory::new()) as Arc<dyn ObjectStore>;
    let unconditional = Arc::new(Unconditional::default());
    for (store, ownership) in [
        (conditional, Ownership::Sole),
        (unconditional as _, Ownership::Unknown),
    ] {
        let spool = Arc::new(ObjectStoreSpool::new(store, "").unwrap());
        let world = World::new(3, DeleteDetection::KeySet);
        for key in 0..8 {
            world.books.set(key, 5);
        }
        world.books.pass(3600);
        let run = |time: OffsetDateTime| -> RunReport {
            let store = Arc::new(open_store(world.folder.path()));
            let mut parts = world.parts(Arc::clone(&world.warehouse) as _, store);
            parts.spool = Arc::clone(&spool) as _;
            let clock = Arc::new(ManualClock::at(time));
            let pipeline: Pipeline = world.pipeline_of(parts, |_| ()).with_clock(clock);
            in_runtime(async { pipeline.run().await.unwrap() })
        };
        let verified = || {
            let spool = Arc::clone(&spool);
            world.with_store(|store| async move { verify(&store, &*spool).await.unwrap() })
        };
        assert!(run(OffsetDateTime::UNIX_EPOCH).ties_out());
        let found = verified();
        assert_eq!((found.whole, found.is_intact()), (3, true), "{found:?}");

        world.books.set(2, 6);
        world.books.pass(3600);
        assert!(run(OffsetDateTime::UNIX_EPOCH + Duration::days(2)).ties_out());
        let found = verified();
        assert_eq!((found.whole, found.is_intact()), (0, true), "{found:?}");
        let left = in_runtime(async { spool.list().await.unwrap() });
        assert_eq!(left, []);
        let claim = in_runtime(async { spool.claim(Digest::from_bytes([7; 32])).await.unwrap() });
        let expected = match ownership {
            Ownership::Sole => Ownership::Shared,
            other => other,
        };
        assert_eq!(claim, expected);
    }
}
