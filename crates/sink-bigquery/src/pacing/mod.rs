//! Keeping within BigQuery's limits, over restarts too.
