//! What refusing answers say.

use serde::Deserialize;

use crate::error::ServiceError;

/// The errors in the body of a refusing answer, the cause first. None where the body is no JSON of BigQuery's: a proxy's
/// page, or nothing at all.
pub(crate) fn service_errors(body: &[u8]) -> Vec<ServiceError> {
    #[derive(Deserialize)]
    struct Envelope {
        error: Told,
    }

    #[derive(Deserialize)]
    struct Told {
        #[serde(default)]
        message: String,
        #[serde(default)]
        status: String,
        #[serde(default)]
        errors: Vec<ServiceError>,
    }

    let Ok(Envelope { error }) = serde_json::from_slice(body) else {
        return Vec::new();
    };
    if !error.errors.is_empty() {
        return error.errors;
    }
    if error.message.is_empty() && error.status.is_empty() {
        return Vec::new();
    }
    vec![ServiceError {
        reason: error.status,
        location: None,
        message: error.message,
    }]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::service_errors;

    #[test]
    fn the_cause_is_found_in_every_shape() {
        let full = br#"{"error":{"code":404,"message":"Not found: Table p:d.t","errors":[{"domain":"global",
            "reason":"notFound","message":"Not found: Table p:d.t","location":"x","locationType":"y"}],
            "status":"NOT_FOUND"}}"#;
        let told = service_errors(full);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].reason.as_str(), told[0].location.as_deref()),
            ("notFound", Some("x"))
        );

        let short =
            br#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#;
        assert_eq!(service_errors(short)[0].reason, "RESOURCE_EXHAUSTED");

        let without: [&[u8]; 6] = [
            b"",
            b"<html>413</html>",
            b"{}",
            b"[]",
            br#"{"error":"invalid_grant"}"#,
            br#"{"error":{}}"#,
        ];
        for body in without {
            assert!(
                service_errors(body).is_empty(),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            service_errors(&body);
        }
    }
}
