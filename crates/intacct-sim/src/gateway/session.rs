//! Sessions and what is bound to them.

use std::collections::HashMap;

use super::format::Format;
use crate::access::User;

/// Who is calling, once it has been established.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The session, when the call came with one.
    pub(crate) session: Option<String>,
    pub(crate) user: User,
    /// Record number and id of the entity; none at top level.
    pub(crate) entity: Option<(u32, String)>,
    pub(crate) timeout: i64,
    /// The gateway's address by the name that the caller used.
    pub(crate) url: String,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: HashMap<String, Session>,
    opened: u64,
    /// Results that were kept, for their ids.
    kept: u64,
}

#[derive(Debug)]
struct Session {
    /// Its number since the start, from 1.
    number: u64,
    /// Login of its user.
    user: String,
    /// The address that it was told to use; it is known nowhere else.
    endpoint: String,
    entity: Option<(u32, String)>,
    expires: i64,
    cursors: HashMap<String, Cursor>,
    /// The cursor that was opened last, by object or view.
    latest: HashMap<String, String>,
}

/// The login of a session's user, and record number and id of its entity.
type Owner = (String, Option<(u32, String)>);

/// Where a reader of a result is.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) object: String,
    /// The view that is read, and not its object itself.
    pub(crate) view: Option<String>,
    pub(crate) format: Format,
    pub(crate) fields: Vec<String>,
    pub(crate) slots: Vec<u32>,
    pub(crate) at: usize,
    pub(crate) page_size: usize,
}

impl Sessions {
    /// Opens a session and returns its id. Ids are the one thing here that is not reproducible.
    pub(crate) fn open(
        &mut self,
        user: &str,
        endpoint: &str,
        entity: Option<(u32, String)>,
        expires: i64,
    ) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.open
            .retain(|_, session| session.expires > expires - 7 * 86_400);
        self.opened += 1;
        let random: String = (0..40)
            .map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())]))
            .collect();
        let id = format!("{random}{}..", self.opened);
        let session = Session {
            number: self.opened,
            user: user.to_owned(),
            endpoint: endpoint.to_owned(),
            entity,
            expires,
            cursors: HashMap::new(),
            latest: HashMap::new(),
        };
        self.open.insert(id.clone(), session);
        id
    }

    /// Moves the end of a session that was brought to `url` on, and says whose it is and of which
    /// entity; none when it is over, never was, or belongs elsewhere.
    pub(crate) fn extend(&mut self, id: &str, url: &str, now: i64, expires: i64) -> Option<Owner> {
        let session = self
            .open
            .get_mut(id)
            .filter(|session| session.expires > now && session.endpoint == url)?;
        session.expires = expires;
        Some((session.user.clone(), session.entity.clone()))
    }

    /// The number of a session, the login of its user, and the id of its entity: empty at top
    /// level.
    pub(crate) fn describe(&self, id: &str) -> Option<(u64, String, String)> {
        let session = self.open.get(id)?;
        let entity = session.entity.as_ref().map(|(_, id)| id.clone());
        Some((
            session.number,
            session.user.clone(),
            entity.unwrap_or_default(),
        ))
    }

    /// Ends one session.
    pub(crate) fn expire(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// Ends every session at once.
    pub(crate) fn expire_all(&mut self) -> usize {
        let ended = self.open.len();
        self.open.clear();
        ended
    }

    pub(crate) fn keep_cursor(&mut self, session: Option<&str>, cursor: Cursor) -> String {
        self.kept += 1;
        // The id speaks of a server and a running number, as those of the gateway seem to.
        let id = format!("7765623031{:08x}{:016x}", self.kept, fastrand::u64(..));
        if let Some(session) = session.and_then(|id| self.open.get_mut(id)) {
            let subject = cursor.view.as_ref().unwrap_or(&cursor.object).clone();
            session.latest.insert(subject, id.clone());
            session.cursors.insert(id.clone(), cursor);
        }
        id
    }

    pub(crate) fn cursor(&self, session: Option<&str>, id: &str) -> Option<Cursor> {
        self.open.get(session?)?.cursors.get(id).cloned()
    }

    /// The id of the cursor that a session opened last on an object or a view.
    pub(crate) fn latest_cursor(&self, session: Option<&str>, subject: &str) -> Option<String> {
        self.open.get(session?)?.latest.get(subject).cloned()
    }

    /// Puts a cursor at its new place; a read to the end closes it.
    pub(crate) fn move_cursor(&mut self, session: Option<&str>, id: &str, at: usize) {
        let Some(session) = session.and_then(|id| self.open.get_mut(id)) else {
            return;
        };
        if let Some(cursor) = session.cursors.get_mut(id) {
            cursor.at = at;
            if at >= cursor.slots.len() {
                session.cursors.remove(id);
            }
        }
    }
}
