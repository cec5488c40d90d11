//! Three questions that finance asks, and their answers from the destination.

use anyhow::Result;
use serde::Serialize;

use crate::destination::Destination;

/// A query worth trying, with its answer.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) question: &'static str,
    pub(crate) sql: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

const AGING: &str = "\
SELECT CASE WHEN due_in_days >= 0 THEN 'not yet due'
            WHEN due_in_days >= -30 THEN '1 to 30 days'
            WHEN due_in_days >= -60 THEN '31 to 60 days'
            WHEN due_in_days >= -90 THEN '61 to 90 days'
            ELSE 'over 90 days' END AS overdue,
       count(*) AS bills,
       decimal_sum(totaldue) AS due
FROM ap_bill
WHERE NOT _deleted AND totaldue <> '0.00'
GROUP BY overdue
ORDER BY max(due_in_days) DESC";

const TRIAL_BALANCE: &str = "\
SELECT accountno, accounttitle,
       decimal_sum(debitamount) AS debit,
       decimal_sum(creditamount) AS credit,
       decimal_sum(amount) AS net
FROM gl_detail
WHERE NOT _deleted AND bookid = 'ACCRUAL'
  AND strftime('%Y-%m', entry_date) =
      (SELECT max(strftime('%Y-%m', entry_date)) FROM gl_detail WHERE NOT _deleted)
GROUP BY accountno, accounttitle
ORDER BY accountno";

const TOP_VENDORS: &str = "\
SELECT v.vendorid, v.name, count(*) AS bills, decimal_sum(b.totalentered) AS billed
FROM ap_bill AS b JOIN vendor AS v ON v.vendorid = b.vendorid
WHERE NOT b._deleted AND NOT v._deleted
GROUP BY v.vendorid, v.name
ORDER BY CAST(decimal_sum(b.totalentered) AS REAL) DESC
LIMIT 5";

pub(crate) async fn answers(destination: &Destination) -> Result<Vec<Answer>> {
    let asked = [
        ("What do we owe, and how late are we?", AGING),
        ("The trial balance of the last month", TRIAL_BALANCE),
        ("Which vendors cost most?", TOP_VENDORS),
    ];
    let mut answers = Vec::with_capacity(asked.len());
    for (question, sql) in asked {
        let sql = destination.words(sql);
        let rows = destination.query(&sql).await?;
        answers.push(Answer {
            question,
            sql,
            columns: rows.columns,
            rows: rows.rows,
        });
    }
    Ok(answers)
}
