//! Signed claims: RS256 (RFC 7515, RFC 7518).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::client::reason::Reason;
use crate::error::{Error, ErrorKind, Result};

/// The claims as a token, signed by this key.
pub(super) fn signed(
    key: &KeyPair,
    key_id: Option<&str>,
    claims: &impl Serialize,
) -> Result<SecretString> {
    let mut header = json!({"alg": "RS256", "typ": "JWT"});
    if let (Some(header), Some(key_id)) = (header.as_object_mut(), key_id) {
        header.insert("kid".to_owned(), json!(key_id));
    }
    let claims = serde_json::to_vec(claims).map_err(internal)?;
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let mut token = Zeroizing::new(String::with_capacity(1024));
    token.push_str(&header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        token.as_bytes(),
        &mut signature,
    )
    .map_err(internal)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(SecretString::from(token.as_str()))
}

fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = "a token cannot be signed";
    Error::new(ErrorKind::Internal, Reason::Internal, message).caused_by(source)
}
