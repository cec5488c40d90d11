//! A request that writes records, by ours and by quick-xml's writer.

use intacct_xml::escape::XmlBuffer;
use intacct_xml::request::{Authentication, Control, Function, RawElement, RawFunction, Request};
use intacct_xml::{ControlId, FieldName, SessionId};
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use crate::escaping::stripped;
use crate::parsing::Result;
use crate::record::{GlDetail, Record};
use crate::text;

/// Records to be written.
#[derive(Clone, Debug)]
pub struct Records {
    /// The elements' names, the same in each record.
    pub names: Vec<&'static str>,
    /// The records' texts, in the order of the names.
    pub texts: Vec<Vec<String>>,
}

const RECORD: &str = "GLDETAIL";
const ELEMENTS: usize = 20;

impl Records {
    /// That many records of 20 elements with texts of `short_mixed`.
    pub fn new(count: usize, seed: u64) -> Self {
        let short = text::corpora(seed)
            .into_iter()
            .find(|corpus| corpus.name == "short_mixed")
            .map(|corpus| corpus.texts)
            .unwrap_or_default();
        let mut texts = short.iter().cycle().cloned();
        Self {
            names: GlDetail::FIELDS
                .iter()
                .map(|f| f.name)
                .take(ELEMENTS)
                .collect(),
            texts: (0..count)
                .map(|_| texts.by_ref().take(ELEMENTS).collect())
                .collect(),
        }
    }

    /// The bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.texts.iter().flatten().map(String::len).sum()
    }

    /// As our request, which is still to be written.
    ///
    /// # Errors
    /// If a name is none.
    pub fn request(&self) -> Result<Request> {
        let mut records = Vec::with_capacity(self.texts.len());
        for record in &self.texts {
            let mut elements = Vec::with_capacity(record.len());
            for (name, text) in self.names.iter().zip(record) {
                elements.push(RawElement::text(FieldName::new(*name)?, text));
            }
            records.push(RawElement::group(FieldName::new(RECORD)?, elements));
        }
        let create = RawFunction::new(FieldName::new("create")?, records);
        Ok(Request::new(
            Control::new("sender", "password", ControlId::new("control")?)?,
            Authentication::Session(SessionId::new("session")),
            [Function::new(ControlId::new("f-1")?, create)],
        )?)
    }

    /// The records alone, with our buffer by hand.
    pub fn push_to(&self, xml: &mut XmlBuffer) {
        for record in &self.texts {
            tag(xml, "<", RECORD);
            for (name, text) in self.names.iter().zip(record) {
                xml.push_element(name, text);
            }
            tag(xml, "</", RECORD);
        }
    }

    /// The records alone, with quick-xml's writer: what XML forbids stays.
    ///
    /// # Errors
    /// Never, because memory takes everything.
    pub fn quick_xml(&self) -> Result<Vec<u8>> {
        self.quick_xml_of(BytesText::new)
    }

    /// The same, and what XML forbids is dropped first.
    ///
    /// # Errors
    /// Never, because memory takes everything.
    pub fn stripped_quick_xml(&self) -> Result<Vec<u8>> {
        self.quick_xml_of(|text| BytesText::new(&stripped(text)).into_owned())
    }

    fn quick_xml_of<'t>(&'t self, escaped: impl Fn(&'t str) -> BytesText<'t>) -> Result<Vec<u8>> {
        let mut writer = Writer::new(Vec::new());
        for record in &self.texts {
            writer.write_event(Event::Start(BytesStart::new(RECORD)))?;
            for (name, text) in self.names.iter().zip(record) {
                writer.write_event(Event::Start(BytesStart::new(*name)))?;
                writer.write_event(Event::Text(escaped(text)))?;
                writer.write_event(Event::End(BytesEnd::new(*name)))?;
            }
            writer.write_event(Event::End(BytesEnd::new(RECORD)))?;
        }
        Ok(writer.into_inner())
    }
}

fn tag(xml: &mut XmlBuffer, open: &str, name: &str) {
    xml.push_raw(open);
    xml.push_raw(name);
    xml.push_raw(">");
}
