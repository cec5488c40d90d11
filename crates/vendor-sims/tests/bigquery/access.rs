//! Tokens: how they are given, and who is let in.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use vendor_sims::bigquery::RunningSimulator;

struct Key {
    file: Value,
    pair: KeyPair,
}

impl Key {
    fn of(simulator: &RunningSimulator) -> Self {
        let file: Value = serde_json::from_str(&simulator.key_file()).unwrap();
        let pem = file["private_key"].as_str().unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
        let pair = KeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
        Self { file, pair }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.file["private_key_id"] });
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &random,
                signed.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn claims(&self) -> Value {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        json!({
            "iss": self.file["client_email"],
            "scope": "https://www.googleapis.com/auth/bigquery",
            "aud": self.file["token_uri"],
            "iat": now - 10,
            "exp": now + 3_590,
        })
    }
}

async fn grant(simulator: &RunningSimulator, fields: &[(&str, &str)]) -> (u16, Value) {
    let encode = |text: &str| {
        text.replace(':', "%3A")
            .replace('/', "%2F")
            .replace('+', "%2B")
    };
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    let response = reqwest::Client::new()
        .post(format!("{}/token", simulator.url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(pairs.join("&"))
        .send()
        .await
        .unwrap();
    let status = response.status().as_u16();
    (
        status,
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
    )
}

const JWT_BEARER: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");

async fn datasets(simulator: &RunningSimulator, token: Option<&str>) -> (u16, String) {
    let url = format!(
        "{}/bigquery/v2/projects/sim-project/datasets",
        simulator.url()
    );
    let mut request = reqwest::Client::new().get(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    let reason = body["error"]["errors"][0]["reason"]
        .as_str()
        .unwrap_or_default();
    (status, reason.to_owned())
}

#[tokio::test]
async fn a_signed_assertion_gives_a_token_that_lives_an_hour() {
    let simulator = RunningSimulator::builder()
        .dataset("d", "US")
        .start()
        .await
        .unwrap();
    let key = Key::of(&simulator);
    let (status, token) = grant(
        &simulator,
        &[JWT_BEARER, ("assertion", &key.sign(&key.claims()))],
    )
    .await;
    assert_eq!((status, &token["expires_in"]), (200, &json!(3_599)));
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(
        datasets(&simulator, Some(token)).await,
        (200, String::new())
    );
    assert_eq!(
        datasets(&simulator, None).await,
        (401, "required".to_owned())
    );
    assert_eq!(
        datasets(&simulator, Some("other")).await,
        (401, "authError".to_owned())
    );
    simulator.advance(Duration::from_secs(3_600));
    assert_eq!(
        datasets(&simulator, Some(token)).await,
        (401, "authError".to_owned())
    );
}

#[tokio::test]
async fn an_assertion_that_is_not_as_it_must_be_gives_none() {
    let simulator = RunningSimulator::builder()
        .dataset("d", "US")
        .start()
        .await
        .unwrap();
    let key = Key::of(&simulator);
    let changed = |name: &str, value: Value| {
        let mut claims = key.claims();
        claims[name] = value;
        key.sign(&claims)
    };
    let mut forged = key.sign(&key.claims());
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    for (assertion, error) in [
        (
            changed("iss", json!("other@p.iam.gserviceaccount.com")),
            "invalid_grant",
        ),
        (
            changed("aud", json!("https://elsewhere/token")),
            "invalid_grant",
        ),
        (changed("exp", json!(now + 3_700)), "invalid_grant"),
        (changed("exp", json!(now - 5)), "invalid_grant"),
        (changed("iat", json!(now + 600)), "invalid_grant"),
        (changed("scope", json!("")), "invalid_scope"),
        (forged, "invalid_grant"),
        ("a.b".to_owned(), "invalid_grant"),
    ] {
        let (status, body) = grant(&simulator, &[JWT_BEARER, ("assertion", &assertion)]).await;
        assert_eq!(
            (status, body["error"].as_str()),
            (400, Some(error)),
            "{assertion}"
        );
    }
}

#[tokio::test]
async fn users_machines_and_accounts_without_an_endpoint_are_let_in_too() {
    let simulator = RunningSimulator::builder()
        .dataset("d", "US")
        .start()
        .await
        .unwrap();
    let user: HashMap<String, String> =
        serde_json::from_str(&simulator.authorized_user_file()).unwrap();
    let fields = ["client_id", "client_secret", "refresh_token"];
    let mut form: Vec<_> = fields
        .iter()
        .map(|name| (*name, user[*name].as_str()))
        .collect();
    form.push(("grant_type", "refresh_token"));
    let (_, token) = grant(&simulator, &form).await;
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(datasets(&simulator, Some(token)).await.0, 200);

    let url = format!(
        "{}/computeMetadata/v1/instance/service-accounts/default/token?scopes=https://www.googleapis.com/auth/bigquery.insertdata",
        simulator.url()
    );
    let http = reqwest::Client::new();
    assert_eq!(http.get(&url).send().await.unwrap().status(), 403);
    let machine = http
        .get(&url)
        .header("metadata-flavor", "Google")
        .send()
        .await
        .unwrap();
    assert_eq!(machine.headers()["metadata-flavor"], "Google");
    let machine: Value = serde_json::from_slice(&machine.bytes().await.unwrap()).unwrap();
    let token = machine["access_token"].as_str().unwrap();
    assert_eq!(
        datasets(&simulator, Some(token)).await,
        (403, "insufficientPermissions".to_owned())
    );

    let key = Key::of(&simulator);
    let mut claims = key.claims();
    claims["sub"] = claims["iss"].clone();
    claims["aud"] = json!("https://bigquery.googleapis.com/");
    claims.as_object_mut().unwrap().remove("scope");
    assert_eq!(datasets(&simulator, Some(&key.sign(&claims))).await.0, 200);
    claims["scope"] = json!("https://www.googleapis.com/auth/bigquery");
    assert_eq!(datasets(&simulator, Some(&key.sign(&claims))).await.0, 401);
}
