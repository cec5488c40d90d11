//! Statements after names have been resolved and types checked: what the executor runs.

use std::sync::Arc;

use crate::bigquery::catalog::TableName;
use crate::bigquery::value::{Type, Value};

use super::functions::Function;

/// An expression with its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Typed {
    pub(super) expr: Expr,
    pub(super) kind: Type,
}

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Literal(Value),
    /// A value given as a parameter; it is coerced as a literal is.
    Parameter(Value),
    Column {
        /// How many queries further out the column is.
        depth: usize,
        source: usize,
        place: usize,
    },
    /// A field of a struct.
    Field(Box<Expr>, usize),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// `IS DISTINCT FROM`: nulls are values here.
    IsDistinct(Box<Expr>, Box<Expr>),
    IsNull(Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    InArray(Box<Expr>, Box<Expr>),
    Like(Box<Expr>, Box<Expr>),
    /// Branches in their order, then what else.
    Case(Vec<(Expr, Expr)>, Box<Expr>),
    Cast {
        expr: Box<Expr>,
        to: Type,
        safe: bool,
    },
    Call(Function, Vec<Expr>),
    Subquery(SubqueryUse, Arc<Query>),
    InSubquery(Box<Expr>, Arc<Query>),
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        // Bound expressions are small, and their debug form says all that they are.
        !matches!(self, Self::Subquery(..)) && format!("{self:?}") == format!("{other:?}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SubqueryUse {
    Scalar,
    Exists,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) kind: Type,
}

#[derive(Debug)]
pub(super) struct Query {
    pub(super) body: Body,
    /// The columns that are shown; the body may give more behind them, to sort by.
    pub(super) columns: Vec<Output>,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<Expr>,
    pub(super) offset: Option<Expr>,
    /// Whether it reads columns of a query around it.
    pub(super) is_correlated: bool,
}

#[derive(Debug)]
pub(super) enum Body {
    Select(Box<Select>),
    /// `UNION ALL`, or `UNION DISTINCT`, of queries with as many columns.
    Union {
        parts: Vec<Query>,
        distinct: bool,
    },
}

/// One term of an `ORDER BY`, over the columns that a body gives.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) place: usize,
    pub(super) direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

#[derive(Debug)]
pub(super) struct Select {
    pub(super) from: Vec<Source>,
    pub(super) filter: Option<Expr>,
    pub(super) grouping: Option<Grouping>,
    pub(super) having: Option<Expr>,
    pub(super) windows: Vec<Window>,
    pub(super) qualify: Option<Expr>,
    pub(super) projection: Vec<Expr>,
    /// How many columns of the projection are shown.
    pub(super) shown: usize,
    pub(super) distinct: bool,
}

/// One item of a `FROM` clause with the way it joins what stands before it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) relation: Relation,
    pub(super) width: usize,
    pub(super) join: Join,
}

#[derive(Debug)]
pub(super) enum Relation {
    Table(TableName),
    Derived(Arc<Query>),
    Unnest {
        array: Expr,
        offset: bool,
    },
    /// Rows that are known, such as those of `INFORMATION_SCHEMA`.
    Known(Vec<crate::bigquery::value::Row>),
}

#[derive(Debug)]
pub(super) enum Join {
    Cross,
    On {
        kind: JoinKind,
        /// Pairs that must be equal: of what stands before, and of this source.
        equal: Vec<(Expr, Expr)>,
        /// What else must hold.
        rest: Option<Expr>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

#[derive(Debug, Default)]
pub(super) struct Grouping {
    pub(super) keys: Vec<Typed>,
    pub(super) aggregates: Vec<Aggregate>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Aggregate {
    pub(super) function: AggregateFunction,
    pub(super) argument: Option<Typed>,
    pub(super) distinct: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AggregateFunction {
    Count,
    CountIf,
    Sum,
    Average,
    Least,
    Greatest,
    AnyValue,
    All,
    Any,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) function: WindowFunction,
    pub(super) partition: Vec<Expr>,
    pub(super) order: Vec<(Expr, Direction)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    Aggregate(Aggregate),
}
