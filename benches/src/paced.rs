//! A gateway that costs next to nothing and takes exactly as long as it is told.
//!
//! `intacct-sim` checks what it is asked and works for its answers; that would show in every figure
//! about waiting. This one understands just the requests of the benches, leaves out all checks, and
//! copies its answers together from records that it made before.
//!
//! ```text
//!   request            first byte              last byte
//!      │◄── round trip ──►◄── work ──►│◄── transfer ──►│
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::answers::{Answers, Asked};
use crate::parsing::Result;

mod answers;
mod records;

pub use self::records::{FIRST_NUMBER, SECONDS_APART, first_modified};

/// How long the gateway takes, and what it bears.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many records it has.
    pub records: usize,
    /// L: from sending a request to its arrival, and back.
    pub round_trip: Duration,
    /// S: what a function that gives records takes, however many they are.
    pub work: Duration,
    /// T: how long a page of [`FULL_PAGE`] records is on its way, smaller ones accordingly.
    pub transfer: Duration,
    /// How many requests it takes at once; the next is refused with GW-0010.
    pub at_once: usize,
}

/// The records of a page that takes [`Pace::transfer`].
pub const FULL_PAGE: usize = 2_000;

impl Pace {
    /// No waiting at all.
    pub fn instant(records: usize) -> Self {
        Self {
            records,
            round_trip: Duration::ZERO,
            work: Duration::ZERO,
            transfer: Duration::ZERO,
            at_once: usize::MAX,
        }
    }

    /// From arguments: the number of records, L, S and T in milliseconds, and how many at once.
    ///
    /// # Errors
    /// If they are not such numbers.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let number = |at: usize| -> Result<u64> {
            let text = arguments.get(at).ok_or("too few arguments")?;
            Ok(text.parse()?)
        };
        Ok(Self {
            records: usize::try_from(number(0)?)?,
            round_trip: Duration::from_millis(number(1)?),
            work: Duration::from_millis(number(2)?),
            transfer: Duration::from_millis(number(3)?),
            at_once: usize::try_from(number(4)?)?,
        })
    }

    /// The arguments that [`parse`](Self::parse) understands.
    pub fn arguments(&self) -> Vec<String> {
        let millis = |time: Duration| time.as_millis().to_string();
        vec![
            self.records.to_string(),
            millis(self.round_trip),
            millis(self.work),
            millis(self.transfer),
            self.at_once.to_string(),
        ]
    }
}

/// Serves on a free port of the loopback interface until the process ends; tells the address first.
///
/// # Errors
/// If no port can be had.
pub fn serve(pace: Pace, tell: impl FnOnce(&str)) -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let url = format!("http://{}/ia/xml/xmlgw.phtml", listener.local_addr()?);
    tell(&url);
    let gateway = Arc::new(Gateway {
        pace,
        answers: Answers::new(pace.records, url),
        busy: AtomicUsize::new(0),
    });
    for stream in listener.incoming() {
        let (gateway, stream) = (Arc::clone(&gateway), stream?);
        thread::spawn(move || {
            // A client that goes away is none of the gateway's business.
            let _ = gateway.converse(stream);
        });
    }
    Ok(())
}

struct Gateway {
    pace: Pace,
    answers: Answers,
    busy: AtomicUsize,
}

impl Gateway {
    fn converse(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        let (mut request, mut answer) = (Vec::new(), Vec::new());
        while read_request(&mut reader, &mut request)? {
            let arrived = Instant::now();
            let busy = self.busy.fetch_add(1, Ordering::SeqCst);
            let outcome = if busy < self.pace.at_once {
                self.answer(&mut writer, &request, &mut answer, arrived)
            } else {
                sleep_until(arrived + self.pace.round_trip);
                writer.write_all(refusal().as_bytes())
            };
            self.busy.fetch_sub(1, Ordering::SeqCst);
            outcome?;
        }
        Ok(())
    }

    fn answer(
        &self,
        writer: &mut TcpStream,
        request: &[u8],
        answer: &mut Vec<u8>,
        arrived: Instant,
    ) -> io::Result<()> {
        let Pace {
            round_trip,
            work,
            transfer,
            ..
        } = self.pace;
        let asked = Asked::of(&String::from_utf8_lossy(request));
        let records = self.answers.write(&asked, answer);
        let work = if asked.is_for_records() {
            work
        } else {
            Duration::ZERO
        };
        let first_byte = arrived + round_trip + work;
        sleep_until(first_byte);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        writer.write_all(head.as_bytes())?;
        let transfer = transfer.mul_f64(records as f64 / FULL_PAGE as f64);
        let pieces = (transfer.as_millis() / 2).max(1) as usize;
        let each = answer.len().div_ceil(pieces).max(1);
        for (number, piece) in answer.chunks(each).enumerate() {
            let due = transfer.mul_f64((number + 1) as f64 / pieces as f64);
            sleep_until(first_byte + due);
            writer.write_all(piece)?;
        }
        Ok(())
    }
}

/// What is said to one request too many.
fn refusal() -> String {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><response><errormessage><error>\
                <errorno>GW-0010</errorno><description>Too many requests</description></error>\
                </errormessage></response>";
    let length = body.len();
    format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Reads one request with its body; false at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<bool> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    body.clear();
    reader.take(length).read_to_end(body)?;
    Ok(true)
}

fn sleep_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        thread::sleep(left);
    }
}
