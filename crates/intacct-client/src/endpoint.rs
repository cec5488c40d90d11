//! Which endpoint a session may be sent to.

use url::Url;

use crate::config::EndpointTrust;
use crate::error::{Error, ErrorKind, Reason, Result};

/// The endpoint that came with a session, if the session may be sent there.
///
/// Whoever holds the session acts as the user, so an answer must not be able to direct it to a foreign host.
pub(crate) fn adopted(returned: &str, configured: &Url, trust: EndpointTrust) -> Result<Url> {
    let url = Url::parse(returned)
        .map_err(|source| refused("it is not a URL", returned).caused_by(source))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(refused("it is neither https nor http", returned));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds credentials", returned));
    }
    let trusted = match trust {
        EndpointTrust::IntacctOnly => url.scheme() == "https" && is_intacct(&url),
        EndpointTrust::SameHost => url.origin() == configured.origin(),
        EndpointTrust::Any => true,
    };
    if trusted {
        return Ok(url);
    }
    let why = match trust {
        EndpointTrust::IntacctOnly => {
            "its host is not under intacct.com, or it is not https; if you use a proxy or a simulator, set \
             endpoint_trust"
        }
        _ => "it is not on the configured host",
    };
    Err(refused(why, returned))
}

fn is_intacct(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host);
    host.to_ascii_lowercase().ends_with(".intacct.com")
}

fn refused(why: &str, returned: &str) -> Error {
    let message = format!("the endpoint that came with the session is not used: {why}");
    let error = Error::new(ErrorKind::Protocol, Reason::ForeignEndpoint, message);
    let host = Url::parse(returned)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    match host {
        Some(host) => error.with("host", host),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::adopted;
    use crate::config::EndpointTrust::{Any, IntacctOnly, SameHost};
    use crate::error::Reason;
    use url::Url;

    #[test]
    fn a_session_goes_only_where_it_may() {
        let gateway: Url = "https://api.intacct.com/ia/xml/xmlgw.phtml"
            .parse()
            .unwrap();
        let local: Url = "http://127.0.0.1:8080/ia/xml/xmlgw.phtml".parse().unwrap();
        for (returned, configured, trust, allowed) in [
            (
                "https://na12.intacct.com/ia/xml/xmlgw.phtml",
                &gateway,
                IntacctOnly,
                true,
            ),
            ("https://NA12.Intacct.COM./x", &gateway, IntacctOnly, true),
            ("http://na12.intacct.com/x", &gateway, IntacctOnly, false),
            (
                "https://intacct.com.evil.example/x",
                &gateway,
                IntacctOnly,
                false,
            ),
            ("https://evilintacct.com/x", &gateway, IntacctOnly, false),
            (
                "https://evil.example/.intacct.com",
                &gateway,
                IntacctOnly,
                false,
            ),
            (
                "https://a.intacct.com@evil.example/",
                &gateway,
                IntacctOnly,
                false,
            ),
            (
                "https://user:pw@api.intacct.com/",
                &gateway,
                IntacctOnly,
                false,
            ),
            ("http://127.0.0.1:8080/other", &local, SameHost, true),
            ("http://127.0.0.1:8081/other", &local, SameHost, false),
            ("https://127.0.0.1:8080/other", &local, SameHost, false),
            ("http://127.0.0.1:8080/x", &local, IntacctOnly, false),
            ("https://elsewhere.example/x", &local, Any, true),
            ("ftp://elsewhere.example/x", &local, Any, false),
            ("not a url", &local, Any, false),
            ("", &local, Any, false),
        ] {
            let outcome = adopted(returned, configured, trust);
            assert_eq!(outcome.is_ok(), allowed, "{returned} {trust:?}");
            if let Err(error) = outcome {
                assert_eq!(error.reason(), Reason::ForeignEndpoint);
            }
        }
    }
}
