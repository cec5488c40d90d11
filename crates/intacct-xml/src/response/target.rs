//! Where the records of an answer go.

use std::collections::BTreeMap;

use super::envelope::DataAttributes;
use super::predict::Block;
use crate::error::Error;

/// Takes the records of an answer, one call at a time, while it is read.
///
/// What a target has taken counts only when [`read_response`](super::read_response) has returned
/// `Ok`: before that, the end of the document has not been seen.
/// Every reading begins with [`begin_response`](Self::begin_response), and one that fails ends with
/// it: a target that forgets there can neither keep a part of a page nor mix two.
///
/// The order of calls for one page is `begin_data`, then for each record `begin_record`, its fields
/// and groups, `end_record`, then `end_data`. The attributes of an element are announced by
/// `attribute` before the element's own call.
pub trait RecordTarget {
    /// Whatever the target holds of an answer is void: a new one begins, or the reading has failed.
    ///
    /// # Errors
    /// An error from any method ends the reading.
    fn begin_response(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The `data` of a function's result begins.
    fn begin_data(&mut self, data: &DataStart<'_>) -> Result<(), Error> {
        let _ = data;
        Ok(())
    }

    /// An attribute of the record, group or field whose call comes next.
    fn attribute(&mut self, element: &str, name: &str, value: &str) -> Result<(), Error> {
        let _ = (element, name, value);
        Ok(())
    }

    /// A record begins; the name is the element's, such as `VENDOR` or `vendor`.
    fn begin_record(&mut self, name: &str) -> Result<(), Error>;

    /// A field of the record, or of the group last begun. Empty and self-closed elements are `None`.
    ///
    /// The text is decoded, joined, and has its spaces.
    fn field(&mut self, name: &str, value: Option<&str>) -> Result<(), Error>;

    /// An element with elements in it begins, such as the lines of a bill.
    fn begin_group(&mut self, name: &str) -> Result<(), Error> {
        let _ = name;
        Ok(())
    }

    /// The group last begun ends.
    fn end_group(&mut self, name: &str) -> Result<(), Error> {
        let _ = name;
        Ok(())
    }

    /// Text that stands in a record or group directly, beside its fields; never only white space.
    ///
    /// # Errors
    /// By default it is refused, because nothing would keep it.
    fn text(&mut self, text: &str) -> Result<(), Error> {
        let _ = text;
        Err(Error::protocol("a record has text beside its fields")
            .advise("read it into a Tree, which keeps such text"))
    }

    /// The record ends.
    fn end_record(&mut self) -> Result<RecordEnd, Error>;

    /// Several records of the same layout, in place of the calls for each of them.
    ///
    /// By default those calls are made, so that this is only about speed: a target that takes the
    /// records whole must do with them what it does call by call.
    ///
    /// # Errors
    /// As the other methods; say with [`Block::locate`] which record it was.
    fn records(&mut self, block: &Block<'_>) -> Result<(), Error> {
        block.replay(self)
    }

    /// The `data` ends.
    fn end_data(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// What a target says at the end of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEnd {
    /// It is done with the record.
    Done,
    /// It wants the same record once more, from `begin_record` to `end_record`.
    ///
    /// So a target that nearly always keeps only converted values can still set a whole record aside.
    Again,
}

/// What is known about a page before its first record.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DataStart<'a> {
    /// The function that answers, such as `query`.
    pub function: &'a str,
    /// The control id of the function.
    pub control_id: &'a str,
    /// The totals and, for `readByQuery`, the result id.
    pub attributes: &'a DataAttributes,
}

/// Keeps nothing: for answers whose envelope is all that matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl RecordTarget for Discard {
    fn records(&mut self, _block: &Block<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn begin_record(&mut self, _name: &str) -> Result<(), Error> {
        Ok(())
    }

    fn field(&mut self, _name: &str, _value: Option<&str>) -> Result<(), Error> {
        Ok(())
    }

    fn text(&mut self, _text: &str) -> Result<(), Error> {
        Ok(())
    }

    fn end_record(&mut self) -> Result<RecordEnd, Error> {
        Ok(RecordEnd::Done)
    }
}

/// Sends the records of each function to the target for its control id.
///
/// Data of a function without a target is refused, so that nothing is lost in silence.
#[derive(Default)]
pub struct Dispatch<'t> {
    targets: BTreeMap<String, &'t mut dyn RecordTarget>,
    current: String,
}

impl<'t> Dispatch<'t> {
    /// No targets yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the target for a function's control id, in place of an earlier one for it.
    #[must_use]
    pub fn with(mut self, control_id: impl Into<String>, target: &'t mut dyn RecordTarget) -> Self {
        self.targets.insert(control_id.into(), target);
        self
    }

    fn target(&mut self) -> Result<&mut (dyn RecordTarget + 't), Error> {
        match self.targets.get_mut(&self.current) {
            Some(target) => Ok(&mut **target),
            None => Err(
                Error::protocol("the answer has data for a function that was not sent")
                    .advise("match the control ids of the request and of the targets"),
            ),
        }
    }
}

impl std::fmt::Debug for Dispatch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.targets.keys()).finish()
    }
}

impl RecordTarget for Dispatch<'_> {
    fn begin_response(&mut self) -> Result<(), Error> {
        self.targets
            .values_mut()
            .try_for_each(|target| target.begin_response())
    }

    fn begin_data(&mut self, data: &DataStart<'_>) -> Result<(), Error> {
        data.control_id.clone_into(&mut self.current);
        self.target()?.begin_data(data)
    }

    fn attribute(&mut self, element: &str, name: &str, value: &str) -> Result<(), Error> {
        self.target()?.attribute(element, name, value)
    }

    fn begin_record(&mut self, name: &str) -> Result<(), Error> {
        self.target()?.begin_record(name)
    }

    fn field(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        self.target()?.field(name, value)
    }

    fn begin_group(&mut self, name: &str) -> Result<(), Error> {
        self.target()?.begin_group(name)
    }

    fn end_group(&mut self, name: &str) -> Result<(), Error> {
        self.target()?.end_group(name)
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        self.target()?.text(text)
    }

    fn end_record(&mut self) -> Result<RecordEnd, Error> {
        self.target()?.end_record()
    }

    fn records(&mut self, block: &Block<'_>) -> Result<(), Error> {
        self.target()?.records(block)
    }

    fn end_data(&mut self) -> Result<(), Error> {
        self.target()?.end_data()
    }
}
