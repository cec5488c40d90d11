//! The client that one writes first: a session, then one request after the other.
//!
//! No retry, no renewal of the session, no limits.

use intacct_sim::RunningSimulator;
use intacct_xml::metadata::ApiSession;
use intacct_xml::request::{
    Authentication, Call, Control, Function, GetApiSession, Login, ReadMore, Request,
};
use intacct_xml::response::{ReadOptions, Tree, read_response};
use intacct_xml::{ControlId, SessionId};

use crate::parsing::Result;

/// One session with the simulator.
#[derive(Debug)]
pub struct PlainClient {
    http: reqwest::Client,
    url: String,
    session: SessionId,
}

const CONTROL_ID: &str = "f-1";

impl PlainClient {
    /// Logs in.
    ///
    /// # Errors
    /// If the simulator does not answer.
    pub async fn log_in(simulator: &RunningSimulator) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = simulator.url().to_owned();
        let known = intacct_sim::Credentials::default();
        let login = Login::new(known.company, known.user, known.password)?;
        let call = GetApiSession::default();
        let body = send(&http, &url, Authentication::Login(login), call.into()).await?;

        let mut tree = Tree::new();
        read_response(body.as_bytes(), &ReadOptions::default(), &mut tree)?;
        let session = ApiSession::from_records(tree.records(CONTROL_ID))?.session_id;
        Ok(Self { http, url, session })
    }

    /// Sends a call and waits for the whole answer.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn call(&self, call: impl Into<Call>) -> Result<String> {
        let authentication = Authentication::Session(self.session.clone());
        send(&self.http, &self.url, authentication, call.into()).await
    }

    /// Asks for the next page of a `readByQuery`.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn read_more(&self, result_id: &str) -> Result<String> {
        self.call(ReadMore::new(result_id)?).await
    }
}

async fn send(
    http: &reqwest::Client,
    url: &str,
    authentication: Authentication,
    call: Call,
) -> Result<String> {
    let known = intacct_sim::Credentials::default();
    let control = Control::new(known.sender, known.sender_password, ControlId::new("c-1")?)?;
    let function = Function::new(ControlId::new(CONTROL_ID)?, call);
    let document = Request::new(control, authentication, [function])?.to_xml();
    let answer = http
        .post(url)
        .header("content-type", "application/xml")
        .body(document.as_str().to_owned())
        .send()
        .await?;
    Ok(answer.error_for_status()?.text().await?)
}

/// The value of the first attribute of that name, found as text.
///
/// # Errors
/// If there is none.
pub fn attribute<'b>(body: &'b str, name: &str) -> Result<&'b str> {
    let begin = body
        .find(&format!("{name}=\""))
        .ok_or_else(|| format!("the answer has no attribute {name}"))?;
    let value = &body[begin + name.len() + 2..];
    let end = value.find('"').ok_or("the attribute does not end")?;
    Ok(&value[..end])
}
