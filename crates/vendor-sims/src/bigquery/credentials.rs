//! Who may call: a service account, a user, the machine's own account; and their tokens.
//!
//! docs.cloud.google.com, Using OAuth 2.0 for server to server applications.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};
use sim_http::{Answer, Error};

use super::refusal::Refusal;
use super::value::MICROS_PER_SECOND;

const SCOPES: &str = "https://www.googleapis.com/auth/";
/// Seconds for which a signed assertion may live.
const LONGEST_ASSERTION: i64 = 3_600;
/// Seconds by which the caller's clock may be ahead.
const CLOCK_SKEW: i64 = 60;
/// What a signed token is for that is sent in the place of an access token.
const SERVICE: &str = "https://bigquery.googleapis.com/";
/// The vendor's own token endpoint; libraries name it in assertions whatever endpoint they use.
const VENDOR_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// A service account whose key the simulator made.
///
/// These are test values: the simulator protects nothing. `Debug` leaves the key out all the same.
#[derive(Clone)]
pub(super) struct ServiceAccount {
    email: String,
    key_id: String,
    private_key: String,
    public_key: Arc<[u8]>,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServiceAccount")
            .field("email", &self.email)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl ServiceAccount {
    /// The account of this process: its key is made once.
    pub(super) fn of_this_process(project: &str) -> Result<Self, Error> {
        static KEY: OnceLock<Option<(String, Arc<[u8]>)>> = OnceLock::new();
        let made = KEY.get_or_init(|| {
            let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
            let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
            let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).ok()?;
            Some((
                pem("PRIVATE KEY", private.as_ref()),
                Arc::from(public.as_ref()),
            ))
        });
        let (private_key, public_key) = made
            .clone()
            .ok_or_else(|| Error::invalid("no key for the service account could be made"))?;
        Ok(Self {
            email: format!("sim@{project}.iam.gserviceaccount.com"),
            key_id: "51b0a6d0f2e94c7c8f3d6a1b2c3d4e5f60718293".to_owned(),
            private_key,
            public_key,
        })
    }

    /// An account whose key is somebody else's: `public_key` is PEM, `BEGIN PUBLIC KEY`.
    pub(super) fn with_public_key(
        email: &str,
        key_id: &str,
        public_key: &str,
    ) -> Result<Self, Error> {
        let body: String = public_key
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .map(str::trim)
            .collect();
        let der = STANDARD
            .decode(body)
            .map_err(|source| Error::invalid("the public key is not PEM").because(source))?;
        Ok(Self {
            email: email.to_owned(),
            key_id: key_id.to_owned(),
            private_key: String::new(),
            public_key: der.into(),
        })
    }

    /// The address of the account, as `client_email` has it.
    pub(super) fn email(&self) -> &str {
        &self.email
    }

    /// The key file, as the vendor's console would give it, with `token_uri` at the simulator.
    pub(super) fn key_file(&self, project: &str, url: &str) -> String {
        json!({
            "type": "service_account",
            "project_id": project,
            "private_key_id": self.key_id,
            "private_key": self.private_key,
            "client_email": self.email,
            "client_id": "100000000000000000001",
            "auth_uri": format!("{url}/auth"),
            "token_uri": format!("{url}/token"),
            "universe_domain": "googleapis.com",
        })
        .to_string()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// What a user's file of application default credentials holds.
pub(super) const CLIENT_ID: &str = "sim-client.apps.googleusercontent.com";
pub(super) const CLIENT_SECRET: &str = "sim-client-secret";
pub(super) const REFRESH_TOKEN: &str = "sim-refresh-token";

/// The tokens given out, and who may have one.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) account: ServiceAccount,
    /// Seconds for which a token lives.
    pub(super) life: i64,
    /// Where tokens are asked for, as assertions name it.
    pub(super) token_uri: String,
    given: HashMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    /// In microseconds.
    expires: i64,
    scopes: Vec<String>,
}

impl Tokens {
    pub(super) fn new(account: ServiceAccount, life: i64, token_uri: String) -> Self {
        Self {
            account,
            life,
            token_uri,
            given: HashMap::new(),
        }
    }

    /// Ends all tokens that were given out.
    pub(super) fn revoke(&mut self) -> usize {
        std::mem::take(&mut self.given).len()
    }

    fn give(&mut self, scopes: Vec<String>, now: i64) -> Json {
        // As long as the vendor's can be.
        let letters = (0..1_100).map(|_| fastrand::alphanumeric());
        let token = format!("ya29.sim.{}", letters.collect::<String>());
        let expires = now + self.life * MICROS_PER_SECOND;
        self.given.insert(token.clone(), Token { expires, scopes });
        json!({ "access_token": token, "expires_in": self.life, "token_type": "Bearer" })
    }

    /// Answers `POST /token`.
    pub(super) fn grant(&mut self, form: &HashMap<String, String>, now: i64) -> Answer {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let granted = match field("grant_type") {
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
                self.assertion(field("assertion"), now)
            }
            "refresh_token" => {
                let client = (field("client_id"), field("client_secret"));
                if client != (CLIENT_ID, CLIENT_SECRET) {
                    Err((
                        "invalid_client",
                        "The OAuth client was not found.".to_owned(),
                        401,
                    ))
                } else if field("refresh_token") != REFRESH_TOKEN {
                    Err((
                        "invalid_grant",
                        "Token has been expired or revoked.".to_owned(),
                        400,
                    ))
                } else {
                    Ok(vec![format!("{SCOPES}cloud-platform")])
                }
            }
            other => Err((
                "unsupported_grant_type",
                format!("Invalid grant_type: {other}"),
                400,
            )),
        };
        match granted {
            Ok(scopes) => Answer::json(200, &self.give(scopes, now)),
            Err((error, description, status)) => {
                let body = json!({ "error": error, "error_description": description });
                Answer::json(status, &body)
            }
        }
    }

    /// Answers the metadata server's `token`.
    pub(super) fn of_machine(&mut self, scopes: Option<&str>, now: i64) -> Json {
        let scopes = scopes.map_or_else(
            || vec![format!("{SCOPES}cloud-platform")],
            |scopes| scopes.split(',').map(str::to_owned).collect(),
        );
        self.give(scopes, now)
    }

    fn assertion(
        &self,
        assertion: &str,
        now: i64,
    ) -> Result<Vec<String>, (&'static str, String, u16)> {
        let invalid = |description: String| ("invalid_grant", description, 400);
        let claims = self.claims(assertion).map_err(invalid)?;
        if claims["iss"] != self.account.email.as_str() {
            let text = "Invalid grant: account not found".to_owned();
            return Err(invalid(text));
        }
        let audience = claims["aud"].as_str().unwrap_or_default();
        if audience != self.token_uri && audience != VENDOR_TOKEN_URI {
            return Err(invalid("Invalid JWT: Failed audience check.".to_owned()));
        }
        check_times(&claims, now).map_err(invalid)?;
        let scopes = scopes(&claims);
        if scopes.is_empty() || scopes.iter().any(|scope| !scope.starts_with(SCOPES)) {
            let text = "Invalid OAuth scope or ID token audience provided.".to_owned();
            return Err(("invalid_scope", text, 400));
        }
        Ok(scopes)
    }

    /// Reads a signed token and checks the signature.
    fn claims(&self, token: &str) -> Result<Json, String> {
        let parts: Vec<_> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err("Invalid JWT: it does not have three parts".to_owned());
        };
        let json = |part: &str| -> Result<Json, String> {
            let bytes = URL_SAFE_NO_PAD.decode(part);
            let bytes = bytes.map_err(|_| "Invalid JWT: it is not base64url without padding")?;
            serde_json::from_slice(&bytes).map_err(|_| "Invalid JWT: it is not JSON".to_owned())
        };
        let head = json(header)?;
        if head["alg"] != "RS256" {
            return Err("Invalid JWT: the algorithm is not RS256".to_owned());
        }
        if head
            .get("kid")
            .is_some_and(|kid| *kid != self.account.key_id.as_str())
        {
            return Err("Invalid JWT Signature: the key is not known".to_owned());
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| "Invalid JWT Signature.")?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.account.public_key);
        let signed = format!("{header}.{claims}");
        key.verify(signed.as_bytes(), &bytes)
            .map_err(|_| "Invalid JWT Signature.")?;
        json(claims)
    }

    /// The scopes of the caller, or why it is not let in.
    pub(super) fn check(
        &self,
        authorization: Option<&str>,
        now: i64,
    ) -> Result<Vec<String>, Refusal> {
        let Some(authorization) = authorization else {
            return Err(Refusal::new(401, "required", "Login Required.").at("Authorization"));
        };
        let refused = || {
            let text = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.";
            Refusal::new(401, "authError", text).at("Authorization")
        };
        let token = authorization.strip_prefix("Bearer ").ok_or_else(refused)?;
        if let Some(token) = self.given.get(token) {
            return if token.expires > now {
                Ok(token.scopes.clone())
            } else {
                Err(refused())
            };
        }
        if token.starts_with("ya29.") {
            return Err(refused());
        }
        // A token that the account has signed itself needs no endpoint.
        let claims = self.claims(token).map_err(|_| refused())?;
        let email = self.account.email.as_str();
        let is_account = claims["iss"] == email && claims["sub"] == email;
        if !is_account || check_times(&claims, now).is_err() {
            return Err(refused());
        }
        match (claims["aud"].as_str(), scopes(&claims)) {
            (Some(SERVICE), scopes) if scopes.is_empty() => {
                Ok(vec![format!("{SCOPES}cloud-platform")])
            }
            (None, scopes) if !scopes.is_empty() => Ok(scopes),
            _ => Err(refused()),
        }
    }
}

fn scopes(claims: &Json) -> Vec<String> {
    let text = claims["scope"].as_str().unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

fn check_times(claims: &Json, now: i64) -> Result<(), String> {
    let now = now.div_euclid(MICROS_PER_SECOND);
    let bad = || {
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.".to_owned()
    };
    let (Some(issued), Some(expires)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) else {
        return Err(bad());
    };
    let lives = expires - issued;
    let fits = (1..=LONGEST_ASSERTION).contains(&lives);
    if fits && issued <= now + CLOCK_SKEW && expires > now {
        Ok(())
    } else {
        Err(bad())
    }
}

/// Whether scopes are enough for a method.
pub(super) fn allows(scopes: &[String], call: &str) -> bool {
    scopes.iter().any(|scope| match scope.strip_prefix(SCOPES) {
        Some("bigquery" | "cloud-platform") => true,
        Some("bigquery.insertdata") => call == "tabledata.insertAll",
        Some("bigquery.readonly" | "cloud-platform.read-only") => {
            call.ends_with(".get") || call.ends_with(".list")
        }
        _ => false,
    })
}
