//! Functions that must not happen twice.
//!
//! developer.intacct.com, Requests. With `uniqueid` the gateway refuses a function whose control id it has executed
//! before. So a request whose answer was lost may be sent again, as long as the ids stay the same.

use intacct_xml::ControlId;
use intacct_xml::request::{Call, Function, Transaction, Uniqueness};
use intacct_xml::response::{Element, Tree};

use crate::client::{Client, Work};
use crate::error::{Error, Result};
use crate::transport::Content;

/// What became of one function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FunctionOutcome {
    /// Its control id.
    pub control_id: ControlId,
    /// Whether it succeeded. [`Reason::DuplicateFunction`](crate::Reason::DuplicateFunction) means that an earlier
    /// request, perhaps one whose answer was lost, has done it: its effect stands, and what it created has to be looked
    /// up.
    pub result: Result<()>,
    /// The key of what it created, where the gateway gives one.
    pub key: Option<String>,
    /// The records of the answer: also where it failed, as those that were created before the failure are listed.
    pub records: Vec<Element>,
}

impl Client {
    /// Functions that are executed once, however often they have to be sent, answered in the order given.
    ///
    /// Each function carries a control id that stands for what it does: the same for every attempt at it, in this
    /// process or a later one, and another for anything else. A request whose answer did not come is sent again with
    /// the same ids.
    ///
    /// # Errors
    /// A failure of the request as a whole. With phase [`MaybeReceived`](crate::Phase::MaybeReceived) the functions may
    /// have been executed: send them again with the same ids. `Config` for no function, and for `getAPISession`.
    pub async fn execute_once(
        &self,
        functions: &[Function],
        transaction: Transaction,
    ) -> Result<Vec<FunctionOutcome>> {
        if functions
            .iter()
            .any(|function| matches!(function.call(), Call::GetApiSession(_)))
        {
            return Err(Error::invalid(
                "sessions are opened by the client, not by its caller",
            ));
        }
        let content = Content {
            functions,
            transaction,
            uniqueness: Uniqueness::Once,
        };
        let mut tree = Tree::new();
        let sent = self.send(Work::each(content), &mut tree).await?;
        let outcomes = functions.iter().map(|function| {
            let control_id = function.control_id();
            let result = sent.response().result(control_id.as_str());
            FunctionOutcome {
                control_id: control_id.clone(),
                result: sent.result(function).map(drop),
                key: result.and_then(|result| result.key.clone()),
                records: tree.records(control_id.as_str()).to_vec(),
            }
        });
        Ok(outcomes.collect())
    }
}
