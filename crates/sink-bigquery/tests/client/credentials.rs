//! Service accounts: what is signed, what is sent, and what comes of refusals.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use pkcs8::LineEnding;
use pkcs8::der::pem::PemLabel;
use secrecy::SecretString;
use serde_json::{Value, json};
use sink_bigquery::auth::{
    AuthOptions, AuthorizedUser, NewToken, SelfSigned, ServiceAccount, ServiceAccountKey,
    TokenProvider,
};
use sink_bigquery::{BigQuery, ErrorKind, Reason};
use sync_http::{ManualClock, Timing};
use url::{Url, form_urlencoded};
use wiremock::ResponseTemplate;

use crate::service::{Asked, Service, clock, ok, options, refusal, table};

struct TestKey {
    pem: String,
    public: Vec<u8>,
}

static KEY: LazyLock<TestKey> = LazyLock::new(|| {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    TestKey {
        pem: pem(der.as_ref()),
        public: public.as_ref().to_vec(),
    }
});

fn pem(der: &[u8]) -> String {
    let label = pkcs8::PrivateKeyInfoRef::PEM_LABEL;
    let document = pkcs8::der::SecretDocument::try_from(der).unwrap();
    document
        .to_pem(label, LineEnding::LF)
        .unwrap()
        .as_str()
        .to_owned()
}

/// The key in PEM.
pub(crate) fn key_text() -> &'static str {
    &KEY.pem
}

/// Lines of the key, none of which may ever be shown.
pub(crate) fn encoded_parts() -> &'static [String] {
    static PARTS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let lines = KEY.pem.lines().filter(|line| !line.starts_with("---"));
        lines
            .map(str::to_owned)
            .filter(|line| line.len() > 20)
            .collect()
    });
    &PARTS
}

pub(crate) fn key_file(token_uri: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": "books",
        "private_key_id": "k1",
        "private_key": KEY.pem,
        "client_email": "sync@books.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    })
}

fn token_uri(service: &Service) -> String {
    service.url().join("token").unwrap().to_string()
}

fn key(service: &Service) -> ServiceAccountKey {
    let text = key_file(&token_uri(service)).to_string();
    ServiceAccountKey::from_text(&SecretString::from(text)).unwrap()
}

pub(crate) fn auth_options(service: &Service, clock: &ManualClock) -> AuthOptions {
    AuthOptions::default()
        .trusting(service.url().origin().ascii_serialization())
        .with_timing(Timing::from(clock.clone()))
}

fn account(service: &Service, clock: &ManualClock) -> ServiceAccount {
    ServiceAccount::new(key(service), &auth_options(service, clock)).unwrap()
}

fn with_account(service: &Service, clock: &ManualClock) -> BigQuery {
    let provider = Arc::new(account(service, clock));
    BigQuery::new(options(service.url(), clock), provider).unwrap()
}

fn granted(number: usize) -> ResponseTemplate {
    let token = format!("granted-hush-{number}");
    ok(json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}))
}

fn a_table() -> ResponseTemplate {
    ok(json!({"tableReference": table()}))
}

fn is_token(asked: &Asked) -> bool {
    asked.path == "/token"
}

fn form(asked: &Asked) -> Vec<(String, String)> {
    form_urlencoded::parse(&asked.body).into_owned().collect()
}

/// The header and claims of a token whose signature is this key's.
fn verified(token: &str) -> (Value, Value) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &KEY.public)
        .verify(signed.as_bytes(), &signature)
        .unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let part = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (part(header), part(claims))
}

#[tokio::test]
async fn a_signed_assertion_is_exchanged_for_a_token_that_is_kept_until_shortly_before_its_end() {
    let service = Service::start(|asked| {
        if is_token(asked) {
            granted(asked.number)
        } else {
            a_table()
        }
    })
    .await;
    let clock = clock();
    let client = with_account(&service, &clock);
    client.tables().get(&table()).await.unwrap();
    clock.advance(Duration::from_secs(3599 - 226));
    client.tables().get(&table()).await.unwrap();
    clock.advance(Duration::from_secs(2));
    client.tables().get(&table()).await.unwrap();

    let asked = service.asked();
    let tokens: Vec<_> = asked
        .iter()
        .filter(|it| !is_token(it))
        .map(Asked::token)
        .collect();
    assert_eq!(
        tokens,
        [
            "Bearer granted-hush-0",
            "Bearer granted-hush-0",
            "Bearer granted-hush-1"
        ]
    );
    let first = form(&asked[0]);
    assert_eq!(first[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(first[1].0, "assertion");
    let (header, claims) = verified(&first[1].1);
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let issued = 1_769_882_400 - 10;
    assert_eq!(
        claims,
        json!({
            "iss": "sync@books.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/bigquery",
            "aud": token_uri(&service),
            "iat": issued,
            "exp": issued + 3600,
        })
    );
}

#[tokio::test]
async fn a_self_signed_token_goes_out_as_it_is() {
    let service = Service::start(|_| a_table()).await;
    let clock = clock();
    let provider = SelfSigned::new(key(&service), &auth_options(&service, &clock));
    let client = BigQuery::new(options(service.url(), &clock), Arc::new(provider)).unwrap();
    client.tables().get(&table()).await.unwrap();
    let asked = service.asked();
    let (_, claims) = verified(asked[0].token().strip_prefix("Bearer ").unwrap());
    assert_eq!(claims["iss"], claims["sub"]);
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/bigquery");
    assert_eq!(claims.get("aud"), None);
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_users_refresh_token_is_exchanged() {
    let service = Service::start(|asked| granted(asked.number)).await;
    let file = json!({"type": "authorized_user", "client_id": "id", "client_secret": "secret&hush",
        "refresh_token": "1//refresh+hush", "quota_project_id": "quota", "token_uri": token_uri(&service)});
    let text = SecretString::from(file.to_string());
    let user = AuthorizedUser::from_text(&text, &auth_options(&service, &clock())).unwrap();
    assert_eq!(user.quota_project().unwrap().as_str(), "quota");
    user.fetch().await.unwrap();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("client_id", "id"),
        ("client_secret", "secret&hush"),
        ("refresh_token", "1//refresh+hush"),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form(&service.asked()[0]), pairs);
}

#[test]
fn a_key_comes_from_a_path_a_text_or_base64() {
    let text = key_file("https://oauth2.googleapis.com/token").to_string();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    std::fs::write(&path, &text).unwrap();
    let from_text = |text: String| ServiceAccountKey::from_text(&SecretString::from(text));
    let encoded = STANDARD.encode(&text);
    let (front, back) = encoded.split_at(76);
    for key in [
        ServiceAccountKey::from_file(&path).unwrap(),
        from_text(format!("\n {text}")).unwrap(),
        from_text(format!("{front}\n{back}\n")).unwrap(),
    ] {
        assert_eq!(key.client_email(), "sync@books.iam.gserviceaccount.com");
        assert_eq!(key.project_id().unwrap().as_str(), "books");
    }
    let error = ServiceAccountKey::from_file(folder.path().join("none.json")).unwrap_err();
    assert_eq!(error.reason(), Reason::Credentials);
    assert!(error.to_string().contains("none.json"), "{error}");
}

#[test]
fn what_is_no_key_is_refused_with_what_to_do_and_without_what_is_in_it() {
    let good = key_file("https://oauth2.googleapis.com/token");
    let with = |name: &str, value: Value| {
        let mut file = good.clone();
        file[name] = value;
        file.to_string()
    };
    let cases = [
        ("hush".to_owned(), ErrorKind::Config, "base64"),
        ("{\"hush".to_owned(), ErrorKind::Config, "no JSON"),
        (
            "{\"a\":\"hush\"}".to_owned(),
            ErrorKind::Config,
            "has no type",
        ),
        (
            with("type", json!("authorized_user")),
            ErrorKind::Config,
            "AuthorizedUser",
        ),
        (
            with("type", json!("external_account")),
            ErrorKind::Unsupported,
            "TokenProvider",
        ),
        (
            with("type", json!("impersonated_service_account")),
            ErrorKind::Unsupported,
            "TokenProvider",
        ),
        (with("private_key", json!("hush")), ErrorKind::Config, "PEM"),
        (
            with("private_key", json!(["hush"])),
            ErrorKind::Config,
            "download it anew",
        ),
        (
            with(
                "private_key",
                json!(key_text().replace("PRIVATE KEY", "EC PRIVATE KEY")),
            ),
            ErrorKind::Config,
            "RSA",
        ),
        (
            with("private_key", json!(key_text().replace('\n', "\\n"))),
            ErrorKind::Config,
            "\\n",
        ),
    ];
    for (text, kind, advice) in cases {
        let error = ServiceAccountKey::from_text(&SecretString::from(text)).unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (kind, Reason::Credentials),
            "{error}"
        );
        assert!(error.to_string().contains(advice), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("hush") && !shown.contains(&encoded_parts()[0]),
            "{shown}"
        );
    }
}

#[test]
fn a_key_file_does_not_lead_credentials_anywhere() {
    for (token_uri, allowed) in [
        ("https://oauth2.googleapis.com/token", true),
        ("https://accounts.google.com/o/oauth2/token", true),
        ("https://sts.europe-west3.googleapis.com/token", true),
        ("https://tokens.example.com/token", true),
        ("http://oauth2.googleapis.com/token", false),
        ("https://oauth2.googleapis.com:8443/token", false),
        ("https://oauth2.googleapis.com.evil.example/token", false),
        ("https://evilgoogleapis.com/token", false),
        ("https://oauth2.googleapis.com@evil.example/token", false),
        ("http://other.example.com/token", false),
        ("http://127.0.0.1:1/token", false),
    ] {
        let options = AuthOptions::default()
            .trusting("https://tokens.example.com/")
            .trusting("http://other.example.com");
        let text = SecretString::from(key_file(token_uri).to_string());
        let key = ServiceAccountKey::from_text(&text).unwrap();
        let account = ServiceAccount::new(key, &options);
        assert_eq!(account.is_ok(), allowed, "{token_uri}: {account:?}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_fails_for_now_is_asked_again() {
    let service = Service::start(|asked| match asked.number {
        0 => ResponseTemplate::new(503).set_body_string("<html>"),
        1 => ResponseTemplate::new(400).set_body_json(json!({"error": "temporarily_unavailable"})),
        2 => ok(json!({"nothing": true})),
        _ => granted(0),
    })
    .await;
    let clock = clock();
    account(&service, &clock).fetch().await.unwrap();
    assert_eq!(clock.sleeps().len(), 3);
    // Each attempt signs anew.
    assert_eq!(service.asked().len(), 4);
}

#[tokio::test]
async fn refused_credentials_are_told_at_once_and_say_what_to_do() {
    let service = Service::start(|_| {
        ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_grant",
            "error_description": "Invalid JWT: Token must be a short-lived token (60 minutes)", "extra": "hush"}))
    })
    .await;
    let clock = clock();
    let client = with_account(&service, &clock);
    let error = client.tables().get(&table()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Auth, Reason::TokenRefused)
    );
    assert!(!error.is_transient());
    let shown = error.to_string();
    for part in [
        "clock",
        "short-lived",
        "sync@books",
        "tables.get",
        "books.fin.bill",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    assert_eq!(service.asked().len(), 1);
    assert!(clock.sleeps().is_empty());
}

#[tokio::test]
async fn an_oversized_answer_of_a_token_endpoint_is_not_read() {
    let service = Service::start(|_| ok(json!({"access_token": "x".repeat(2_000_000)}))).await;
    let error = account(&service, &clock()).fetch().await.unwrap_err();
    assert_eq!(error.reason(), Reason::AnswerTooLarge);
}

#[tokio::test]
async fn many_callers_ask_for_one_token() {
    let service = Service::start(|asked| {
        if is_token(asked) {
            granted(asked.number).set_delay(Duration::from_millis(20))
        } else {
            a_table()
        }
    })
    .await;
    let client = with_account(&service, &clock());
    let table = table();
    for outcome in join_all((0..10).map(|_| client.tables().get(&table))).await {
        outcome.unwrap();
    }
    let asked = service.asked();
    assert_eq!(asked.iter().filter(|it| is_token(it)).count(), 1);
}

#[tokio::test]
async fn the_old_token_serves_while_no_new_one_can_be_had_and_it_lasts() {
    let service = Service::start(|asked| {
        if !is_token(asked) {
            a_table()
        } else if asked.number == 0 {
            granted(0)
        } else {
            ResponseTemplate::new(503)
        }
    })
    .await;
    let clock = clock();
    let client = with_account(&service, &clock);
    client.tables().get(&table()).await.unwrap();
    clock.advance(Duration::from_secs(3599 - 200));
    client.tables().get(&table()).await.unwrap();
    let asked = service.asked();
    assert_eq!(asked.last().unwrap().token(), "Bearer granted-hush-0");
    assert_eq!(asked.iter().filter(|it| is_token(it)).count(), 5);
    clock.advance(Duration::from_secs(195));
    let error = client.tables().get(&table()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_exhausted()),
        (ErrorKind::Unavailable, true)
    );
}

#[tokio::test]
async fn a_refused_old_token_is_not_served_again() {
    let service = Service::start(|asked| match (is_token(asked), asked.number) {
        (true, 0) => granted(0),
        (true, _) => ResponseTemplate::new(503),
        (false, 0) => a_table(),
        (false, _) => refusal(401, "authError", "Invalid Credentials"),
    })
    .await;
    let clock = clock();
    let client = with_account(&service, &clock);
    client.tables().get(&table()).await.unwrap();
    clock.advance(Duration::from_secs(3599 - 200));
    let error = client.tables().get(&table()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let tables = service.asked().iter().filter(|it| !is_token(it)).count();
    assert_eq!(tables, 2, "the refused token was sent once");
}

#[tokio::test]
async fn a_provider_of_ones_own_is_asked_for_its_tokens() {
    #[derive(Debug)]
    struct Own;

    #[async_trait::async_trait]
    impl TokenProvider for Own {
        async fn fetch(&self) -> sink_bigquery::Result<NewToken> {
            Ok(NewToken::new("own-hush".into(), Duration::from_secs(60)))
        }
    }

    let service = Service::start(|_| a_table()).await;
    let client = BigQuery::new(options(service.url(), &clock()), Arc::new(Own)).unwrap();
    client.tables().get(&table()).await.unwrap();
    assert_eq!(service.asked()[0].token(), "Bearer own-hush");
}

#[tokio::test]
async fn nothing_of_the_key_is_in_any_debug_output() {
    let service = Service::start(|_| a_table()).await;
    let clock = clock();
    let account = account(&service, &clock);
    let key = key(&service);
    let own = SelfSigned::new(key.clone(), &auth_options(&service, &clock));
    let token = own.fetch().await.unwrap();
    let client = with_account(&service, &clock);
    let shown = format!(
        "{account:?} {key:?} {own:?} {token:?} {client:?} {:?}",
        options(service.url(), &clock)
    );
    assert!(shown.contains("sync@books"), "{shown}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
    for part in encoded_parts() {
        assert!(!shown.contains(part.as_str()), "{shown}");
    }
    // A header of a JWT begins so.
    assert!(!shown.contains("eyJ"), "{shown}");
}

#[test]
fn a_token_does_not_cross_an_open_network() {
    let endpoint: Url = "http://bigquery.example.com/".parse().unwrap();
    let options = options(endpoint, &clock());
    let provider = Arc::new(crate::service::Tokens::default());
    let error = BigQuery::new(options.clone(), provider).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    BigQuery::new(options, Arc::new(sink_bigquery::auth::Anonymous)).unwrap();
}
