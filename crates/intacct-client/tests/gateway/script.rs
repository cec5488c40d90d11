//! A gateway that answers each request as told, and keeps what it was asked.

use std::sync::{Arc, Mutex};

use intacct_client::{Client, ClientConfig, Credentials, EndpointTrust, Sender, User};
use sync_http::{ManualClock, Timing};
use time::macros::datetime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is sent back.
pub(crate) enum Reply {
    /// Status 200 and this body.
    Xml(String),
    /// This status, these header lines and this body.
    Http(u16, &'static str, String),
    /// A body that is promised longer than it is.
    Cut(String),
    /// The connection is reset.
    Reset,
    /// Nothing, until the client gives up.
    Silence,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The position in all requests of this kind (logins, or others), from 0.
    pub(crate) number: usize,
    pub(crate) body: String,
    /// The address that it was sent to.
    pub(crate) origin: String,
}

impl Asked {
    pub(crate) fn is_login(&self) -> bool {
        self.body.contains("<getAPISession")
    }

    /// What stands in the first element of this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, behind) = self.body.split_once(&format!("<{name}>"))?;
        Some(behind.split_once(&format!("</{name}>"))?.0)
    }

    /// The control ids of the functions.
    pub(crate) fn control_ids(&self) -> Vec<&str> {
        let functions = self.body.split("<function controlid=\"").skip(1);
        functions
            .map(|rest| rest.split_once('"').unwrap().0)
            .collect()
    }
}

#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    /// Answers logins with sessions `sid-0`, `sid-1`, ... and everything else as told.
    pub(crate) async fn start(mut answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let url = Arc::new(Mutex::new(String::new()));
        let own = Arc::clone(&url);
        let script = Self::start_raw(move |asked| {
            if asked.is_login() {
                let endpoint = own.lock().unwrap().clone();
                Reply::Xml(login(asked, &endpoint, "2026-01-31T20:00:00+00:00"))
            } else {
                answer(asked)
            }
        })
        .await;
        *url.lock().unwrap() = script.url.clone();
        script
    }

    /// Answers everything as told.
    pub(crate) async fn start_raw(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/ia/xml/xmlgw.phtml",
            listener.local_addr().unwrap()
        );
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&asked), Arc::new(Mutex::new(answer)));
        let origin = url.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                let origin = origin.clone();
                tokio::spawn(async move {
                    let Some(body) = read_request(&mut stream).await else {
                        return;
                    };
                    let reply = {
                        let mut seen = seen.lock().unwrap();
                        let mut request = Asked {
                            number: 0,
                            body,
                            origin,
                        };
                        let alike = |other: &&Asked| other.is_login() == request.is_login();
                        request.number = seen.iter().filter(alike).count();
                        seen.push(request.clone());
                        (answer.lock().unwrap())(&request)
                    };
                    send(stream, reply).await;
                });
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn logins(&self) -> usize {
        self.asked().iter().filter(|asked| asked.is_login()).count()
    }

    pub(crate) fn calls(&self) -> usize {
        self.asked().len() - self.logins()
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut seen = Vec::new();
    let (head, length) = loop {
        seen.push(stream.read_u8().await.ok()?);
        if seen.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8(std::mem::take(&mut seen))
                .unwrap()
                .to_ascii_lowercase();
            let length = head.split_once("content-length: ").unwrap().1;
            let length: usize = length.split_once("\r\n").unwrap().0.parse().unwrap();
            break (head, length);
        }
    };
    assert!(head.starts_with("post /ia/xml/xmlgw.phtml "), "{head}");
    assert!(head.contains("content-type: application/xml\r\n"), "{head}");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(String::from_utf8(body).unwrap())
}

async fn send(mut stream: TcpStream, reply: Reply) {
    let http = |status: u16, headers: &str, body: &str, length: usize| {
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: text/xml; encoding=\"UTF-8\"\r\nconnection: close\r\n\
             {headers}content-length: {length}\r\n\r\n{body}"
        )
    };
    let text = match reply {
        Reply::Xml(body) => http(
            200,
            "date: Sat, 31 Jan 2026 18:00:00 GMT\r\n",
            &body,
            body.len(),
        ),
        Reply::Http(status, headers, body) => http(status, headers, &body, body.len()),
        Reply::Cut(body) => http(200, "", &body, body.len() + 10),
        Reply::Reset => {
            stream.set_zero_linger().unwrap();
            return;
        }
        Reply::Silence => {
            let _ = stream.read(&mut [0; 1]).await;
            return;
        }
    };
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The answer to a login.
pub(crate) fn login(asked: &Asked, endpoint: &str, timeout: &str) -> String {
    let result = format!(
        "<result><status>success</status><function>getAPISession</function><controlid>{}</controlid>\
         <data><api><sessionid>sid-{}</sessionid><endpoint>{endpoint}</endpoint><locationid></locationid>\
         </api></data></result>",
        asked.control_ids()[0],
        asked.number,
    );
    envelope(timeout, &result)
}

/// The envelope of an answer whose control block and authentication succeeded.
pub(crate) fn envelope(timeout: &str, results: &str) -> String {
    format!(
        "<response><control><status>success</status></control><operation><authentication>\
         <status>success</status><userid>u</userid><companyid>c</companyid>\
         <sessiontimeout>{timeout}</sessiontimeout></authentication>{results}</operation></response>"
    )
}

/// One page of VENDOR with these record numbers.
pub(crate) fn page(asked: &Asked, attributes: &str, records: &str) -> String {
    result(
        asked,
        "success",
        &format!("<data listtype=\"VENDOR\" {attributes}>{records}</data>"),
    )
}

/// The result of the only function.
pub(crate) fn result(asked: &Asked, status: &str, inner: &str) -> String {
    let ids = asked.control_ids();
    let result = format!(
        "<result><status>{status}</status><function>query</function><controlid>{}</controlid>{inner}</result>",
        ids[0]
    );
    envelope("2026-01-31T20:00:00+00:00", &result)
}

pub(crate) fn error_message(errorno: &str, text: &str, correction: &str) -> String {
    format!(
        "<errormessage><error><errorno>{errorno}</errorno><description></description>\
         <description2>{text}</description2><correction>{correction}</correction></error></errormessage>"
    )
}

/// The answer to a session that is no longer valid.
pub(crate) fn invalid_session() -> String {
    authentication_failure("XL03000006", "Invalid session. Please login again.", "")
}

pub(crate) fn authentication_failure(errorno: &str, text: &str, user: &str) -> String {
    format!(
        "<response><control><status>success</status></control><operation><authentication>\
         <status>failure</status><userid>{user}</userid><companyid>{user}</companyid></authentication>{}\
         </operation></response>",
        error_message(errorno, text, "")
    )
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::new(datetime!(2026-01-31 18:00 UTC))
}

pub(crate) fn config(url: &str, clock: &ManualClock) -> ClientConfig {
    crate::logs::watch();
    let sender = Sender {
        id: "sender".into(),
        password: "sender-pw-hush".into(),
    };
    let user = User {
        company_id: "c".into(),
        id: "u".into(),
        password: "user-pw-hush".into(),
    };
    ClientConfig::new(Credentials::new(sender, user))
        .with_endpoint(url, EndpointTrust::SameHost)
        .with_timing(Timing::from(clock.clone()))
}

pub(crate) fn client(script: &Script, clock: &ManualClock) -> Client {
    Client::new(config(&script.url, clock)).unwrap()
}
