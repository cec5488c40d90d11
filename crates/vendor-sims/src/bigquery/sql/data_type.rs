//! Types as statements write them.

use sqlparser::ast::{DataType, ExactNumberInfo};

use super::bare::unknown;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::Type;

/// The type that a statement names.
pub(super) fn data_type(ast: &DataType) -> Result<Type, Refusal> {
    Ok(match ast {
        DataType::Bool | DataType::Boolean => Type::Bool,
        DataType::Int64 | DataType::Integer(None) | DataType::Int(None) => Type::Int64,
        DataType::BigInt(None) | DataType::SmallInt(None) => Type::Int64,
        DataType::Float64 => Type::Float64,
        DataType::Numeric(ExactNumberInfo::None) | DataType::Decimal(ExactNumberInfo::None) => {
            Type::Numeric
        }
        DataType::BigNumeric(ExactNumberInfo::None)
        | DataType::BigDecimal(ExactNumberInfo::None) => Type::BigNumeric,
        DataType::String(None) => Type::String,
        DataType::Bytes(None) => Type::Bytes,
        DataType::Date => Type::Date,
        DataType::Time(None, _) => Type::Time,
        DataType::Datetime(None) => Type::Datetime,
        DataType::Timestamp(None, _) => Type::Timestamp,
        DataType::JSON => Type::Json,
        other => return Err(unknown(format!("the type {other} here"))),
    })
}
