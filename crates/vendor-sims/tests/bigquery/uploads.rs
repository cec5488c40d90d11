//! Resumable uploads.

use serde_json::{Value, json};
use vendor_sims::bigquery::{Fault, FaultScript, Rule};

use crate::caller::{Caller, load_job};

const GRAIN: usize = 262_144;

struct Upload<'a> {
    caller: &'a Caller,
    session: String,
}

/// What a piece was answered with: status, last stored byte, body.
type Piece = (u16, Option<String>, Value);

impl<'a> Upload<'a> {
    async fn begin(caller: &'a Caller, id: &str, length: usize) -> Self {
        let response = caller
            .request(
                "POST",
                "/upload/bigquery/v2/projects/p/jobs?uploadType=resumable",
            )
            .header("content-type", "application/json; charset=UTF-8")
            .header("x-upload-content-type", "application/octet-stream")
            .header("x-upload-content-length", length)
            .body(load_job(id, "t", json!({})).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let place = response.headers()["location"].to_str().unwrap();
        let session = place
            .strip_prefix(caller.simulator.url())
            .unwrap()
            .to_owned();
        Self { caller, session }
    }

    async fn put(&self, range: &str, body: &[u8]) -> Piece {
        let request = self.caller.request("PUT", &self.session);
        let response = request
            .header("content-range", range)
            .body(body.to_vec())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        let range = response
            .headers()
            .get("range")
            .map(|range| range.to_str().unwrap().to_owned());
        let body = response.bytes().await.unwrap();
        (
            status,
            range,
            serde_json::from_slice(&body).unwrap_or_default(),
        )
    }
}

fn lines(count: usize) -> Vec<u8> {
    (0..count)
        .map(|id| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", "x".repeat(80)))
        .collect::<String>()
        .into_bytes()
}

async fn caller() -> Caller {
    let caller = Caller::new().await;
    caller.table("t", &["id INT64", "text STRING"]).await;
    caller
}

#[tokio::test]
async fn a_body_comes_in_pieces_and_is_loaded_once() {
    let caller = caller().await;
    let body = lines(6_000);
    let total = body.len();
    let upload = Upload::begin(&caller, "big", total).await;
    assert_eq!(
        upload.put(&format!("bytes */{total}"), b"").await,
        (308, None, Value::Null)
    );
    let odd = upload
        .put(&format!("bytes 0-99/{total}"), &body[..100])
        .await;
    assert_eq!(odd.0, 400);
    let first = upload
        .put(&format!("bytes 0-{}/{total}", GRAIN - 1), &body[..GRAIN])
        .await;
    assert_eq!((first.0, first.1.as_deref()), (308, Some("bytes=0-262143")));
    let gap = upload
        .put(
            &format!("bytes {}-{}/{total}", 2 * GRAIN, total - 1),
            &body[2 * GRAIN..],
        )
        .await;
    assert_eq!(gap.0, 400);
    let last = upload
        .put(
            &format!("bytes {GRAIN}-{}/{total}", total - 1),
            &body[GRAIN..],
        )
        .await;
    assert_eq!(
        (last.0, &last.2["jobReference"]["jobId"]),
        (200, &json!("big"))
    );
    let again = upload.put(&format!("bytes */{total}"), b"").await;
    assert_eq!(again.0, 200);
    let job = caller.get("jobs/big?location=US").await.ok();
    assert_eq!(job["statistics"]["load"]["outputRows"], "6000");
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 6_000);

    // The same job again is not run again.
    let second = Upload::begin(&caller, "big", total).await;
    assert_eq!(
        second
            .put(&format!("bytes 0-{}/{total}", total - 1), &body)
            .await
            .0,
        409
    );
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 6_000);
}

#[tokio::test]
async fn a_piece_may_be_stored_in_part_and_an_upload_lost() {
    let caller = caller().await;
    let body = lines(12_000);
    let total = body.len();
    let script = FaultScript::new(1)
        .rule(Rule::new(Fault::HalfPiece).call("jobs.upload.put").nth(1))
        .rule(Rule::new(Fault::LoseUpload).call("jobs.upload.put").nth(3));
    caller.simulator.set_faults(script).unwrap();
    let upload = Upload::begin(&caller, "big", total).await;
    let half = upload
        .put(
            &format!("bytes 0-{}/{total}", 4 * GRAIN - 1),
            &body[..4 * GRAIN],
        )
        .await;
    assert_eq!((half.0, half.1.as_deref()), (308, Some("bytes=0-524287")));
    let more = upload
        .put(
            &format!("bytes {}-{}/{total}", 2 * GRAIN, 4 * GRAIN - 1),
            &body[2 * GRAIN..4 * GRAIN],
        )
        .await;
    assert_eq!((more.0, more.1.as_deref()), (308, Some("bytes=0-1048575")));
    let state = format!("bytes */{total}");
    assert_eq!(upload.put(&state, b"").await.0, 410);
    assert_eq!(upload.put(&state, b"").await.0, 410);
    let unknown = Upload {
        caller: &caller,
        session: format!("{}x", upload.session),
    };
    assert_eq!(unknown.put(&state, b"").await.0, 404);
}
