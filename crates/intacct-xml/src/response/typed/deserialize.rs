//! A buffered record as serde sees it.

use std::collections::HashSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::RecordBuffer;
use crate::error::Error;
use crate::values;

/// One element of a record, or a row of elements of one name.
#[derive(Clone, Copy)]
pub(super) struct RecordDeserializer<'b> {
    buffer: &'b RecordBuffer,
    node: usize,
    /// One past the last element of the row.
    end: usize,
}

impl<'b> RecordDeserializer<'b> {
    pub(super) fn new(buffer: &'b RecordBuffer) -> Self {
        Self {
            buffer,
            node: 0,
            end: buffer.end(0),
        }
    }

    fn value(self) -> Option<&'b str> {
        self.buffer.value(self.node)
    }

    fn has_children(self) -> bool {
        self.buffer.end(self.node) > self.node + 1
    }

    /// The text of the only element.
    fn text(self) -> Result<&'b str, Refusal> {
        if self.end > self.buffer.end(self.node) {
            return Err(Refusal::new("there is more than one element of this name"));
        }
        if self.has_children() {
            return Err(Refusal::new("it holds elements, not text"));
        }
        Ok(self.value().unwrap_or_default())
    }

    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let number = values::decimal(self.text()?.as_bytes(), 0, values::MAX_PRECISION)
            .map_err(|_| Refusal::new("not a whole number"))?;
        if let Ok(number) = i64::try_from(number) {
            visitor.visit_i64(number)
        } else if let Ok(number) = u64::try_from(number) {
            visitor.visit_u64(number)
        } else {
            visitor.visit_i128(number)
        }
    }

    fn fields(self, unique: bool) -> Fields<'b> {
        Fields {
            buffer: self.buffer,
            next: self.node + 1,
            end: self.buffer.end(self.node),
            current: self,
            seen: unique.then(HashSet::new),
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
            self.integer(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for RecordDeserializer<'_> {
    type Error = Refusal;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.end > self.buffer.end(self.node) {
            self.deserialize_seq(visitor)
        } else if self.has_children() {
            visitor.visit_map(self.fields(true))
        } else {
            match self.value() {
                Some(text) => visitor.visit_str(text),
                None => visitor.visit_unit(),
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_bool(values::boolean(self.text()?.as_bytes()).map_err(Refusal::new)?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Refusal> {
        Err(Refusal::new(
            "a floating point number would round it; read it as a String or a decimal",
        ))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_bytes(self.text()?.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let is_one = self.end <= self.buffer.end(self.node);
        if is_one && self.value().is_none() && !self.has_children() {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.text()?.is_empty() {
            return visitor.visit_unit();
        }
        Err(Refusal::new("it is not empty"))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_seq(Row { next: self })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.end > self.buffer.end(self.node) {
            return Err(Refusal::new("there is more than one element of this name"));
        }
        visitor.visit_map(self.fields(true))
    }

    /// A struct finds its own duplicates; names that it does not know may repeat.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if self.end > self.buffer.end(self.node) {
            return Err(Refusal::new("there is more than one element of this name"));
        }
        visitor.visit_map(self.fields(false))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_enum(Word(self.text()?))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }
}

/// The elements in one element, those of one name in a row taken together.
struct Fields<'b> {
    buffer: &'b RecordBuffer,
    next: usize,
    end: usize,
    current: RecordDeserializer<'b>,
    /// The names so far, where a repeated name would overwrite what came before.
    seen: Option<HashSet<&'b str>>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        if self.next >= self.end {
            return Ok(None);
        }
        let node = self.next;
        let name = self.buffer.name(node);
        let mut next = self.buffer.end(node);
        while next < self.end && self.buffer.name(next) == name {
            next = self.buffer.end(next);
        }
        self.next = next;
        self.current = RecordDeserializer {
            buffer: self.buffer,
            node,
            end: next,
        };
        if let Some(seen) = &mut self.seen
            && !seen.insert(name)
        {
            return Err(Refusal::new("there is more than one element of this name").in_field(name));
        }
        let key: StrDeserializer<'_, Refusal> = name.into_deserializer();
        seed.deserialize(key)
            .map(Some)
            .map_err(|refusal| refusal.in_field(name))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let name = self.buffer.name(self.current.node);
        seed.deserialize(self.current)
            .map_err(|refusal| refusal.in_field(name))
    }
}

/// Elements of one name, one by one.
struct Row<'b> {
    next: RecordDeserializer<'b>,
}

impl<'de> SeqAccess<'de> for Row<'_> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        let one = self.next;
        if one.node >= one.end {
            return Ok(None);
        }
        let end = one.buffer.end(one.node);
        self.next.node = end;
        seed.deserialize(RecordDeserializer { end, ..one })
            .map(Some)
    }
}

/// The text of an element as the variant of an enum.
struct Word<'b>(&'b str);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refusal> {
        let word: StrDeserializer<'_, Refusal> = self.0.into_deserializer();
        seed.deserialize(word).map(|variant| (variant, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'_> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, Refusal> {
        Err(Refusal::new(
            "only enums of plain words can be read from text",
        ))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        _visitor: V,
    ) -> Result<V::Value, Refusal> {
        Err(Refusal::new(
            "only enums of plain words can be read from text",
        ))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Refusal> {
        Err(Refusal::new(
            "only enums of plain words can be read from text",
        ))
    }
}

/// Why a record does not fit its struct; never the value that does not fit.
#[derive(Debug)]
pub(super) struct Refusal {
    reason: String,
    field: Option<String>,
    /// The words of somebody else's code, which may quote the value.
    detail: Option<String>,
}

impl Refusal {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            field: None,
            detail: None,
        }
    }

    /// The outermost name is set last and stands first.
    fn in_field(mut self, name: &str) -> Self {
        self.field = Some(match self.field.take() {
            Some(inner) if inner == name => inner,
            Some(inner) => format!("{name}/{inner}"),
            None => name.to_owned(),
        });
        self
    }
}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            detail: Some(message.to_string()),
            ..Self::new("the value is refused by its type")
        }
    }

    fn invalid_type(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("the value is not {expected}"))
    }

    fn invalid_value(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("the value is not {expected}"))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(format!("{length} elements are not {expected}"))
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("the word is none of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("the record has no such field").in_field(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("the record has the field more than once").in_field(field)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let mut error = Error::data(format!(
            "a record does not fit its type: {}",
            refusal.reason
        ))
        .advise("make the field an Option, or read it as a String");
        if let Some(field) = refusal.field {
            error = error.in_field(field);
        }
        if let Some(detail) = refusal.detail {
            error = error.with_detail(detail);
        }
        error
    }
}
