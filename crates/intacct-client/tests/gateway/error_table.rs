//! Every shape and every number of a refusal, at the level and in the way of logging in where it means something: what
//! the client makes of it, whether it tries again, how often and after which waits.

use std::time::Duration;

use futures_util::StreamExt;
use intacct_client::{Client, Error, ErrorKind, Reason, Retry};
use intacct_xml::request::Query;
use intacct_xml::response::Level;
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;

use crate::script::{Asked, Reply, Script, client, clock, envelope, page};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Vendor {
    #[expect(dead_code, reason = "only that it can be read matters")]
    recordno: i64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum At {
    /// The request that logs in.
    Login,
    /// A query with a session.
    Call,
}

/// What the client does then.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Then {
    /// Gives up after this many requests, without a wait.
    Stops(usize),
    /// Makes this many requests, a vendor's step of 1, 2, 4, 8 seconds and at most half as much again apart.
    Backs(usize),
    /// Makes five requests, so many seconds apart.
    Waits(u64),
}
use Then::{Backs, Stops, Waits};

struct Row {
    name: &'static str,
    at: At,
    reply: Box<dyn FnMut(&Asked) -> Reply + Send>,
    kind: ErrorKind,
    reason: Reason,
    level: Option<Level>,
    then: Then,
}

/// A row whose answer is this status with these header lines and this body.
fn http(name: &'static str, at: At, status: u16, headers: &'static str, body: &str) -> Row {
    let body = body.to_owned();
    row(name, at, move |_| {
        Reply::Http(status, headers, body.clone())
    })
}

fn row(name: &'static str, at: At, reply: impl FnMut(&Asked) -> Reply + Send + 'static) -> Row {
    Row {
        name,
        at,
        reply: Box::new(reply),
        kind: ErrorKind::Internal,
        reason: Reason::TaskEnded,
        level: None,
        then: Stops(0),
    }
}

/// A row whose answer is a function that failed with these errors.
fn function(name: &'static str, errors: &str) -> Row {
    let errors = errors.to_owned();
    let reply = move |asked: &Asked| {
        let result = format!(
            "<result><status>failure</status><function>query</function><controlid>{}</controlid>\
             <errormessage>{errors}</errormessage></result>",
            asked.control_ids()[0]
        );
        Reply::Xml(envelope("2026-01-31T20:00:00+00:00", &result))
    };
    let mut row = row(name, At::Call, reply);
    row.level = Some(Level::Function);
    row
}

impl Row {
    fn is(mut self, kind: ErrorKind, reason: Reason, then: Then) -> Self {
        (self.kind, self.reason, self.then) = (kind, reason, then);
        self
    }

    fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    async fn check(self) {
        let name = self.name;
        let script = match self.at {
            At::Login => Script::start_raw(self.reply).await,
            At::Call => Script::start(self.reply).await,
        };
        let clock = clock();
        let client = client(&script, &clock);
        let error = match self.at {
            At::Login => client.login().await.unwrap_err(),
            At::Call => first_page(&client).await.unwrap_err(),
        };
        let requests = match self.at {
            At::Login => script.logins(),
            At::Call => script.calls(),
        };
        assert_eq!(
            (error.kind(), error.reason()),
            (self.kind, self.reason),
            "{name}: {error:?}"
        );
        assert_eq!(error.level(), self.level, "{name}: {error:?}");
        let waits: Vec<Duration> = clock.sleeps();
        let expected = match self.then {
            Stops(requests) => {
                assert!(waits.is_empty(), "{name}: {waits:?}");
                requests
            }
            Backs(requests) => {
                assert_eq!(waits.len(), requests - 1, "{name}");
                for (wait, step) in waits.iter().zip([1, 2, 4, 8]) {
                    let step = Duration::from_secs(step);
                    assert!(*wait >= step && *wait <= step * 3 / 2, "{name}: {waits:?}");
                }
                requests
            }
            Waits(seconds) => {
                assert_eq!(waits, [Duration::from_secs(seconds); 4], "{name}");
                5
            }
        };
        assert_eq!(requests, expected, "{name}: {error}");
        let transient = !matches!(self.then, Stops(_));
        assert_eq!(error.is_transient(), transient, "{name}: {error:?}");
        assert_eq!(error.is_exhausted(), transient, "{name}");
        assert_eq!(
            error.retry(),
            Retry::Never,
            "{name}: the retries are spent, or there are none"
        );
        assert_refers_to_its_request(name, self.at, &error, &script);
    }
}

fn assert_refers_to_its_request(name: &str, at: At, error: &Error, script: &Script) {
    let fact = |name: &str| error.fact(name);
    match at {
        At::Login => assert_eq!(fact("function"), Some("getAPISession"), "{name}"),
        At::Call => {
            assert_eq!(
                (fact("function"), fact("object")),
                (Some("query"), Some("VENDOR")),
                "{name}"
            );
        }
    }
    let asked = script.asked();
    let last = asked
        .iter()
        .rfind(|asked| asked.is_login() == (at == At::Login))
        .unwrap();
    if at == At::Call {
        assert_eq!(fact("control_id"), Some(last.control_ids()[0]), "{name}");
    }
    assert_eq!(error.request_control_id(), last.text("controlid"), "{name}");
}

async fn first_page(client: &Client) -> intacct_client::Result<Vec<Vendor>> {
    let fields = FieldName::list(["RECORDNO"]).unwrap();
    let query = Query::new(ObjectName::new("VENDOR").unwrap(), fields).unwrap();
    let mut pages = client.query_as::<Vendor>(query.with_page_size(50).unwrap());
    pages.next().await.unwrap().map(|page| page.records)
}

/// An `error` with these texts; an empty one is left out.
fn error(errorno: &str, description: &str, description2: &str, correction: &str) -> String {
    let parts = [
        ("errorno", errorno),
        ("description", description),
        ("description2", description2),
        ("correction", correction),
    ];
    let parts = parts.iter().filter(|(_, text)| !text.is_empty());
    let parts: String = parts
        .map(|(name, text)| format!("<{name}>{text}</{name}>"))
        .collect();
    format!("<error>{parts}</error>")
}

/// A request that was refused as a whole, with no more in it than the edge sends.
fn control(errors: &str) -> String {
    format!(
        "<response><control><status>failure</status></control><errormessage>{errors}</errormessage></response>"
    )
}

/// A user or session that was refused; the session that is not known any more names nobody.
fn authentication(user: &str, errors: &str) -> String {
    format!(
        "<response><control><status>success</status></control><operation><authentication><status>failure</status>\
         <userid>{user}</userid><companyid>{user}</companyid></authentication>\
         <errormessage>{errors}</errormessage></operation></response>"
    )
}

const HTML: &str = "<html><body>Sorry</body></html>";
const CHALLENGE: &str = "<!-- x --><html><div id=\"cf-error-details\"></div></html>";

async fn check_all(rows: impl IntoIterator<Item = Row>) {
    for row in rows {
        row.check().await;
    }
}

#[tokio::test]
async fn shapes_that_are_no_envelope() {
    use At::Call;
    use ErrorKind::{NotFound, Permission, Protocol, Throttled, Timeout, Unavailable};
    use Reason::{BrokenAnswer, ChallengePage, Envelope, HttpStatus, OriginTimeout, RateLimited};
    let whole = envelope("2026-01-31T20:00:00Z", "");
    let two_roots = format!(
        "{0}{0}",
        whole.replace("</operation>", "<result/></operation>")
    );
    let seven = "retry-after: 7\r\n";
    let date =
        "date: Sat, 31 Jan 2026 18:00:00 GMT\r\nretry-after: Sat, 31 Jan 2026 18:00:09 GMT\r\n";
    let limited = "{\"message\":\"API rate limit exceeded\"}";
    check_all([
        http("429 without a word", Call, 429, "", "").is(Throttled, RateLimited, Backs(5)),
        http("429 with Retry-After", Call, 429, seven, HTML).is(Throttled, RateLimited, Waits(7)),
        http("429 with a date", Call, 429, date, "").is(Throttled, RateLimited, Waits(9)),
        http("429 of an API gateway", Call, 429, "", limited).is(Throttled, RateLimited, Backs(5)),
        http("200 of an API gateway", Call, 200, "", limited).is(Throttled, RateLimited, Backs(5)),
        http("200 that says when", Call, 200, seven, limited).is(Throttled, RateLimited, Waits(7)),
        http("500 page", Call, 500, "", HTML).is(Unavailable, HttpStatus, Backs(5)),
        http("500 empty", Call, 500, "", "").is(Unavailable, HttpStatus, Backs(5)),
        http("502 page", Call, 502, "", HTML).is(Unavailable, HttpStatus, Backs(5)),
        http("503 that says when", Call, 503, seven, HTML).is(Unavailable, HttpStatus, Waits(7)),
        http("504 empty", Call, 504, "", "").is(Timeout, HttpStatus, Backs(5)),
        // The page is as small as it may be; a larger one is not asked for again, but in halves.
        http("524 page", Call, 524, "", HTML).is(Timeout, OriginTimeout, Backs(2)),
        http("challenge, 403", Call, 403, "", CHALLENGE).is(Unavailable, ChallengePage, Waits(75)),
        http("challenge, 200", Call, 200, "", CHALLENGE).is(Unavailable, ChallengePage, Waits(75)),
        http("challenge, 503", Call, 503, seven, CHALLENGE).is(
            Unavailable,
            ChallengePage,
            Waits(75),
        ),
        http("403 page", Call, 403, "", HTML).is(Permission, HttpStatus, Stops(1)),
        http("404 page", Call, 404, "", HTML).is(NotFound, HttpStatus, Stops(1)),
        http("400 page", Call, 400, "", HTML).is(ErrorKind::Rejected, HttpStatus, Stops(1)),
        http("401 page", Call, 401, "", HTML).is(ErrorKind::Auth, Reason::Login, Stops(1)),
        http("307", Call, 307, "", "").is(Protocol, HttpStatus, Stops(1)),
        http("200 page", Call, 200, "", HTML).is(Unavailable, BrokenAnswer, Backs(5)),
        http("200 empty", Call, 200, "", "").is(Unavailable, BrokenAnswer, Backs(5)),
        http("200 only spaces", Call, 200, "", " \n").is(Unavailable, BrokenAnswer, Backs(5)),
        http("200 cut XML", Call, 200, "", "<response><control>").is(
            Unavailable,
            BrokenAnswer,
            Backs(5),
        ),
        http("200 two roots", Call, 200, "", &two_roots).is(Protocol, Envelope, Stops(1)),
        http("200 other XML", Call, 200, "", "<a/>").is(Protocol, Envelope, Stops(1)),
        http("200 JSON", Call, 200, "", "[{}]").is(Protocol, Envelope, Stops(1)),
    ])
    .await;
}

#[tokio::test]
async fn refusals_of_the_request() {
    use At::{Call, Login};
    use ErrorKind::{Auth, Protocol, Rejected, Throttled, Unavailable};
    use Reason::{Control, Envelope, HttpStatus, Offline, RateLimited};
    let of = |errorno: &str, text: &str| control(&error(errorno, "", text, ""));
    let schema = control(
        &[
            error("XL03000003", "", "line 1", ""),
            error("XL03000003", "", "line 2", ""),
        ]
        .concat(),
    );
    let sender = of("XL03000006", "Incorrect Intacct XML Partner ID or password");
    let policy = of("XL03000006", "x is not a valid transport policy");
    let sign_in = control(&error(
        "XMLGW_JPP0002",
        "Sign-in information is incorrect",
        "",
        "",
    ));
    let parameters = of("invalidRequest", "Invalid Request");
    let limited = control(&error("GW-0010", "Too many [Request ID: r%7E1]", "", ""));
    let edge = of("GW-0011", "Invalid Request");
    let other_edge = of("GW-0099", "something at the edge");
    let later = control(&error("x", "", "", "Please try again later."));
    let acknowledged = "<response><control><status>success</status></control><acknowledgement>\
                        <status>success</status></acknowledgement></response>";
    let at_control = |row: Row| row.level(Level::Control);
    check_all(
        [
            http("schema", Call, 200, "", &schema).is(Rejected, Control, Stops(1)),
            http("sender", Login, 200, "", &sender).is(Auth, Control, Stops(1)),
            http("sender, with a session", Call, 200, "", &sender).is(Auth, Control, Stops(1)),
            http("policy", Call, 200, "", &policy).is(Rejected, Control, Stops(1)),
            http("401 with XMLGW_JPP0002", Login, 401, "", &sign_in).is(Auth, Control, Stops(1)),
            http("400 with invalidRequest", Login, 400, "", &parameters).is(
                Auth,
                Control,
                Stops(1),
            ),
            http("expired demo", Login, 200, "", &of("PL04000055", "expired")).is(
                Auth,
                Control,
                Stops(1),
            ),
            http("200 with GW-0010", Call, 200, "", &limited).is(Throttled, RateLimited, Backs(5)),
            http(
                "limit by its text",
                Call,
                200,
                "",
                &of("x", "API rate limit exceeded"),
            )
            .is(Throttled, RateLimited, Backs(5)),
            http("400 with GW-0011", Call, 400, "", &edge).is(Rejected, Control, Stops(1)),
            http("GW-0099 with 400", Call, 400, "", &other_edge).is(Rejected, Control, Stops(1)),
            http("GW-0099 with 200", Call, 200, "", &other_edge).is(Rejected, Control, Stops(1)),
            http("later", Call, 200, "", &later).is(Unavailable, Offline, Backs(5)),
            http("an unknown number", Call, 200, "", &of("XL09999999", "new")).is(
                Rejected,
                Control,
                Stops(1),
            ),
        ]
        .map(at_control),
    )
    .await;
    // The status says that it passes, whatever the body says.
    check_all([
        http("429 with GW-0010", Call, 429, "", &limited).is(Throttled, RateLimited, Backs(5)),
        http(
            "429 at the login",
            Login,
            429,
            "retry-after: 3\r\n",
            &limited,
        )
        .is(Throttled, RateLimited, Waits(3)),
        http("GW-0099 with 500", Call, 500, "", &other_edge).is(Unavailable, HttpStatus, Backs(5)),
        http("503 with XML", Call, 503, "", &sender).is(Unavailable, HttpStatus, Backs(5)),
        http("524 at the login", Login, 524, "", "").is(
            ErrorKind::Timeout,
            Reason::OriginTimeout,
            Backs(5),
        ),
        http("acknowledged", Call, 200, "", acknowledged).is(Protocol, Envelope, Stops(1)),
    ])
    .await;
}

#[tokio::test]
async fn refusals_of_the_user_and_the_session() {
    use At::{Call, Login};
    use ErrorKind::{Auth, Unavailable};
    use Reason::{Offline, SenderNotAuthorised, SessionExpired};
    let of = |user: &str, description: &str, text: &str| {
        authentication(user, &error("XL03000006", description, text, ""))
    };
    let sign_in = of("u", "", "Sign-in information is incorrect");
    let nobody = of("", "", "Sign-in information is incorrect");
    let sender = of(
        "u",
        "Invalid Web Services Authorization",
        "The sender ID is not authorised",
    );
    let session = of("", "", "Invalid session. Please login again.");
    let busy = authentication("", &error("x", "", "", "Please Try Again Later"));
    let locked = authentication("u", &error("XL03000099", "", "The user is locked", ""));
    let wordless = authentication("", "<error/>");
    let at_authentication = |row: Row| row.level(Level::Authentication);
    check_all(
        [
            // The same number means the user when logging in, and the session when there is one.
            http("wrong user", Login, 200, "", &sign_in).is(Auth, Reason::Login, Stops(1)),
            http("wrong user, no name", Login, 200, "", &nobody).is(Auth, Reason::Login, Stops(1)),
            http("sender, logging in", Login, 200, "", &sender).is(
                Auth,
                SenderNotAuthorised,
                Stops(1),
            ),
            http("sender, in a session", Call, 200, "", &sender).is(
                Auth,
                SenderNotAuthorised,
                Stops(1),
            ),
            // One new login, one resend, and no third.
            http("session", Call, 200, "", &session).is(Auth, SessionExpired, Stops(2)),
            http("session by its number", Call, 200, "", &sign_in).is(
                Auth,
                SessionExpired,
                Stops(2),
            ),
            http("session, wordless", Call, 200, "", &wordless).is(Auth, SessionExpired, Stops(2)),
            http("session's text at the login", Login, 200, "", &session).is(
                Auth,
                Reason::Login,
                Stops(1),
            ),
            http("locked", Call, 200, "", &locked).is(Auth, Reason::Login, Stops(1)),
            http("busy", Login, 200, "", &busy).is(Unavailable, Offline, Backs(5)),
            http("busy, in a session", Call, 200, "", &busy).is(Unavailable, Offline, Backs(5)),
        ]
        .map(at_authentication),
    )
    .await;
}

#[tokio::test]
async fn refusals_of_the_function() {
    use ErrorKind::{Conflict, NotFound, Permission, Rejected, Throttled, Unavailable};
    use Reason::{
        Aborted, AlreadyExists, DuplicateFunction, FieldsRefused, Function, Offline, Processing,
        RateLimited, UnknownObject,
    };
    let of = |errorno: &str, text: &str| error(errorno, "", text, "");
    let wrapped = [
        of("BL34000061", "Another Vendor with the given value"),
        of("BL01001973", "Could not create"),
    ];
    check_all([
        function(
            "refused fields",
            &of("XL03000006", "The following fields cannot be queried: A"),
        )
        .is(Rejected, FieldsRefused, Stops(1)),
        function("only the wrapper", &of("XL03000009", "rolled back")).is(
            Rejected,
            Aborted,
            Stops(1),
        ),
        function(
            "permission",
            &of(
                "PL04000005",
                "no permission for API operation READ on VENDOR",
            ),
        )
        .is(Permission, Reason::Permission, Stops(1)),
        function(
            "audit history",
            &error(
                "",
                "You do not have permission to view audit history",
                "",
                "",
            ),
        )
        .is(Permission, Reason::Permission, Stops(1)),
        function(
            "processing, never worked",
            &of("DL02000001", "There was an error processing the request"),
        )
        .is(Rejected, Processing, Stops(1)),
        function("wrapper", &of("BL01001973", "something new")).is(Rejected, Function, Stops(1)),
        function("exists", &of("BL34000061", "Another value exists")).is(
            Conflict,
            AlreadyExists,
            Stops(1),
        ),
        function("exists too", &of("PL05000104", "duplicate")).is(
            Conflict,
            AlreadyExists,
            Stops(1),
        ),
        function("cause and wrapper", &wrapped.concat()).is(Conflict, AlreadyExists, Stops(1)),
        function("format", &of("BL03000018", "illegal field format")).is(
            Rejected,
            Function,
            Stops(1),
        ),
        function(
            "no such object",
            &of("Query Failed", "Object definition VENDORX not found"),
        )
        .is(NotFound, UnknownObject, Stops(1)),
        function("prose for a number", &of("Invalid fields list x", "")).is(
            Rejected,
            Function,
            Stops(1),
        ),
        function("done before", &of("x", "duplicate controlid")).is(
            Conflict,
            DuplicateFunction,
            Stops(1),
        ),
        function("wordless", "<error/>").is(Rejected, Function, Stops(1)),
        function("off-line", &of("x", "The Service is Temporarily Off-line")).is(
            Unavailable,
            Offline,
            Backs(5),
        ),
        function("later", &error("x", "hm", "", "Please Try Again Later.")).is(
            Unavailable,
            Offline,
            Backs(5),
        ),
        function("limit", &of("x", "API rate limit exceeded")).is(Throttled, RateLimited, Backs(5)),
    ])
    .await;
}

/// What worked before and fails now is worth another try; the same words at the first time are not.
#[tokio::test]
async fn an_error_processing_the_request_passes_if_the_like_has_worked() {
    let failure = error(
        "DL02000001",
        "",
        "There was an error processing the request",
        "",
    );
    let script = Script::start(move |asked| match asked.number {
        1 | 2 => {
            let result = format!(
                "<result><status>failure</status><function>query</function><controlid>{}</controlid>\
                 <errormessage>{failure}</errormessage></result>",
                asked.control_ids()[0]
            );
            Reply::Xml(envelope("2026-01-31T20:00:00+00:00", &result))
        }
        _ => Reply::Xml(page(
            asked,
            "totalcount=\"1\" offset=\"0\" count=\"1\" numremaining=\"0\"",
            "<VENDOR><RECORDNO>1</RECORDNO></VENDOR>",
        )),
    })
    .await;
    let client = client(&script, &clock());
    first_page(&client).await.unwrap();
    first_page(&client).await.unwrap();
    assert_eq!(script.calls(), 4);
}

#[tokio::test]
async fn all_that_the_gateway_says_is_kept() {
    let texts = "<error><errorno>BL01001973</errorno><description></description>\
         <description2>Could not create &amp;#039;x&amp;#039; [Support ID: a%7Eb]</description2>\
         <correction>Check it [Request ID: r-1]</correction>\
         <additionalinfo><errorid>GL-0493</errorid><category>C</category>\
         <description><messageid>m1</messageid></description><correction><messageid>m2</messageid></correction>\
         </additionalinfo></error>";
    let wrapper = error("XL03000009", "", "rolled back", "");
    let errors = format!("{texts}{wrapper}");
    let reply = function("", &errors).reply;
    let script = Script::start(reply).await;
    let error = first_page(&client(&script, &clock())).await.unwrap_err();
    let [first, second] = error.gateway_errors() else {
        panic!("{error:?}");
    };
    assert_eq!(first.description, None);
    assert!(
        first
            .description2
            .as_deref()
            .unwrap()
            .starts_with("Could not create")
    );
    assert!(
        first.correction.as_deref().unwrap().starts_with("Check it"),
        "not the nested one"
    );
    let info = first.additional_info.as_ref().unwrap();
    assert_eq!(info.error_id.as_deref(), Some("GL-0493"));
    assert_eq!(
        info.correction.as_ref().unwrap().message_id.as_deref(),
        Some("m2")
    );
    assert!(second.is_rollback());
    assert_eq!(
        (error.support_id(), error.request_id()),
        (Some("a~b"), Some("r-1"))
    );
    assert!(error.to_string().contains("BL01001973"), "{error}");
}

#[tokio::test]
async fn refused_fields_are_named() {
    let text = "The following fields cannot be queried: CFDA, PAYTO.TAXID,AGENCY. [Support ID: x]";
    let script = Script::start(function("", &error("XL03000006", "", text, "")).reply).await;
    let error = first_page(&client(&script, &clock())).await.unwrap_err();
    assert_eq!(error.refused_fields(), ["CFDA", "PAYTO.TAXID", "AGENCY"]);
}
