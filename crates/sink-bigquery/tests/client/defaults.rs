//! Application default credentials, in the order that Google's own tools look.

use serde_json::json;
use sink_bigquery::auth::{AuthOptions, Environment, MetadataServer, TokenProvider, find_default};
use sink_bigquery::{ErrorKind, Reason};
use sync_http::Timing;
use wiremock::ResponseTemplate;

use crate::credentials::key_file;
use crate::service::{Asked, Service, clock, ok};

const GOOGLE: &str = "https://oauth2.googleapis.com/token";

fn options() -> AuthOptions {
    AuthOptions::default().with_timing(Timing::from(clock()))
}

async fn metadata() -> Service {
    Service::start(|asked: &Asked| {
        if asked.header("metadata-flavor") != Some("Google") {
            return ResponseTemplate::new(403);
        }
        let answer = match asked.path.strip_prefix("/computeMetadata/v1/").unwrap() {
            "project/project-id" => ResponseTemplate::new(200).set_body_string("machine-project"),
            "instance/service-accounts/default/token" => ok(
                json!({"access_token": "machine-hush", "expires_in": 1799, "token_type": "Bearer"}),
            ),
            _ => ResponseTemplate::new(200),
        };
        answer.insert_header("Metadata-Flavor", "Google")
    })
    .await
}

fn host(service: &Service) -> String {
    service.url().authority().to_owned()
}

#[tokio::test]
async fn the_named_file_comes_first_then_gclouds_then_the_machine() {
    let machine = metadata().await;
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("named.json");
    let gcloud = folder.path().join("application_default_credentials.json");
    std::fs::write(&named, key_file(GOOGLE).to_string()).unwrap();
    let user = json!({"type": "authorized_user", "client_id": "user", "client_secret": "hush",
        "refresh_token": "hush", "quota_project_id": "quota-of-file"});
    std::fs::write(&gcloud, user.to_string()).unwrap();
    let shown = |path: &std::path::Path| path.display().to_string();
    let mut variables = vec![
        ("GCE_METADATA_HOST", host(&machine)),
        ("CLOUDSDK_CONFIG", shown(folder.path())),
        ("GOOGLE_APPLICATION_CREDENTIALS", shown(&named)),
    ];

    let found = find_default(&Environment::of(variables.clone()), &options())
        .await
        .unwrap();
    assert!(found.origin.contains("named.json"), "{}", found.origin);
    assert_eq!(found.project_id.unwrap().as_str(), "books");
    assert!(format!("{:?}", found.provider).contains("ServiceAccount"));

    variables.pop();
    variables.push(("GCLOUD_PROJECT", "older".to_owned()));
    variables.push(("GOOGLE_CLOUD_PROJECT", "newer".to_owned()));
    let found = find_default(&Environment::of(variables.clone()), &options())
        .await
        .unwrap();
    assert!(found.origin.starts_with("gcloud"), "{}", found.origin);
    assert_eq!(found.project_id.unwrap().as_str(), "newer");
    assert_eq!(found.quota_project.unwrap().as_str(), "quota-of-file");
    assert!(!format!("{:?}", found.provider).contains("hush"));

    std::fs::remove_file(&gcloud).unwrap();
    variables.truncate(2);
    let found = find_default(&Environment::of(variables), &options())
        .await
        .unwrap();
    assert_eq!(found.origin, "metadata server");
    assert_eq!(found.project_id.unwrap().as_str(), "machine-project");
    found.provider.fetch().await.unwrap();
    let asked = machine.asked();
    assert_eq!(
        asked.last().unwrap().query["scopes"],
        "https://www.googleapis.com/auth/bigquery"
    );
}

#[tokio::test]
async fn where_there_is_nothing_the_error_says_what_to_set() {
    let elsewhere = Service::start(|_| ResponseTemplate::new(200)).await;
    let home = tempfile::tempdir().unwrap();
    let environment = Environment::of([
        ("GCE_METADATA_HOST", host(&elsewhere)),
        ("HOME", home.path().display().to_string()),
    ]);
    let error = find_default(&environment, &options()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Config, Reason::Credentials)
    );
    assert!(
        error.to_string().contains("GOOGLE_APPLICATION_CREDENTIALS"),
        "{error}"
    );
    assert_eq!(
        elsewhere.asked().len(),
        1,
        "what does not say that it is Google's is not asked for a token"
    );

    let environment = Environment::of([
        ("GCE_METADATA_HOST", host(&elsewhere)),
        ("NO_GCE_CHECK", "True".to_owned()),
    ]);
    find_default(&environment, &options()).await.unwrap_err();
    assert_eq!(elsewhere.asked().len(), 1);
}

#[tokio::test]
async fn a_file_that_is_named_and_no_good_is_an_error_and_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("federated.json");
    let environment =
        Environment::of([("GOOGLE_APPLICATION_CREDENTIALS", path.display().to_string())]);
    let error = find_default(&environment, &options()).await.unwrap_err();
    assert!(error.to_string().contains("federated.json"), "{error}");
    std::fs::write(
        &path,
        json!({"type": "external_account", "audience": "hush"}).to_string(),
    )
    .unwrap();
    let error = find_default(&environment, &options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("google-cloud-auth"), "{error}");
}

#[tokio::test]
async fn what_is_no_metadata_server_gives_no_token() {
    let stranger = Service::start(|_| ok(json!({"access_token": "planted-hush"}))).await;
    let environment = Environment::of([("GCE_METADATA_HOST", host(&stranger))]);
    let server = MetadataServer::new(&environment, &options()).unwrap();
    let error = server.fetch().await.unwrap_err();
    assert_eq!(error.reason(), Reason::Credentials);
    assert!(!server.is_there().await);
}
