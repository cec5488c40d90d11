//! From the body of an answer to its envelope and its records.

use super::body::Body;
use super::cursor::{Cursor, Gap, Tag, Token, is_blank};
use super::envelope::{
    AuthenticationStatus, ControlStatus, DataAttributes, FunctionResult, ListType, Operation,
    Response, Status,
};
use super::gateway_error::{GatewayError, error_message};
use super::options::{ReadOptions, RecordCount};
use super::tape::Tape;
use super::target::{DataStart, RecordTarget};
use crate::error::{Error, shown};

/// A `data` element whose records were handed over before the answer was read to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandedOver {
    /// Where its first record stood in the answer.
    pub(super) at: usize,
    /// How many bytes from there on were records and are no longer in the document.
    pub(super) bytes: u64,
    pub(super) records: u64,
    /// How many elements those records had, themselves included.
    pub(super) elements: u64,
}

/// Reads a whole document, or one whose first records were already handed over and taken out.
pub(super) fn read_document(
    document: &[u8],
    handed_over: Option<HandedOver>,
    options: &ReadOptions,
    tape: &mut Tape,
    target: &mut dyn RecordTarget,
) -> Result<Response, Error> {
    let body = Body::new(document, options).map_err(|error| match handed_over {
        Some(data) => error.moved(data.at as u64, data.bytes),
        None => error,
    })?;
    let skipped = usize::try_from(body.skipped).unwrap_or(usize::MAX);
    let handed_over = handed_over.map(|mut data| {
        data.at = data.at.saturating_sub(skipped);
        data
    });
    let gap = handed_over.map_or_else(Gap::default, |data| Gap {
        behind: data.at,
        bytes: data.bytes,
    });
    let mut cursor = Cursor::new(&body.text, body.skipped, options).without(gap);
    open_root(&mut cursor, "response")?;
    let mut response = Reading {
        cursor,
        target,
        tape,
        records: 0,
        handed_over,
    }
    .response()?;
    response.dropped_characters += body.dropped;
    Ok(response)
}

/// Reads an `errormessage` element that stands by itself.
///
/// # Errors
/// As [`read_response`](super::read_response).
pub fn read_error_message(body: &[u8], options: &ReadOptions) -> Result<Vec<GatewayError>, Error> {
    let body = Body::new(body, options)?;
    let mut cursor = Cursor::new(&body.text, body.skipped, options);
    open_root(&mut cursor, "errormessage")?;
    let errors = error_message(&mut cursor)?;
    expect_end(&mut cursor)?;
    Ok(errors)
}

fn open_root(cursor: &mut Cursor<'_>, expected: &str) -> Result<(), Error> {
    match cursor.next()? {
        Token::Open(tag) if tag.name() == expected => Ok(()),
        Token::Open(tag) => Err(cursor
            .wrong(format!(
                "the answer's root element is {}, not {expected}",
                shown(tag.name())
            ))
            .advise("check that the URL is the gateway's")),
        _ => Err(cursor.wrong("the answer has no root element")),
    }
}

fn expect_end(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    match cursor.next()? {
        Token::End => Ok(()),
        _ => Err(cursor.wrong("the answer goes on behind its root element")),
    }
}

/// A reading under way.
struct Reading<'a, 't> {
    cursor: Cursor<'a>,
    target: &'t mut dyn RecordTarget,
    tape: &'t mut Tape,
    /// How many records were handed over so far.
    records: u64,
    handed_over: Option<HandedOver>,
}

impl<'a> Reading<'a, '_> {
    fn response(mut self) -> Result<Response, Error> {
        let mut control = None;
        let mut acknowledgement = None;
        let mut operations = Vec::new();
        let mut errors = Vec::new();
        while let Some(tag) = self.child("response")? {
            match tag.name() {
                "control" => {
                    let value = self.control()?;
                    self.once(&mut control, value, "control")?;
                }
                "acknowledgement" => {
                    let value = self.acknowledgement()?;
                    self.once(&mut acknowledgement, value, "acknowledgement")?;
                }
                "operation" => operations.push(self.operation()?),
                "errormessage" => errors.append(&mut error_message(&mut self.cursor)?),
                _ => self.cursor.skip()?,
            }
        }
        expect_end(&mut self.cursor)?;
        let control = control.ok_or_else(|| self.missing("control", "response"))?;
        let executed = control.status == Status::Success && errors.is_empty();
        if executed && operations.is_empty() && acknowledgement.is_none() {
            return Err(self.missing("operation", "response"));
        }
        let dropped_characters = self.cursor.dropped();
        Ok(Response {
            control,
            acknowledgement,
            operations,
            errors,
            dropped_characters,
        })
    }

    fn control(&mut self) -> Result<ControlStatus, Error> {
        let mut status = None;
        let [
            mut sender_id,
            mut control_id,
            mut unique_id,
            mut dtd_version,
        ] = [const { None }; 4];
        while let Some(tag) = self.child("control")? {
            match tag.name() {
                "status" => self.status(tag, &mut status)?,
                "senderid" => self.text(tag, &mut sender_id)?,
                "controlid" => self.text(tag, &mut control_id)?,
                "uniqueid" => self.text(tag, &mut unique_id)?,
                "dtdversion" => self.text(tag, &mut dtd_version)?,
                _ => self.cursor.skip()?,
            }
        }
        let status = status.ok_or_else(|| self.missing("status", "control"))?;
        Ok(ControlStatus {
            status,
            sender_id: filled(sender_id),
            control_id: filled(control_id),
            unique_id: filled(unique_id),
            dtd_version: filled(dtd_version),
        })
    }

    fn acknowledgement(&mut self) -> Result<Status, Error> {
        let mut status = None;
        while let Some(tag) = self.child("acknowledgement")? {
            match tag.name() {
                "status" => self.status(tag, &mut status)?,
                _ => self.cursor.skip()?,
            }
        }
        status.ok_or_else(|| self.missing("status", "acknowledgement"))
    }

    fn operation(&mut self) -> Result<Operation, Error> {
        let mut authentication = None;
        let mut results = Vec::new();
        let mut errors = Vec::new();
        while let Some(tag) = self.child("operation")? {
            match tag.name() {
                "authentication" => {
                    let value = self.authentication()?;
                    self.once(&mut authentication, value, "authentication")?;
                }
                "result" => results.push(self.result()?),
                "errormessage" => errors.append(&mut error_message(&mut self.cursor)?),
                _ => self.cursor.skip()?,
            }
        }
        let authentication =
            authentication.ok_or_else(|| self.missing("authentication", "operation"))?;
        let executed = authentication.status == Status::Success && errors.is_empty();
        if executed && results.is_empty() {
            return Err(self.missing("result", "operation"));
        }
        Ok(Operation {
            authentication,
            results,
            errors,
        })
    }

    fn authentication(&mut self) -> Result<AuthenticationStatus, Error> {
        let mut status = None;
        let [mut user_id, mut company_id, mut client_id, mut location_id] = [const { None }; 4];
        let [mut session_timestamp, mut session_timeout] = [const { None }; 2];
        while let Some(tag) = self.child("authentication")? {
            match tag.name() {
                "status" => self.status(tag, &mut status)?,
                "userid" => self.text(tag, &mut user_id)?,
                "companyid" => self.text(tag, &mut company_id)?,
                "clientid" => self.text(tag, &mut client_id)?,
                "locationid" => self.text(tag, &mut location_id)?,
                "sessiontimestamp" => self.text(tag, &mut session_timestamp)?,
                "sessiontimeout" => self.text(tag, &mut session_timeout)?,
                _ => self.cursor.skip()?,
            }
        }
        let status = status.ok_or_else(|| self.missing("status", "authentication"))?;
        Ok(AuthenticationStatus {
            status,
            user_id: filled(user_id),
            company_id: filled(company_id),
            client_id: filled(client_id),
            location_id: filled(location_id),
            session_timestamp: filled(session_timestamp),
            session_timeout: filled(session_timeout),
        })
    }

    fn result(&mut self) -> Result<FunctionResult, Error> {
        let mut status = None;
        let [mut function, mut control_id, mut key] = [const { None }; 3];
        let mut list_type = None;
        let mut data = None;
        let mut errors = Vec::new();
        while let Some(tag) = self.child("result")? {
            match tag.name() {
                "status" => self.status(tag, &mut status)?,
                "function" => self.text(tag, &mut function)?,
                "controlid" => self.text(tag, &mut control_id)?,
                "key" => self.text(tag, &mut key)?,
                "listtype" => {
                    let value = self.list_type(tag)?;
                    self.once(&mut list_type, value, "listtype")?;
                }
                "data" => {
                    let function = function
                        .as_deref()
                        .ok_or_else(|| self.missing("function", "result"))?;
                    let control_id = control_id
                        .as_deref()
                        .ok_or_else(|| self.missing("controlid", "result"))?;
                    let value = self.data(tag, function, control_id)?;
                    self.once(&mut data, value, "data")?;
                }
                "errormessage" => errors.append(&mut error_message(&mut self.cursor)?),
                _ => self.cursor.skip()?,
            }
        }
        let (data, records) = data.unzip();
        Ok(FunctionResult {
            status: status.ok_or_else(|| self.missing("status", "result"))?,
            function: function.ok_or_else(|| self.missing("function", "result"))?,
            control_id: control_id.ok_or_else(|| self.missing("controlid", "result"))?,
            key: filled(key),
            list_type,
            data,
            records: records.unwrap_or(0),
            errors,
        })
    }

    fn list_type(&mut self, tag: Tag<'a>) -> Result<ListType, Error> {
        let mut list = ListType {
            object: String::new(),
            start: None,
            end: None,
            total: None,
        };
        self.cursor.attributes(&tag, |name, value| {
            match name {
                "start" => list.start = count("start", value)?,
                "end" => list.end = count("end", value)?,
                "total" => list.total = count("total", value)?,
                _ => {}
            }
            Ok(())
        })?;
        list.object = self.cursor.text_of(&tag)?.into_owned();
        Ok(list)
    }

    /// A page: its attributes, and how many records it held.
    fn data(
        &mut self,
        tag: Tag<'a>,
        function: &str,
        control_id: &str,
    ) -> Result<(DataAttributes, u64), Error> {
        let attributes = self.data_attributes(&tag)?;
        let start = DataStart {
            function,
            control_id,
            attributes: &attributes,
        };
        let before = self.records;
        let place = self.cursor.local_position();
        match self.handed_over.take_if(|data| data.at == place) {
            Some(data) => {
                self.records += data.records;
                self.cursor.count_elements(data.elements);
            }
            None => self
                .target
                .begin_data(&start)
                .map_err(|error| error.at(self.cursor.position()))?,
        }
        while let Some(record) = self.child("data")? {
            self.record(record)?;
        }
        self.target
            .end_data()
            .map_err(|error| error.at(self.cursor.position()))?;
        let records = self.records - before;
        self.check_count(function, attributes.count, records)?;
        Ok((attributes, records))
    }

    fn data_attributes(&mut self, tag: &Tag<'a>) -> Result<DataAttributes, Error> {
        let mut data = DataAttributes::default();
        let position = self.cursor.position();
        self.cursor
            .attributes(tag, |name, value| {
                match name {
                    "listtype" => data.list_type = filled(Some(value.to_owned())),
                    "totalcount" => data.total_count = count("totalcount", value)?,
                    "offset" => data.offset = count("offset", value)?,
                    "count" => data.count = count("count", value)?,
                    "numremaining" => data.remaining = count("numremaining", value)?,
                    "resultId" => data.result_id = filled(Some(value.to_owned())),
                    _ => {}
                }
                Ok(())
            })
            .map_err(|error| error.at(position))?;
        Ok(data)
    }

    /// A page that holds fewer records than it says must not pass for the whole of it.
    fn check_count(&self, function: &str, said: Option<u64>, held: u64) -> Result<(), Error> {
        let counts_records = matches!(function, "query" | "readByQuery" | "readMore");
        match (self.cursor.options().record_count, said) {
            (RecordCount::Enforce, Some(said)) if counts_records && said != held => Err(self
                .cursor
                .wrong(format!(
                    "a page of {function} says it has {said} records and has {held}"
                ))
                .in_field("count")
                .advise("none of its records may be used; send the read again")),
            _ => Ok(()),
        }
    }

    fn record(&mut self, tag: Tag<'a>) -> Result<(), Error> {
        let ordinal = self.records;
        let options = self.cursor.options();
        self.records += 1;
        if self.records > options.max_records {
            return Err(self.cursor.too_many(
                "records, more than",
                options.max_records,
                "max_records",
            ));
        }
        let position = self.cursor.position();
        let located = |error: Error| error.at(position).in_record(ordinal);
        self.tape.record(&mut self.cursor, &tag).map_err(located)?;
        self.tape.play(self.target).map_err(located)
    }

    /// The next element in the one that is open, or `None` at its end. Text between them is an error.
    fn child(&mut self, parent: &'static str) -> Result<Option<Tag<'a>>, Error> {
        loop {
            match self.cursor.next()? {
                Token::Open(tag) => return Ok(Some(tag)),
                Token::Close => return Ok(None),
                Token::Text(text) if is_blank(&text) => {}
                Token::Text(_) => {
                    return Err(self.cursor.wrong(format!(
                        "the element {parent} holds text where elements belong"
                    )));
                }
                Token::End => return Err(Error::truncated().at(self.cursor.position())),
            }
        }
    }

    fn status(&mut self, tag: Tag<'a>, into: &mut Option<Status>) -> Result<(), Error> {
        let status = match &*self.cursor.text_of(&tag)? {
            "success" => Status::Success,
            "failure" => Status::Failure,
            "aborted" => Status::Aborted,
            other => {
                return Err(self
                    .cursor
                    .wrong(format!("the status \"{}\" is not known", shown(other)))
                    .in_field("status"));
            }
        };
        self.once(into, status, "status")
    }

    fn text(&mut self, tag: Tag<'a>, into: &mut Option<String>) -> Result<(), Error> {
        let text = self.cursor.text_of(&tag)?.into_owned();
        self.once(into, text, tag.name())
    }

    /// Sets what may be said once only.
    fn once<T>(&self, into: &mut Option<T>, value: T, name: &str) -> Result<(), Error> {
        if into.replace(value).is_some() {
            return Err(self
                .cursor
                .wrong(format!(
                    "the answer has a second element {name} where one belongs"
                ))
                .in_field(name));
        }
        Ok(())
    }

    fn missing(&self, element: &'static str, parent: &'static str) -> Error {
        Error::missing(element, parent).at(self.cursor.position())
    }
}

/// A number of an attribute; empty is none.
fn count(name: &str, text: &str) -> Result<Option<u64>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Error::protocol(format!(
            "the attribute {name} of a list is \"{}\", not a number",
            shown(text)
        ))
        .in_field(name)
    })
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
