//! The chart of accounts and the journals.

/// An account: number, title, whether on the balance sheet, whether its balance is normally a
/// debit, and its category.
pub(crate) type AccountLine = (&'static str, &'static str, bool, bool, &'static str);

/// Places of the accounts that operations post to by themselves.
pub(crate) const CASH: u16 = 0;
pub(crate) const RECEIVABLE: u16 = 1;
pub(crate) const PAYABLE: u16 = 2;
pub(crate) const CAPITAL: u16 = 3;
pub(crate) const ACCRUED_PAYROLL: u16 = 4;
pub(crate) const ACCUMULATED_DEPRECIATION: u16 = 5;
pub(crate) const DEPRECIATION: u16 = 6;
pub(crate) const SALARIES: u16 = 7;
pub(crate) const EQUIPMENT: u16 = 8;
pub(crate) const PREPAID: u16 = 9;
pub(crate) const DEFERRED_REVENUE: u16 = 10;
pub(crate) const PETTY_CASH: u16 = 11;
pub(crate) const INSURANCE: u16 = 12;
/// Expense accounts that bills are charged to.
pub(crate) const EXPENSES: std::ops::Range<u16> = 12..30;
/// Revenue accounts that invoices are credited to.
pub(crate) const REVENUES: std::ops::Range<u16> = 30..36;

pub(crate) const ACCOUNTS: [AccountLine; 48] = [
    (
        "1010",
        "Operating Checking",
        true,
        true,
        "Cash and Cash Equivalents",
    ),
    (
        "1200",
        "Accounts Receivable",
        true,
        true,
        "Accounts Receivable",
    ),
    ("2010", "Accounts Payable", true, false, "Accounts Payable"),
    ("3010", "Partners' Capital", true, false, "Partners Equity"),
    (
        "2110",
        "Accrued Payroll",
        true,
        false,
        "Accrued Liabilities",
    ),
    (
        "1590",
        "Accumulated Depreciation",
        true,
        false,
        "Accumulated Depreciation",
    ),
    ("6800", "Depreciation", false, true, "Depreciation Expense"),
    ("6010", "Salaries & Wages", false, true, "Payroll Expense"),
    ("1510", "Computer Equipment", true, true, "Fixed Assets"),
    (
        "1400",
        "Prepaid Insurance & Rent",
        true,
        true,
        "Deposits and Prepayments",
    ),
    (
        "2400",
        "Deferred Revenue",
        true,
        false,
        "Deferred Revenue - Current",
    ),
    (
        "0105",
        "Petty Cash",
        true,
        true,
        "Cash and Cash Equivalents",
    ),
    ("6310", "Insurance", false, true, "Other Operating Expense"),
    (
        "6100",
        "Advertising",
        false,
        true,
        "Advertising and Promotion Expense",
    ),
    (
        "6110",
        "Trade Shows <Events>",
        false,
        true,
        "Advertising and Promotion Expense",
    ),
    (
        "6200",
        "Legal Fees",
        false,
        true,
        "Professional Services Expense",
    ),
    (
        "6210",
        "Audit & Accounting Fees",
        false,
        true,
        "Professional Services Expense",
    ),
    (
        "6220",
        "Consulting",
        false,
        true,
        "Professional Services Expense",
    ),
    ("6300", "Rent", false, true, "Other Operating Expense"),
    ("6320", "Utilities", false, true, "Other Operating Expense"),
    (
        "6330",
        "Office Supplies",
        false,
        true,
        "Other Operating Expense",
    ),
    (
        "6340",
        "Software Subscriptions",
        false,
        true,
        "Other Operating Expense",
    ),
    (
        "6350",
        "Telephone and Internet",
        false,
        true,
        "Other Operating Expense",
    ),
    ("6400", "Airfare", false, true, "Travel Expense"),
    ("6410", "Hotels", false, true, "Travel Expense"),
    (
        "6420",
        "Meals (50% deductible)",
        false,
        true,
        "Travel Expense",
    ),
    ("5010", "Materials", false, true, "Cost of Goods Sold"),
    ("5020", "Freight In", false, true, "Cost of Goods Sold"),
    (
        "5100",
        "Subcontractors",
        false,
        true,
        "Cost of Services Revenue",
    ),
    (
        "06500",
        "Bank Charges (old chart)",
        false,
        true,
        "Other Expenses",
    ),
    ("4010", "Product Sales", false, false, "Revenue - Products"),
    (
        "4020",
        "Implementation Services",
        false,
        false,
        "Revenue - Services",
    ),
    (
        "4030",
        "Support Contracts",
        false,
        false,
        "Revenue - Services",
    ),
    ("4040", "Training", false, false, "Revenue - Services"),
    ("4050", "Subscriptions", false, false, "Revenue - Sales"),
    ("4900", "Miscellaneous Income", false, false, "Other Income"),
    ("1300", "Inventory", true, true, "Inventory"),
    (
        "1250",
        "Unbilled Receivables",
        true,
        true,
        "Other Current Assets",
    ),
    ("1600", "Goodwill", true, true, "Goodwill"),
    ("1610", "Patents", true, true, "Patents"),
    (
        "2200",
        "Sales Tax Payable",
        true,
        false,
        "Other Current Liabilities",
    ),
    ("2310", "Term Loan", true, false, "Note Payable - Long Term"),
    (
        "3900",
        "Retained Earnings",
        true,
        false,
        "Retained Earnings",
    ),
    (
        "6020",
        "Employer Payroll Taxes",
        false,
        true,
        "Payroll Expense",
    ),
    (
        "6030",
        "Health Benefits",
        false,
        true,
        "Compensation Expense",
    ),
    ("7010", "Interest Expense", false, true, "Other Expenses"),
    ("7100", "Income Tax", false, true, "Federal Tax"),
    ("4910", "Dividend Income", false, false, "Dividend Income"),
];

/// Place of the account into which income statement accounts close.
pub(crate) const RETAINED_EARNINGS: u16 = 42;

pub(crate) const GENERAL: u8 = 0;
pub(crate) const PAYABLES: u8 = 1;
pub(crate) const DISBURSEMENTS: u8 = 2;
pub(crate) const SALES: u8 = 3;
pub(crate) const RECEIPTS: u8 = 4;
pub(crate) const PAYROLL: u8 = 5;
pub(crate) const ADJUSTMENTS: u8 = 6;

/// Symbol, title, place of the book, whether adjusting.
pub(crate) const JOURNALS: [(&str, &str, u8, bool); 7] = [
    ("GJ", "General Journal", 0, false),
    ("APJ", "Accounts Payable Journal", 0, false),
    ("CDJ", "Cash Disbursements Journal", 0, false),
    ("ARJ", "Accounts Receivable Journal", 0, false),
    ("CRJ", "Cash Receipts Journal", 0, false),
    ("PYRJ", "Payroll Journal", 0, false),
    ("GAAPADJ", "GAAP Adjustments", 1, true),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_what_their_names_say() {
        let title = |place: u16| ACCOUNTS[usize::from(place)].1;
        assert_eq!(title(CASH), "Operating Checking");
        assert_eq!(title(PAYABLE), "Accounts Payable");
        assert_eq!(title(RECEIVABLE), "Accounts Receivable");
        assert_eq!(title(CAPITAL), "Partners' Capital");
        assert_eq!(title(ACCRUED_PAYROLL), "Accrued Payroll");
        assert_eq!(title(ACCUMULATED_DEPRECIATION), "Accumulated Depreciation");
        assert_eq!(title(DEPRECIATION), "Depreciation");
        assert_eq!(title(SALARIES), "Salaries & Wages");
        assert_eq!(title(EQUIPMENT), "Computer Equipment");
        assert_eq!(title(PREPAID), "Prepaid Insurance & Rent");
        assert_eq!(title(DEFERRED_REVENUE), "Deferred Revenue");
        assert_eq!(title(PETTY_CASH), "Petty Cash");
        assert_eq!(title(INSURANCE), "Insurance");
        assert_eq!(title(RETAINED_EARNINGS), "Retained Earnings");
        assert!(
            EXPENSES
                .clone()
                .all(|place| !ACCOUNTS[usize::from(place)].2)
        );
        assert!(
            REVENUES
                .clone()
                .all(|place| !ACCOUNTS[usize::from(place)].3)
        );
        let mut numbers: Vec<_> = ACCOUNTS.iter().map(|account| account.0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ACCOUNTS.len());
    }
}
