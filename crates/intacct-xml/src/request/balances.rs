//! Balances by the older functions, which know periods, books and dimensions.

use time::Date;

use super::writer::Writer;
use crate::error::Error;

/// Balances of accounts (developer.intacct.com, Account balances, legacy).
///
/// For changes of balances read the object GLACCOUNTBALANCE by [`ReadByQuery`](super::ReadByQuery).
#[derive(Clone, Debug)]
pub struct GetAccountBalances {
    selection: BalanceSelection,
    accounts: Option<Accounts>,
}

/// Balances of accounts, parted by dimensions (developer.intacct.com, Account balances).
///
/// [`ReadReport::account_balances`](super::ReadReport::account_balances) runs it for as long as it takes.
#[derive(Clone, Debug)]
pub struct GetAccountBalancesByDimensions {
    selection: BalanceSelection,
    accounts: Option<Accounts>,
    group_by: Vec<String>,
}

/// The trial balance (developer.intacct.com, Trial balances).
#[derive(Clone, Debug)]
pub struct GetTrialBalance {
    selection: BalanceSelection,
}

/// Which time balances are of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BalancePeriod {
    /// The reporting period of this name.
    Named(String),
    /// From the first day to the last, both included.
    Days(Date, Date),
}

/// Which accounts balances are of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accounts {
    /// The account of this number.
    One(String),
    /// The accounts of the group of this name.
    Group(String),
    /// The accounts from the first number to the last.
    Range(String, String),
}

/// Whether statistical accounts are among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statistical {
    /// They are left out.
    Exclude,
    /// They are among them.
    Include,
    /// Only they.
    Only,
}

/// Which balances: what the three functions have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BalanceSelection {
    /// The time.
    pub period: BalancePeriod,
    /// The book, such as `ACCRUAL`; none is the company's default.
    pub book: Option<String>,
    /// Adjustment and user books, such as `GAAP`.
    pub adjustment_books: Vec<String>,
    /// Whether the book itself counts beside the adjustment books; none is the gateway's default.
    pub include_book: Option<bool>,
    /// Whether statistical accounts are among them; none is the gateway's default.
    pub statistical: Option<Statistical>,
    /// Whether accounts without a balance are listed; none is the gateway's default. Not by dimensions.
    pub zero_balances: Option<bool>,
    /// The department.
    pub department_id: Option<String>,
    /// The location or entity; a company with several base currencies needs one.
    pub location_id: Option<String>,
}

impl BalanceSelection {
    /// The balances of a time, of everything.
    #[must_use]
    pub fn new(period: BalancePeriod) -> Self {
        Self {
            period,
            book: None,
            adjustment_books: Vec::new(),
            include_book: None,
            statistical: None,
            zero_balances: None,
            department_id: None,
            location_id: None,
        }
    }

    /// Only of this book.
    #[must_use]
    pub fn with_book(mut self, book: impl Into<String>) -> Self {
        self.book = Some(book.into());
        self
    }

    /// Only of this location or entity.
    #[must_use]
    pub fn with_location(mut self, location_id: impl Into<String>) -> Self {
        self.location_id = Some(location_id.into());
        self
    }

    /// Only of this department.
    #[must_use]
    pub fn with_department(mut self, department_id: impl Into<String>) -> Self {
        self.department_id = Some(department_id.into());
        self
    }

    fn check(&self) -> Result<(), Error> {
        match &self.period {
            BalancePeriod::Named(name) if name.trim().is_empty() => {
                Err(Error::invalid("balances of a period without a name")
                    .advise("name a reporting period, or give two days"))
            }
            BalancePeriod::Days(first, last) if first > last => Err(Error::invalid(
                "balances of a time that ends before it begins",
            )
            .advise("give the earlier day first")),
            _ => Ok(()),
        }
    }

    fn write_period(&self, writer: &mut Writer<'_>) {
        match &self.period {
            BalancePeriod::Named(name) => writer.element("reportingperiodname", name),
            BalancePeriod::Days(first, last) => {
                write_date("startdate", *first, writer);
                write_date("enddate", *last, writer);
            }
        }
    }

    fn write_books(&self, writer: &mut Writer<'_>) {
        writer.optional("reportingbook", self.book.as_deref());
        if !self.adjustment_books.is_empty() {
            writer.open("adjbooks");
            for book in &self.adjustment_books {
                writer.element("adjbook", book);
            }
            writer.close("adjbooks");
        }
        writer.optional("includereportingbook", self.include_book.map(word));
        writer.optional(
            "statistical",
            self.statistical.map(|statistical| match statistical {
                Statistical::Exclude => "exclude",
                Statistical::Include => "include",
                Statistical::Only => "only",
            }),
        );
    }
}

impl Accounts {
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::One(number) => writer.element("glaccountno", number),
            Self::Group(name) => writer.element("accountgroupname", name),
            Self::Range(first, last) => {
                writer.element("startaccountno", first);
                writer.element("endaccountno", last);
            }
        }
    }
}

impl GetAccountBalances {
    /// The vendor's name of the function.
    pub const NAME: &str = "get_accountbalances";

    /// The balances selected, of all accounts.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a period without a name or end.
    pub fn new(selection: BalanceSelection) -> Result<Self, Error> {
        selection.check()?;
        Ok(Self {
            selection,
            accounts: None,
        })
    }

    /// Only of these accounts.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Accounts) -> Self {
        self.accounts = Some(accounts);
        self
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        let selection = &self.selection;
        writer.open(Self::NAME);
        selection.write_period(writer);
        if let Some(accounts) = &self.accounts {
            accounts.write(writer);
        }
        writer.optional("locationid", selection.location_id.as_deref());
        writer.optional("departmentid", selection.department_id.as_deref());
        writer.optional("showzerobalances", selection.zero_balances.map(word));
        selection.write_books(writer);
        writer.close(Self::NAME);
    }
}

impl GetAccountBalancesByDimensions {
    /// The vendor's name of the function.
    pub const NAME: &str = "get_accountbalancesbydimensions";

    /// The balances selected, of all accounts, parted by dimensions in the vendor's words (`location`, `department`,
    /// or the integration name of a user-defined one).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a period without a name or end, or a dimension that is
    /// empty or holds a comma.
    pub fn new<D: Into<String>>(
        selection: BalanceSelection,
        group_by: impl IntoIterator<Item = D>,
    ) -> Result<Self, Error> {
        selection.check()?;
        let group_by: Vec<String> = group_by.into_iter().map(Into::into).collect();
        if group_by
            .iter()
            .any(|name| name.is_empty() || name.contains(','))
        {
            return Err(Error::invalid("a dimension to part balances by is no name")
                .advise("give each dimension by itself"));
        }
        Ok(Self {
            selection,
            accounts: None,
            group_by,
        })
    }

    /// Only of these accounts.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Accounts) -> Self {
        self.accounts = Some(accounts);
        self
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        let selection = &self.selection;
        writer.open(Self::NAME);
        selection.write_period(writer);
        if let Some(accounts) = &self.accounts {
            accounts.write(writer);
        }
        selection.write_books(writer);
        writer.optional("departmentid", selection.department_id.as_deref());
        writer.optional("locationid", selection.location_id.as_deref());
        if !self.group_by.is_empty() {
            writer.element("groupby", &self.group_by.join(","));
        }
        writer.close(Self::NAME);
    }
}

impl GetTrialBalance {
    /// The vendor's name of the function.
    pub const NAME: &str = "get_trialbalance";

    /// The trial balance selected.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a period without a name or end.
    pub fn new(selection: BalanceSelection) -> Result<Self, Error> {
        selection.check()?;
        Ok(Self { selection })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        let selection = &self.selection;
        writer.open(Self::NAME);
        selection.write_period(writer);
        writer.optional("showzerobalances", selection.zero_balances.map(word));
        selection.write_books(writer);
        writer.optional("departmentid", selection.department_id.as_deref());
        writer.optional("locationid", selection.location_id.as_deref());
        writer.close(Self::NAME);
    }
}

/// The older functions take a date apart.
fn write_date(name: &str, date: Date, writer: &mut Writer<'_>) {
    writer.open(name);
    writer.element("year", &format!("{:04}", date.year()));
    writer.element("month", &format!("{:02}", u8::from(date.month())));
    writer.element("day", &format!("{:02}", date.day()));
    writer.close(name);
}

fn word(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}
