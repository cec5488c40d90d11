//! Functions that answer at once: definitions, records by key, several functions in one request.

use intacct_xml::metadata::{InspectedObject, ObjectDefinition, ObjectType};
use intacct_xml::request::{
    Call, Function, GetAccountBalances, GetAccountBalancesByDimensions, GetTrialBalance, Inspect,
    Lookup, Read, ReadByName, ReadRelated,
};
use intacct_xml::response::{DataAttributes, Element, FunctionResult, Records, Tree};
use intacct_xml::{ControlId, ObjectName};
use serde::de::DeserializeOwned;

use crate::client::{Client, Work};
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::transport::{Content, new_control_id};

/// What one function of a request answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FunctionAnswer {
    /// The control id that its result was matched by.
    pub control_id: ControlId,
    /// The totals, where the function gives some.
    pub attributes: Option<DataAttributes>,
    /// The records. `Debug` leaves their values out.
    pub records: Vec<Element>,
}

impl Client {
    /// The fields and relationships of an object (developer.intacct.com, Objects).
    ///
    /// It passes by the permissions: an answer does not mean that the object can be read.
    ///
    /// # Errors
    /// `NotFound` for an object that the company does not have; `Protocol` for an answer that is no definition.
    pub async fn lookup(&self, object: &ObjectName) -> Result<ObjectDefinition> {
        let records = self.records_of(Lookup::new(object.clone())).await?;
        ObjectDefinition::from_records(&records).map_err(|source| not_understood("lookup", source))
    }

    /// The fields and relationships of a document object, the custom fields of one transaction definition included.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn lookup_document(
        &self,
        object: &ObjectName,
        transaction_definition: &str,
    ) -> Result<ObjectDefinition> {
        let lookup = Lookup::new(object.clone()).with_doc_par_id(transaction_definition);
        let records = self.records_of(lookup).await?;
        ObjectDefinition::from_records(&records).map_err(|source| not_understood("lookup", source))
    }

    /// The names and labels of all objects of the company.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn objects(&self) -> Result<Vec<ObjectType>> {
        let records = self.records_of(Inspect::objects()).await?;
        ObjectType::from_records(&records).map_err(|source| not_understood("inspect", source))
    }

    /// The fields of an object with their properties, as the older `inspect` gives them.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn inspect(&self, object: &ObjectName) -> Result<InspectedObject> {
        let records = self.records_of(Inspect::fields(object.clone())).await?;
        InspectedObject::from_records(&records).map_err(|source| not_understood("inspect", source))
    }

    /// The names of an object's fields, as the older `inspect` gives them.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn field_names(&self, object: &ObjectName) -> Result<Vec<String>> {
        let records = self
            .records_of(Inspect::field_names(object.clone()))
            .await?;
        let inspected = InspectedObject::from_records(&records)
            .map_err(|source| not_understood("inspect", source))?;
        Ok(inspected
            .fields
            .into_iter()
            .map(|field| field.name)
            .collect())
    }

    /// Up to 100 records by record number, as structs. Keys that do not exist are missing.
    ///
    /// # Errors
    /// `Data` when a record does not fit the struct.
    pub async fn read_as<T: DeserializeOwned + Send + 'static>(
        &self,
        read: Read,
    ) -> Result<Vec<T>> {
        self.typed(read).await
    }

    /// Up to 100 records by business id, as structs. Ids that do not exist are missing.
    ///
    /// # Errors
    /// `Data` when a record does not fit the struct.
    pub async fn read_by_name_as<T: DeserializeOwned + Send + 'static>(
        &self,
        read: ReadByName,
    ) -> Result<Vec<T>> {
        self.typed(read).await
    }

    /// The records that a custom relation leads to, as structs.
    ///
    /// # Errors
    /// `Data` when a record does not fit the struct.
    pub async fn read_related_as<T: DeserializeOwned + Send + 'static>(
        &self,
        read: ReadRelated,
    ) -> Result<Vec<T>> {
        self.typed(read).await
    }

    /// Balances of accounts by the older function, as structs; amounts are decimal texts.
    ///
    /// # Errors
    /// `Data` when a balance does not fit the struct.
    pub async fn account_balances_as<T: DeserializeOwned + Send + 'static>(
        &self,
        balances: GetAccountBalances,
    ) -> Result<Vec<T>> {
        self.typed(balances).await
    }

    /// Balances of accounts parted by dimensions, as structs, in one answer; for many of them run the
    /// [report](Self::read_report_as).
    ///
    /// # Errors
    /// `Data` when a balance does not fit the struct.
    pub async fn account_balances_by_dimensions_as<T: DeserializeOwned + Send + 'static>(
        &self,
        balances: GetAccountBalancesByDimensions,
    ) -> Result<Vec<T>> {
        self.typed(balances).await
    }

    /// The trial balance, as structs; amounts are decimal texts.
    ///
    /// # Errors
    /// `Data` when a balance does not fit the struct.
    pub async fn trial_balance_as<T: DeserializeOwned + Send + 'static>(
        &self,
        balance: GetTrialBalance,
    ) -> Result<Vec<T>> {
        self.typed(balance).await
    }

    /// Up to 100 records by record number, as they are, owned lines nested in them.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn read(&self, read: Read) -> Result<Vec<Element>> {
        self.records_of(read).await
    }

    /// One function that reads, with its totals and its records as they are: of a query the first page, and nothing
    /// is read ahead.
    ///
    /// # Errors
    /// Those of the function. `Config` for a [`Call::Raw`], which may write and so goes through
    /// [`execute_once`](Self::execute_once).
    pub async fn call(&self, call: impl Into<Call>) -> Result<FunctionAnswer> {
        let functions = [reading(call.into())?];
        let mut tree = Tree::new();
        let sent = self.send(Work::one(&functions), &mut tree).await?;
        let [function] = &functions;
        Ok(answer_of(function, sent.result(function)?, &tree))
    }

    /// Several functions that read, in one request, answered in the order given. Each succeeds or fails by itself.
    ///
    /// A failure of the request as a whole is retried as for any call; a failure of one function is not, and is in
    /// its place in the list. Not for `readByQuery` and `readMore`, whose result belongs to one session.
    ///
    /// # Errors
    /// A failure of the request as a whole: nothing was executed. `Config` for no calls at all, and for a
    /// [`Call::Raw`], which may write and so goes through [`execute_once`](Self::execute_once).
    pub async fn execute(
        &self,
        calls: impl IntoIterator<Item = Call> + Send,
    ) -> Result<Vec<Result<FunctionAnswer>>> {
        let functions = calls.into_iter().map(reading).collect::<Result<Vec<_>>>()?;
        let mut tree = Tree::new();
        let work = Work::each(Content::reads(&functions));
        let sent = self.send(work, &mut tree).await?;
        let answers = functions.iter().map(|function| {
            let result = sent.result(function)?;
            Ok(answer_of(function, result, &tree))
        });
        Ok(answers.collect())
    }

    pub(crate) async fn records_of(&self, call: impl Into<Call>) -> Result<Vec<Element>> {
        Ok(self.call(call).await?.records)
    }

    async fn typed<T: DeserializeOwned + Send + 'static>(
        &self,
        call: impl Into<Call>,
    ) -> Result<Vec<T>> {
        let functions = [Function::new(new_control_id()?, call)];
        let mut records = Records::new();
        self.send(Work::one(&functions), &mut records).await?;
        Ok(records.into_vec())
    }
}

fn reading(call: Call) -> Result<Function> {
    match call {
        Call::Raw(_) => Err(Error::invalid(
            "a raw function may write, and what writes must not be repeated; use execute_once",
        )),
        call => Ok(Function::new(new_control_id()?, call)),
    }
}

fn answer_of(function: &Function, result: &FunctionResult, tree: &Tree) -> FunctionAnswer {
    let control_id = function.control_id();
    FunctionAnswer {
        control_id: control_id.clone(),
        attributes: result.data.clone(),
        records: tree.records(control_id.as_str()).to_vec(),
    }
}

/// The error with what it concerns, unless it says so already.
pub(crate) fn describe(error: Error, function: &Function) -> Error {
    if error.fact("function").is_some() {
        return error;
    }
    let error = error.with("function", function.call().function_name());
    let error = match function.call().object() {
        Some(object) => error.with("object", object.as_str()),
        None => error,
    };
    error.with("control_id", function.control_id().as_str())
}

pub(crate) fn not_understood(function: &'static str, source: intacct_xml::Error) -> Error {
    let message = "the answer is not what the function is documented to give";
    Error::new(ErrorKind::Protocol, Reason::Envelope, message)
        .with("function", function)
        .caused_by(source)
}
