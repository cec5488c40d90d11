//! What published models for Sage Intacct read, and the traps between: the tables of both warehouses
//! have the names, types and meanings that these models expect.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use intacct_sim::{RunningSimulator, Scale, Simulator};
use intacct_sync_postgres_fixture::Server;
use intacct_sync_tests::{Road, Warehouse, settings};

/// The columns of the seven tables by type, without the two that say when a row was read and whether
/// it is gone.
const PUBLISHED: &[(&str, &[(&str, &str)])] = &[
    (
        "gl_detail",
        &[
            (
                "text",
                "recordno accountno accounttitle basecurr batch_title batchkey bookid classid \
                classname currency customerid customername departmentid departmenttitle \
                description docnumber document entry_state entrydescription locationid \
                locationname prdescription recordid recordtype vendorid vendorname",
            ),
            ("integer", "batch_no line_no tr_type"),
            (
                "number",
                "amount creditamount debitamount totaldue totalentered totalpaid trx_amount \
                trx_creditamount trx_debitamount",
            ),
            ("date", "batch_date entry_date whencreated whendue whenpaid"),
            ("timestamp", "modified whenmodified"),
        ],
    ),
    (
        "gl_batch",
        &[
            (
                "text",
                "recordno baselocation_no batch_title journal megaentityid megaentityname \
                modifiedbyid module referenceno state taximplications userinfo_loginid",
            ),
            (
                "integer",
                "baselocation batchno createdby megaentitykey modifiedby prbatchkey reversedkey \
                templatekey userkey",
            ),
            ("date", "batch_date reversed reversedfrom"),
            ("timestamp", "modified whencreated whenmodified"),
        ],
    ),
    (
        "gl_account",
        &[
            (
                "text",
                "accountno accounttype alternativeaccount category closingaccountno \
                closingaccounttitle closingtype normalbalance recordno status title",
            ),
            ("integer", "categorykey closetoacctkey createdby modifiedby"),
            (
                "boolean",
                "requireclass requirecustomer requiredept requireemployee requireitem \
                requireloc requireproject requirevendor requirewarehouse taxable",
            ),
            ("timestamp", "whencreated whenmodified"),
        ],
    ),
    (
        "ap_bill",
        &[
            (
                "text",
                "recordno basecurr billtopaytocontactname currency description docnumber \
                recordid recordtype shiptoreturntocontactname state vendorid vendorname",
            ),
            ("integer", "billtopaytokey due_in_days shiptoreturntokey"),
            ("number", "totaldue totalentered totalpaid"),
            ("date", "whencreated whendue whenpaid whenposted"),
            ("timestamp", "auwhencreated whenmodified"),
        ],
    ),
    (
        "ap_bill_item",
        &[
            (
                "text",
                "recordno recordkey accountno accounttitle basecurr classid classname currency \
                customerid customername departmentid departmentname entrydescription itemid \
                itemname locationid locationname offsetglaccountno offsetglaccounttitle \
                projectid projectname recordtype state vendorid vendorname",
            ),
            ("integer", "accountkey baselocation createdby line_no"),
            ("number", "amount exchange_rate totalpaid totalselected"),
            ("boolean", "billable billed lineitem"),
            ("date", "entry_date"),
            ("timestamp", "whencreated whenmodified"),
        ],
    ),
    (
        "ar_invoice",
        &[
            (
                "text",
                "recordno basecurr billtopaytocontactname currency customerid customername \
                description docnumber megaentityid megaentityname recordid recordtype \
                shiptoreturntocontactname state",
            ),
            (
                "integer",
                "billtopaytokey createdby due_in_days shiptoreturntokey",
            ),
            ("number", "totaldue totalentered totalpaid"),
            (
                "date",
                "whencreated whendiscount whendue whenpaid whenposted",
            ),
            ("timestamp", "auwhencreated whenmodified"),
        ],
    ),
    (
        "ar_invoice_item",
        &[
            (
                "text",
                "recordno recordkey accountno accounttitle basecurr classid classname currency \
                customerid customername departmentid departmentname entrydescription itemid \
                itemname locationid locationname offsetglaccountno offsetglaccounttitle \
                recordtype state vendorid vendorname warehouseid warehousename",
            ),
            ("integer", "accountkey baselocation line_no"),
            ("number", "amount exchange_rate totalpaid totalselected"),
            ("boolean", "lineitem"),
            ("date", "entry_date"),
            ("timestamp", "whencreated whenmodified"),
        ],
    ),
];

/// Lines have no mark: what is deleted goes.
const WITHOUT_MARKS: [&str; 2] = ["ap_bill_item", "ar_invoice_item"];

/// A company, and its books in a warehouse.
struct Books {
    simulator: RunningSimulator,
    folder: tempfile::TempDir,
    warehouse: Warehouse,
}

impl Books {
    /// Everything is read on the first day.
    async fn read(warehouse: impl FnOnce(&std::path::Path) -> Warehouse) -> Self {
        let company = Simulator::builder().seed(11).scale(Scale::Tiny);
        let folder = tempfile::tempdir().unwrap();
        let books = Self {
            simulator: company.start().await.unwrap(),
            warehouse: warehouse(folder.path()),
            folder,
        };
        books.run().await;
        books
    }

    async fn run(&self) {
        let settings = settings(self.simulator.url(), "sim-user-password");
        let streams: Vec<&str> = PUBLISHED.iter().map(|(table, _)| *table).collect();
        let road = Road::into(
            self.warehouse.clone(),
            settings,
            self.folder.path(),
            &streams,
        );
        let report = road.unwrap().pipeline.run().await.unwrap();
        assert!(report.ties_out(), "{report:#?}");
    }

    /// A line for each row, values parted by `|`.
    async fn lines(&self, sql: &str) -> Vec<String> {
        let rows = self.warehouse.query(sql).await.unwrap().rows;
        rows.into_iter()
            .map(|row| {
                let cells: Vec<_> = row.iter().map(|it| it.as_deref().unwrap_or("-")).collect();
                cells.join("|")
            })
            .collect()
    }

    /// That no row is found.
    async fn none(&self, sql: &str) {
        assert_eq!(self.lines(sql).await, Vec::<String>::new(), "{sql}");
    }

    /// That some row is found.
    async fn some(&self, sql: &str) {
        assert!(!self.lines(sql).await.is_empty(), "{sql}");
    }

    /// What the company has of a field, by record number.
    fn truth(&self, object: &str, field: &str) -> BTreeMap<String, String> {
        let records = self.simulator.company().records(object).unwrap();
        let of = |record: &[(String, Option<String>)], name: &str| {
            let found = record.iter().find(|(field, _)| field == name);
            found.and_then(|(_, value)| value.clone())
        };
        records
            .iter()
            .filter_map(|record| Some((of(record, "RECORDNO")?, of(record, field)?)))
            .collect()
    }
}

/// Makes a test of a case for each warehouse.
macro_rules! in_both {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(Books::read(|folder| Warehouse::sqlite(folder).unwrap()).await)
                        .await;
                }
            )*
        }

        mod postgres {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    let Some(server) = Server::shared() else { return };
                    let settings = server.database().settings();
                    super::$case(Books::read(|_| Warehouse::postgres(&settings).unwrap()).await)
                        .await;
                }
            )*
        }
    };
}

in_both!(
    tables_have_the_published_columns_and_types,
    rows_say_when_they_were_read_and_whether_they_are_gone,
    no_record_is_there_twice,
    what_models_join_on_is_never_empty,
    account_numbers_keep_every_character,
    an_account_has_one_title,
    kinds_of_accounts_are_the_exact_words,
    a_line_belongs_to_a_book_and_balances_there,
    amounts_have_the_sign_of_their_side,
    lines_of_a_deleted_header_do_not_count,
    lines_of_a_deleted_document_go,
);

async fn tables_have_the_published_columns_and_types(books: Books) {
    for (table, by_type) in PUBLISHED {
        let there: BTreeMap<_, _> = books
            .warehouse
            .columns(table)
            .await
            .unwrap()
            .into_iter()
            .collect();
        let marked = !WITHOUT_MARKS.contains(table);
        let system = [("timestamp", "_fivetran_synced")]
            .into_iter()
            .chain(marked.then_some(("boolean", "_fivetran_deleted")));
        let all = by_type
            .iter()
            .flat_map(|(of_type, names)| names.split_whitespace().map(|name| (*of_type, name)));
        let wrong: Vec<_> = all
            .chain(system)
            .filter(|(of_type, name)| there.get(*name).map(String::as_str) != Some(*of_type))
            .map(|(of_type, name)| (name, of_type, there.get(name)))
            .collect();
        assert_eq!(wrong, [], "{table}: name, type published, type there");
        assert_eq!(there.contains_key("_fivetran_deleted"), marked, "{table}");
    }
}

async fn rows_say_when_they_were_read_and_whether_they_are_gone(books: Books) {
    books.simulator.company().apply_round(1).unwrap();
    books.run().await;
    for (table, _) in PUBLISHED {
        let differ = "_fivetran_synced IS NULL OR _fivetran_synced <> _synced_at";
        books
            .none(&format!("SELECT 1 FROM {table} WHERE {differ}"))
            .await;
        if !WITHOUT_MARKS.contains(table) {
            let differ = "_fivetran_deleted IS NULL OR _fivetran_deleted <> _deleted";
            books
                .none(&format!("SELECT 1 FROM {table} WHERE {differ}"))
                .await;
        }
    }
    books
        .some("SELECT 1 FROM ap_bill WHERE _fivetran_deleted")
        .await;
    books
        .some("SELECT 1 FROM ap_bill WHERE NOT _fivetran_deleted")
        .await;
}

/// Nothing that reads the tables would notice a double.
async fn no_record_is_there_twice(books: Books) {
    books.simulator.company().apply_round(1).unwrap();
    books.run().await;
    for (table, _) in PUBLISHED {
        let twice = format!("SELECT recordno FROM {table} GROUP BY recordno HAVING count(*) > 1");
        books.none(&twice).await;
    }
}

/// Null never equals null: a line without one of these would vanish from every statement.
async fn what_models_join_on_is_never_empty(books: Books) {
    for column in [
        "currency",
        "bookid",
        "entry_state",
        "accounttitle",
        "accountno",
        "batchkey",
        "entry_date",
        "amount",
    ] {
        let empty = format!("SELECT recordno FROM gl_detail WHERE {column} IS NULL");
        books.none(&empty).await;
    }
    // The company leaves the currency of lines in its base currency empty, and it is filled from there.
    let said = books.truth("GLDETAIL", "CURRENCY");
    let base = books.truth("GLDETAIL", "BASECURR");
    let arrived = books
        .lines("SELECT recordno, currency FROM gl_detail")
        .await;
    for line in &arrived {
        let (key, currency) = line.split_once('|').unwrap();
        let expected = said.get(key).filter(|said| !said.is_empty());
        assert_eq!(
            Some(currency),
            expected.or(base.get(key)).map(String::as_str)
        );
    }
    assert_eq!(arrived.len(), base.len());
}

/// A number would lose leading zeros, or gain a point, and no line would find its account.
async fn account_numbers_keep_every_character(books: Books) {
    books
        .none(
            "SELECT line.recordno FROM gl_detail AS line
             LEFT JOIN gl_account AS account ON account.accountno = line.accountno
             WHERE account.recordno IS NULL",
        )
        .await;
    for (object, table, field, column) in [
        ("GLACCOUNT", "gl_account", "ACCOUNTNO", "accountno"),
        ("GLDETAIL", "gl_detail", "ACCOUNTNO", "accountno"),
        ("GLDETAIL", "gl_detail", "LOCATIONID", "locationid"),
        ("GLDETAIL", "gl_detail", "DEPARTMENTID", "departmentid"),
    ] {
        let select = format!("SELECT recordno, {column} FROM {table} WHERE {column} IS NOT NULL");
        let mut arrived = books.lines(&select).await;
        arrived.sort();
        let mut expected: Vec<_> = books
            .truth(object, field)
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}|{value}"))
            .collect();
        expected.sort();
        assert_eq!(arrived, expected, "{table}.{column}");
    }
    books
        .some("SELECT 1 FROM gl_account WHERE accountno LIKE '0%'")
        .await;
}

async fn an_account_has_one_title(books: Books) {
    let twice = "SELECT accountno FROM gl_detail WHERE NOT _deleted
                 GROUP BY accountno HAVING count(DISTINCT accounttitle) > 1";
    books.none(twice).await;
}

async fn kinds_of_accounts_are_the_exact_words(books: Books) {
    let kinds = "SELECT DISTINCT accounttype FROM gl_account ORDER BY 1";
    let expected = ["balancesheet", "incomestatement"];
    assert_eq!(books.lines(kinds).await, expected);
    let sides = "SELECT DISTINCT normalbalance FROM gl_account ORDER BY 1";
    assert_eq!(books.lines(sides).await, ["credit", "debit"]);
    books
        .none("SELECT 1 FROM gl_account WHERE category IS NULL")
        .await;
}

/// Whoever adds up books together counts twice; each balances by itself, to the last digit.
async fn a_line_belongs_to_a_book_and_balances_there(books: Books) {
    let all = "SELECT DISTINCT bookid FROM gl_detail ORDER BY 1";
    assert!(books.lines(all).await.contains(&"ACCRUAL".to_owned()));
    let net = books.warehouse.sum("amount");
    let unbalanced = books
        .lines(&format!(
            "SELECT batchkey, bookid, {net} FROM gl_detail WHERE NOT _deleted
             GROUP BY batchkey, bookid"
        ))
        .await;
    for line in &unbalanced {
        let net: sync_core::Decimal = line.rsplit('|').next().unwrap().parse().unwrap();
        assert_eq!(net, sync_core::Decimal::ZERO, "{line}");
    }
    // Joined without a cast.
    books
        .none(
            "SELECT line.recordno FROM gl_detail AS line
             LEFT JOIN gl_batch AS entry ON entry.recordno = line.batchkey
             WHERE entry.recordno IS NULL",
        )
        .await;
}

async fn amounts_have_the_sign_of_their_side(books: Books) {
    let number = |column: &str| books.warehouse.number(column);
    let (amount, debit, credit) = (
        number("amount"),
        number("debitamount"),
        number("creditamount"),
    );
    books
        .none("SELECT 1 FROM gl_detail WHERE tr_type NOT IN (1, -1)")
        .await;
    books
        .none(&format!(
            "SELECT recordno, tr_type, amount FROM gl_detail
             WHERE debitamount IS NULL OR creditamount IS NULL
                OR {amount} <> {debit} - {credit}
                OR (tr_type = 1 AND {credit} <> 0) OR (tr_type = -1 AND {debit} <> 0)"
        ))
        .await;
    for side in [1, -1] {
        books
            .some(&format!("SELECT 1 FROM gl_detail WHERE tr_type = {side}"))
            .await;
    }
}

/// A deleted journal entry reaches the ledger by the mark of its header.
async fn lines_of_a_deleted_header_do_not_count(books: Books) {
    for round in 1..4 {
        books.simulator.company().apply_round(round).unwrap();
        books.run().await;
    }
    books
        .some("SELECT recordno FROM gl_batch WHERE _fivetran_deleted")
        .await;
    let live: std::collections::BTreeSet<_> =
        books.truth("GLDETAIL", "BATCHKEY").into_keys().collect();
    // As the models count: what neither its own mark nor its header's hides.
    let counted: std::collections::BTreeSet<_> = books
        .lines(
            "SELECT line.recordno FROM gl_detail AS line
             JOIN gl_batch AS entry ON entry.recordno = line.batchkey
             WHERE NOT line._fivetran_deleted AND NOT entry._fivetran_deleted",
        )
        .await
        .into_iter()
        .collect();
    assert_eq!(counted, live);
}

/// Lines of documents have no mark, so they must go.
async fn lines_of_a_deleted_document_go(books: Books) {
    for round in 1..4 {
        books.simulator.company().apply_round(round).unwrap();
        books.run().await;
    }
    books
        .some("SELECT recordno FROM ap_bill WHERE _fivetran_deleted")
        .await;
    for (document, item) in [
        ("ap_bill", "ap_bill_item"),
        ("ar_invoice", "ar_invoice_item"),
    ] {
        books
            .none(&format!(
                "SELECT line.recordno FROM {item} AS line
                 LEFT JOIN {document} AS document
                   ON document.recordno = line.recordkey AND NOT document._fivetran_deleted
                 WHERE document.recordno IS NULL"
            ))
            .await;
    }
}
