//! From the body of an answer to its envelope and its records.

use super::body::Body;
use super::cursor::{Cursor, Tag, Text, Token, is_blank};
use super::envelope::{
    AuthenticationStatus, ControlStatus, DataAttributes, FunctionResult, ListType, Operation,
    Response, Status,
};
use super::gateway_error::{GatewayError, error_message};
use super::options::{ReadOptions, RecordCount};
use super::target::{DataStart, RecordEnd, RecordTarget};
use crate::error::{Error, shown};

/// Reads a complete answer and hands its records to the target on the way.
///
/// The records count only if this returns `Ok`: then the end of the document has been seen, and each
/// page held as many records as it said.
/// `Ok` also covers answers that report a failure; see [`Response::failure`].
///
/// # Errors
/// By [`ErrorKind`](crate::ErrorKind): `Truncated` for a body that ends too early, `NotXml` for
/// something else than XML, `Protocol` for XML that is not well formed or not the documented
/// envelope (what is missing is named), `Limit` for an answer beyond the options, `Data` where the
/// target refuses a record.
pub fn read_response(
    body: &[u8],
    options: &ReadOptions,
    target: &mut dyn RecordTarget,
) -> Result<Response, Error> {
    target.begin_response()?;
    let outcome = read_body(body, options, target);
    if outcome.is_err() {
        // What was handed over is not a page, so nobody can take it for one.
        target.begin_response()?;
    }
    outcome
}

fn read_body(
    body: &[u8],
    options: &ReadOptions,
    target: &mut dyn RecordTarget,
) -> Result<Response, Error> {
    let body = Body::new(body, options)?;
    let mut cursor = Cursor::new(&body.text, body.skipped, options);
    open_root(&mut cursor, "response")?;
    let mut response = Reading {
        cursor,
        target,
        records: 0,
    }
    .response()?;
    response.dropped_characters += body.dropped;
    Ok(response)
}

/// Reads an `errormessage` element that stands by itself.
///
/// # Errors
/// As [`read_response`].
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
    /// How many records were handed over so far.
    records: u64,
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
        self.target
            .begin_data(&start)
            .map_err(|error| error.at(self.cursor.position()))?;
        let before = self.records;
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
        match hand_over(&mut self.cursor, &tag, self.target).map_err(located)? {
            RecordEnd::Done => Ok(()),
            RecordEnd::Again => {
                let mut again = self.cursor.again(tag.begins());
                let Token::Open(tag) = again.next()? else {
                    return Err(self.cursor.wrong("a record cannot be read again"));
                };
                match hand_over(&mut again, &tag, self.target).map_err(located)? {
                    RecordEnd::Done => Ok(()),
                    RecordEnd::Again => Err(located(
                        Error::data("a target asks for the same record a third time")
                            .advise("it must be done with a record when it gets it again"),
                    )),
                }
            }
        }
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

/// Hands the record just opened to the target.
///
/// Whether an element is a field or a group shows only at what comes next, so the last tag is held.
fn hand_over<'a>(
    cursor: &mut Cursor<'a>,
    record: &Tag<'a>,
    target: &mut dyn RecordTarget,
) -> Result<RecordEnd, Error> {
    let most_fields = cursor.options().max_fields;
    let first_element = cursor.elements();
    let mut groups: Vec<Tag<'a>> = Vec::new();
    let mut held: Option<Tag<'a>> = None;
    let mut text = Text::default();
    announce(cursor, record, target)?;
    target.begin_record(record.name())?;
    loop {
        match cursor.next()? {
            Token::Text(piece) => cursor.push(&mut text, piece)?,
            Token::Open(tag) => {
                if cursor.elements() - first_element > most_fields {
                    return Err(cursor.too_many(
                        "fields in a record, more than",
                        most_fields,
                        "max_fields",
                    ));
                }
                if let Some(group) = held.replace(tag) {
                    announce(cursor, &group, target)?;
                    target.begin_group(group.name())?;
                    groups.push(group);
                }
                flush(&mut text, target)?;
            }
            Token::Close => {
                if let Some(field) = held.take() {
                    announce(cursor, &field, target)?;
                    let value = Some(text.as_str()).filter(|value| !value.is_empty());
                    target.field(field.name(), value)?;
                    text.clear();
                    continue;
                }
                flush(&mut text, target)?;
                match groups.pop() {
                    Some(group) => target.end_group(group.name())?,
                    None => return target.end_record(),
                }
            }
            Token::End => return Err(Error::truncated().at(cursor.position())),
        }
    }
}

fn announce<'a>(
    cursor: &mut Cursor<'a>,
    tag: &Tag<'a>,
    target: &mut dyn RecordTarget,
) -> Result<(), Error> {
    if !tag.has_attributes() {
        return Ok(());
    }
    cursor.attributes(tag, |name, value| target.attribute(tag.name(), name, value))
}

/// Text beside elements; white space between them is only layout.
fn flush(text: &mut Text<'_>, target: &mut dyn RecordTarget) -> Result<(), Error> {
    if !is_blank(text.as_str()) {
        target.text(text.as_str())?;
    }
    text.clear();
    Ok(())
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
