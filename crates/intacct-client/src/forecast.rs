//! What reading will cost, before it is done.

use std::time::Duration;

use intacct_xml::request::{Filter, Query, QueryOptions};
use intacct_xml::{FieldName, ObjectName};
use sync_http::LimitOptions;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::query::missing;

/// What is to be read of one object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Planned {
    /// The object.
    pub object: ObjectName,
    /// A field that every record has; the key. Default RECORDNO.
    pub field: FieldName,
    /// Which records; all if there is none.
    pub filter: Option<Filter>,
    /// Whether records private to an entity are among them, and the like.
    pub options: QueryOptions,
    /// Records of a page; the client's own size if there is none.
    pub page_size: Option<u32>,
}

/// What reading will cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forecast {
    /// By object, in the order in which they were asked for.
    pub objects: Vec<ObjectForecast>,
    /// Calls for all of them.
    pub calls: u64,
    /// Time for all of them, one request after the other, within the client's limits. Quiet hours come on top.
    pub duration: Duration,
    /// Time of a call, as measured.
    pub pace: Duration,
    /// How many calls that was measured by. Where they only were those of the forecast itself, real pages take longer.
    pub measured_calls: u64,
}

/// What reading one object will cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectForecast {
    /// The object.
    pub object: ObjectName,
    /// How many records there are now.
    pub records: u64,
    /// Calls: pages, and at least one.
    pub calls: u64,
}

impl Planned {
    /// All records of an object, by RECORDNO, in pages of the client's size.
    ///
    /// # Errors
    /// None today.
    pub fn new(object: ObjectName) -> Result<Self> {
        Ok(Self {
            object,
            field: FieldName::new("RECORDNO").map_err(Error::unwritable)?,
            filter: None,
            options: QueryOptions::default(),
            page_size: None,
        })
    }

    /// Only the records that the filter selects.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// With these options.
    #[must_use]
    pub fn with_options(mut self, options: QueryOptions) -> Self {
        self.options = options;
        self
    }

    fn query(&self) -> Result<Query> {
        let query = Query::new(self.object.clone(), [self.field.clone()])
            .and_then(|query| query.with_page_size(1))
            .map_err(Error::unwritable)?
            .with_options(self.options);
        Ok(match &self.filter {
            Some(filter) => query.with_filter(filter.clone()),
            None => query,
        })
    }
}

impl Client {
    /// How many calls and how much time it would take to read all this. Costs one call an object.
    ///
    /// # Errors
    /// Those of any query.
    pub async fn forecast(&self, planned: &[Planned]) -> Result<Forecast> {
        let mut objects = Vec::with_capacity(planned.len());
        for plan in planned {
            let page_size = u64::from(plan.page_size.unwrap_or(self.config().page_size).max(1));
            let answer = self.call(plan.query()?).await?;
            let total = answer.attributes.and_then(|totals| totals.total_count);
            let object = plan.object.as_str();
            // A forecast of nothing would pass for good news.
            let records = total.ok_or_else(|| missing("totalcount").with("object", object))?;
            objects.push(ObjectForecast {
                object: plan.object.clone(),
                records,
                calls: records.div_ceil(page_size).max(1),
            });
        }
        let calls = objects.iter().map(|object| object.calls).sum();
        let measured = self.calls().of_function("query");
        let answered = u32::try_from(measured.sent).unwrap_or(u32::MAX).max(1);
        let pace = measured.elapsed / answered;
        let by_pace = pace.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX));
        Ok(Forecast {
            objects,
            calls,
            duration: by_pace.max(least_time(calls, self.limits().options())),
            pace,
            measured_calls: measured.sent,
        })
    }
}

/// The least time that so many calls take within the limits.
fn least_time(calls: u64, limits: &LimitOptions) -> Duration {
    let times = limits.windows.iter().map(|window| {
        let full_windows = calls.saturating_sub(1) / window.amount.max(1);
        window
            .per
            .saturating_mul(u32::try_from(full_windows).unwrap_or(u32::MAX))
    });
    times.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sync_http::LimitOptions;

    use super::least_time;

    #[test]
    fn the_slowest_limit_counts() {
        let limits = LimitOptions::default()
            .with_window(10, Duration::from_secs(1))
            .with_window(100, Duration::from_secs(60));
        assert_eq!(least_time(1, &limits), Duration::ZERO);
        assert_eq!(least_time(100, &limits), Duration::from_secs(9));
        assert_eq!(least_time(101, &limits), Duration::from_secs(60));
        assert_eq!(least_time(1000, &LimitOptions::default()), Duration::ZERO);
    }
}
