//! Jobs: sent once whatever happens, followed to their end, and told apart where they failed.

use serde_json::json;
use sink_bigquery::client::{Format, JobState, LoadJob, Parameter, QueryJob};
use sink_bigquery::{BigQuery, Error, ErrorKind, JobTrouble, Reason};
use std::time::Duration;
use sync_http::{Phase, Retry};

use crate::service::{Service, client, clock, job, job_id, ok, raw, refusal, table};

fn statement() -> QueryJob {
    QueryJob::new("MERGE fin.bill T USING ...")
        .with_parameter(Parameter::string("batch", "b7"))
        .with_label("app", "finsync")
        .changing(table())
}

async fn run(client: &BigQuery) -> Result<sink_bigquery::client::Job, Error> {
    client.jobs().run_query(&job_id(), &statement()).await
}

/// Whether the error is that a job failed, and if so whether it may run again.
fn failed(error: &Error) -> Option<bool> {
    match error.job() {
        Some(JobTrouble::Failed {
            job_id: id,
            may_run_again,
            ..
        }) => {
            assert_eq!(*id, job_id());
            Some(*may_run_again)
        }
        _ => None,
    }
}

fn is_unfinished(error: &Error) -> bool {
    matches!(error.job(), Some(JobTrouble::Unfinished { job_id: id, .. }) if *id == job_id())
}

#[tokio::test]
async fn a_statement_is_sent_under_its_id_and_followed_to_its_end() {
    let service = Service::start(|asked| match (asked.method.as_str(), asked.number) {
        ("POST", _) => ok(job("PENDING", None)),
        (_, 0) => ok(job("PENDING", None)),
        (_, 1..=8) => ok(job("RUNNING", None)),
        _ => ok(job("DONE", None)),
    })
    .await;
    let clock = clock();
    let done = run(&service.client(&clock)).await.unwrap();
    assert_eq!(
        (done.state(), done.statistics.load.unwrap().output_rows),
        (JobState::Done, Some(2))
    );
    let asked = service.asked();
    assert_eq!(asked[0].path, "/bigquery/v2/projects/books/jobs");
    assert_eq!(
        asked[0].json(),
        json!({
            "jobReference": {"projectId": "books", "jobId": "sync-bill-7-load", "location": "EU"},
            "configuration": {
                "labels": {"app": "finsync"},
                "query": {
                    "query": "MERGE fin.bill T USING ...",
                    "useLegacySql": false,
                    "parameterMode": "NAMED",
                    "queryParameters": [{"name": "batch", "parameterType": {"type": "STRING"},
                        "parameterValue": {"value": "b7"}}],
                },
            },
        })
    );
    assert_eq!(
        asked[1].path,
        "/bigquery/v2/projects/books/jobs/sync-bill-7-load"
    );
    assert_eq!(asked[1].query["location"], "EU");
    let pauses: Vec<_> = clock.sleeps().iter().map(Duration::as_millis).collect();
    assert_eq!(
        pauses,
        [500, 750, 1125, 1687, 2531, 3796, 5695, 8542, 10_000]
    );
}

#[tokio::test]
async fn a_job_that_was_taken_although_the_answer_failed_is_found_and_not_sent_anew() {
    let service = Service::start(|asked| match (asked.method.as_str(), asked.number) {
        ("POST", 0) => refusal(503, "backendError", "try later"),
        ("POST", _) => refusal(
            409,
            "duplicate",
            "Already Exists: Job books:EU.sync-bill-7-load",
        ),
        // Just created, it is not found for a moment.
        (_, 0..=2) => refusal(404, "notFound", "Not found: Job"),
        (_, 3) => ok(job("RUNNING", None)),
        _ => ok(job("DONE", None)),
    })
    .await;
    let clock = clock();
    let submitted = service
        .client(&clock)
        .jobs()
        .insert_query(&job_id(), &statement())
        .await
        .unwrap();
    assert!(submitted.existed);
    assert_eq!(submitted.job.state(), JobState::Running);
    let posts: Vec<_> = service
        .asked()
        .into_iter()
        .filter(|it| it.method == "POST")
        .collect();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].body, posts[1].body);
    service.client(&clock).jobs().wait(&job_id()).await.unwrap();
}

#[tokio::test]
async fn an_id_that_is_there_is_an_answer_whatever_became_of_its_job() {
    for (state, failure, expected) in [
        ("DONE", None, None),
        (
            "DONE",
            Some(("backendError", "try again")),
            Some((Reason::Backend, true)),
        ),
        (
            "DONE",
            Some(("invalid", "too many errors")),
            Some((Reason::Invalid, false)),
        ),
        (
            "DONE",
            Some(("stopped", "cancelled")),
            Some((Reason::Stopped, true)),
        ),
        (
            "DONE",
            Some(("rateLimitExceeded", "slow down")),
            Some((Reason::RateLimitExceeded, true)),
        ),
        (
            "DONE",
            Some(("jobRateLimitExceeded", "slow down")),
            Some((Reason::RateLimitExceeded, true)),
        ),
        (
            "DONE",
            Some(("resourcesExceeded", "too much")),
            Some((Reason::ResourcesExceeded, false)),
        ),
        (
            "DONE",
            Some((
                "invalidQuery",
                "Could not serialize access to table due to concurrent update",
            )),
            Some((Reason::ConcurrentUpdate, true)),
        ),
    ] {
        let service = Service::start(move |asked| match asked.method.as_str() {
            "POST" => refusal(409, "duplicate", "Already Exists: Job"),
            _ => ok(job(state, failure)),
        })
        .await;
        let outcome = run(&service.client(&clock())).await;
        assert_eq!(service.asked().len(), 2);
        match (outcome, expected) {
            (Ok(_), None) => {}
            (Err(error), Some((reason, may_run_again))) => {
                assert_eq!(
                    (error.reason(), failed(&error)),
                    (reason, Some(may_run_again)),
                    "{error}"
                );
                assert!(error.to_string().contains("sync-bill-7-load"), "{error}");
                assert_eq!(error.is_transient(), may_run_again);
            }
            (outcome, expected) => panic!("{outcome:?} {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_job_that_would_change_streamed_rows_may_run_again_in_half_an_hour() {
    let message = "UPDATE or DELETE statement over table books.fin.bill would affect rows in the streaming buffer";
    let service = Service::start(move |_| ok(job("DONE", Some(("invalidQuery", message))))).await;
    let error = run(&service.client(&clock())).await.unwrap_err();
    assert_eq!(
        (error.reason(), failed(&error)),
        (Reason::StreamingBuffer, Some(true))
    );
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(1800)));
    assert_eq!(service.asked().len(), 1, "its end came with the answer");
}

#[tokio::test]
async fn a_running_job_is_never_abandoned() {
    // Longer than any retries last.
    let service = Service::start(|asked| match (asked.method.as_str(), asked.number) {
        ("POST", _) => ok(job("RUNNING", None)),
        (_, 0..=60) => refusal(503, "backendError", "try later"),
        _ => ok(job("DONE", None)),
    })
    .await;
    run(&service.client(&clock())).await.unwrap();
    assert_eq!(
        service
            .asked()
            .iter()
            .filter(|it| it.method == "POST")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_job_that_does_not_end_or_may_not_be_looked_at_is_unfinished() {
    let clock_of_first = clock();
    let passing = clock_of_first.clone();
    let service = Service::start(move |_| {
        passing.advance(Duration::from_secs(1800));
        ok(job("RUNNING", None))
    })
    .await;
    let error = run(&service.client(&clock_of_first)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Timeout, Reason::JobUnfinished)
    );
    assert!(is_unfinished(&error) && error.is_transient());
    assert!(
        service.asked().len() >= 14,
        "it was looked at for seven hours"
    );

    for refused in [("accessDenied", 403), ("notFound", 404)] {
        let service = Service::start(move |asked| match asked.method.as_str() {
            "POST" => ok(job("RUNNING", None)),
            _ => refusal(refused.1, refused.0, "no"),
        })
        .await;
        let error = run(&service.client(&clock())).await.unwrap_err();
        assert!(is_unfinished(&error), "{error:?}");
    }
}

#[tokio::test]
async fn what_was_refused_is_not_in_doubt_and_what_may_have_been_taken_is() {
    let service = Service::start(|_| refusal(400, "invalid", "Invalid job id")).await;
    let error = run(&service.client(&clock())).await.unwrap_err();
    assert_eq!((error.job(), error.phase()), (None, Phase::Answered));

    // A refusal does not undo what an attempt before may have done.
    let service = Service::start(|asked| match asked.number {
        0 => refusal(503, "backendError", "try later"),
        _ => refusal(403, "accessDenied", "no more"),
    })
    .await;
    let error = run(&service.client(&clock())).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AccessDenied);
    assert!(is_unfinished(&error), "{error:?}");

    let url = raw(|_| None).await;
    let error = run(&client(url, &clock())).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.is_exhausted()),
        (Reason::Connection, true)
    );
    assert!(is_unfinished(&error), "{error:?}");

    // Nobody listens: nothing can have been taken.
    let url = "http://127.0.0.1:1/".parse().unwrap();
    let error = run(&client(url, &clock())).await.unwrap_err();
    assert_eq!((error.job(), error.phase()), (None, Phase::NotSent));
}

#[tokio::test]
async fn a_job_that_is_not_taken_for_now_is_sent_again_under_its_id() {
    let service = Service::start(|asked| match asked.number {
        0 => refusal(
            400,
            "invalidQuery",
            "Too many DML statements outstanding against table books:fin.bill, limit is 20.",
        ),
        1 => refusal(400, "jobRateLimitExceeded", "slow down"),
        _ => ok(job("DONE", None)),
    })
    .await;
    run(&service.client(&clock())).await.unwrap();
    let asked = service.asked();
    assert!(asked.len() == 3 && asked.iter().all(|it| it.body == asked[0].body));

    let service = Service::start(|_| refusal(400, "invalidQuery", "the streaming buffer")).await;
    let error = run(&service.client(&clock())).await.unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(1800)));
    assert_eq!(
        service.asked().len(),
        1,
        "half an hour is for the caller to wait"
    );
}

#[tokio::test]
async fn a_job_is_asked_to_stop() {
    let service = Service::start(|_| ok(json!({"job": job("RUNNING", None)}))).await;
    let job = service
        .client(&clock())
        .jobs()
        .cancel(&job_id())
        .await
        .unwrap();
    assert!(!job.is_done());
    assert_eq!(service.story(), ["POST jobs/sync-bill-7-load/cancel"]);
    assert_eq!(service.asked()[0].query["location"], "EU");
}

#[tokio::test]
async fn statements_that_change_one_table_go_one_after_the_other() {
    let service = Service::start(|asked| {
        if asked.method == "POST" {
            ok(job("RUNNING", None))
        } else {
            ok(job(
                if asked.number % 2 == 1 {
                    "DONE"
                } else {
                    "RUNNING"
                },
                None,
            ))
        }
    })
    .await;
    let client = service.client(&clock());
    let (first, second) = tokio::join!(run(&client), run(&client));
    first.unwrap();
    second.unwrap();
    let methods: String = service.asked().iter().map(|it| &it.method[..1]).collect();
    assert_eq!(methods, "PGGPGG");
}

#[tokio::test]
async fn a_failed_load_tells_its_first_error_and_the_others() {
    let service = Service::start(|_| {
        let mut done = job(
            "DONE",
            Some((
                "invalid",
                "JSON table encountered too many errors, giving up.",
            )),
        );
        done["status"]["errors"] = json!([
            {"reason": "invalid", "message": "JSON table encountered too many errors, giving up."},
            {"reason": "invalid", "location": "amount", "message": "Invalid NUMERIC value"},
        ]);
        ok(done)
    })
    .await;
    let load = LoadJob::new(table(), Format::Ndjson);
    let jobs = service.client(&clock());
    let error = jobs
        .jobs()
        .run_load(&job_id(), &load, "{}\n".into())
        .await
        .unwrap_err();
    assert_eq!(failed(&error), Some(false));
    let locations: Vec<_> = error
        .service_errors()
        .iter()
        .map(|it| it.location.as_deref())
        .collect();
    assert_eq!(locations, [None, Some("amount")]);
    assert!(error.to_string().contains("too many errors"), "{error}");
}
