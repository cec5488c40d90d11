//! The zone that the gateway writes timestamps in.
//!
//! developer.intacct.com, Users and Parameter formats. Timestamps of records carry no zone. Whose zone it is is not
//! published; those who have looked say that it is the API user's.

use std::time::Duration;

use intacct_xml::metadata::UserFormatting;
use intacct_xml::request::ReadUserFormatting;
use time::UtcOffset;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Reason, Result};

/// How the zone of the source's timestamps is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceZone {
    /// It is the setting `source_offset`.
    #[default]
    Fixed,
    /// It is that of the API user, asked for by [`Client::in_source_zone`].
    OfUser,
}

impl Client {
    /// This client with the zone of the source's timestamps settled: as set, or as the user has it now.
    ///
    /// A user's offset is a fixed one, which daylight saving time moves, so call it at the beginning of every run and
    /// let windows overlap by [`least_overlap`](Self::least_overlap).
    ///
    /// # Errors
    /// `Unsupported`, with reason [`Reason::SourceFormat`], when the user does not have the locale en_US, the date format
    /// month/day/year and the 24-hour clock, in which alone timestamps can be read for certain. `Permission` where the
    /// user may not see users.
    pub async fn in_source_zone(&self) -> Result<Self> {
        match self.config().source_zone {
            SourceZone::Fixed => Ok(self.clone()),
            SourceZone::OfUser => Ok(self.with_source_offset(self.users_offset().await?)),
        }
    }

    /// By how much the windows of two runs must overlap at least for the sake of the zone: an hour where it can move,
    /// or else nothing. What the gateway shows late comes on top.
    #[must_use]
    pub fn least_overlap(&self) -> Duration {
        let config = self.config();
        let moves =
            config.source_zone == SourceZone::OfUser || config.source_offset != UtcOffset::UTC;
        if moves {
            Duration::from_secs(60 * 60)
        } else {
            Duration::ZERO
        }
    }

    async fn users_offset(&self) -> Result<UtcOffset> {
        let login = self.login().await?.user_id;
        let login = login.unwrap_or_else(|| self.config().credentials.user.id.clone());
        let user = ReadUserFormatting::of_login(&login).map_err(Error::unwritable)?;
        let formatting = self.user_formatting(user).await?;
        check(&formatting).map_err(|error| error.with("user", &login))?;
        tracing::info!(offset = %formatting.gmt_offset, "the user's zone");
        Ok(formatting.gmt_offset)
    }

    /// The zone to read and write timestamps in.
    pub(crate) fn source_offset(&self) -> Result<UtcOffset> {
        if self.zone_is_settled() {
            return Ok(self.config().source_offset);
        }
        Err(Error::invalid(
            "the zone of the source's timestamps is the user's, and it has not been asked for; begin with \
             in_source_zone",
        ))
    }
}

fn check(formatting: &UserFormatting) -> Result<()> {
    let wanted = [
        ("locale", &formatting.locale, "en_US"),
        ("date format", &formatting.date_format, "/mdY"),
        ("clock", &formatting.clock, "24"),
    ];
    for (what, found, expected) in wanted {
        let found = found.as_deref().unwrap_or("unknown");
        if found != expected {
            let message = format!(
                "the API user's {what} is {found}, and only {expected} can be read for certain; set it in the user's \
                 preferences"
            );
            return Err(Error::new(
                ErrorKind::Unsupported,
                Reason::SourceFormat,
                message,
            ));
        }
    }
    Ok(())
}
