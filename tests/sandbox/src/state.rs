//! Everything a sandbox remembers: tokens, users, ended sessions, counted actions.
//!
//! It stores and finds; the rules of the actions are elsewhere.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::answer::Value;
use crate::random;

/// A token that may be used.
pub(crate) const ACTIVE: i64 = 2;
/// A token that was deleted; it stays stored and is never found.
pub(crate) const DELETED: i64 = 3;

/// A stored token. Optional fields hold [`Value::Null`] when they are not set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) partner: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) status: i64,
    pub(crate) settings: Settings,
}

/// The fields of a token that a caller may write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) expiry: Value,
    pub(crate) session_type: Value,
    pub(crate) session_user_id: Value,
    pub(crate) session_duration: Value,
    pub(crate) session_privileges: Value,
    pub(crate) hash_type: Value,
    pub(crate) description: Value,
}

impl Default for Settings {
    fn default() -> Self {
        let null = || Value::Null;
        Self {
            expiry: null(),
            session_type: null(),
            session_user_id: null(),
            session_duration: null(),
            session_privileges: null(),
            hash_type: null(),
            description: null(),
        }
    }
}

impl Settings {
    /// The field with this API name.
    pub(crate) fn field(&mut self, name: &str) -> Option<&mut Value> {
        match name {
            "expiry" => Some(&mut self.expiry),
            "sessionType" => Some(&mut self.session_type),
            "sessionUserId" => Some(&mut self.session_user_id),
            "sessionDuration" => Some(&mut self.session_duration),
            "sessionPrivileges" => Some(&mut self.session_privileges),
            "hashType" => Some(&mut self.hash_type),
            "description" => Some(&mut self.description),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
struct PartnerData {
    /// By [`folded`] id, so in the order of ids.
    tokens: BTreeMap<String, Token>,
    users: HashSet<String>,
}

/// The memory of a sandbox.
#[derive(Debug, Default)]
pub(crate) struct State {
    partners: HashMap<i64, PartnerData>,
    ended: HashSet<String>,
    action_counts: HashMap<String, u64>,
}

/// How the server's database compares texts: without case, and without trailing spaces.
pub(crate) fn folded(text: &str) -> String {
    text.trim_end_matches(' ').to_lowercase()
}

impl State {
    /// A token of this partner that was not deleted.
    pub(crate) fn token(&self, partner: i64, id: &str) -> Option<&Token> {
        self.partners
            .get(&partner)?
            .tokens
            .get(&folded(id))
            .filter(|token| token.status != DELETED)
    }

    pub(crate) fn token_mut(&mut self, partner: i64, id: &str) -> Option<&mut Token> {
        let data = self.partners.get_mut(&partner)?;
        data.tokens
            .get_mut(&folded(id))
            .filter(|token| token.status != DELETED)
    }

    /// A token of any partner, deleted or not.
    pub(crate) fn any_token_mut(&mut self, id: &str) -> Option<&mut Token> {
        let id = folded(id);
        self.partners
            .values_mut()
            .find_map(|data| data.tokens.get_mut(&id))
    }

    /// The partner's tokens that were not deleted, in the order of their ids.
    pub(crate) fn tokens(&self, partner: i64) -> impl Iterator<Item = &Token> {
        let data = self.partners.get(&partner);
        data.into_iter()
            .flat_map(|data| data.tokens.values())
            .filter(|token| token.status != DELETED)
    }

    pub(crate) fn insert(&mut self, token: Token) {
        let data = self.partners.entry(token.partner).or_default();
        if let Value::Text(user) = &token.settings.session_user_id {
            data.users.insert(folded(user));
        }
        data.tokens.insert(folded(&token.id), token);
    }

    pub(crate) fn clear_tokens(&mut self, partner: i64) {
        if let Some(data) = self.partners.get_mut(&partner) {
            data.tokens.clear();
        }
    }

    /// An id that no token has.
    pub(crate) fn fresh_id(&self) -> String {
        loop {
            let id = format!("0_{}", random::alphanumeric(8));
            if !self
                .partners
                .values()
                .any(|data| data.tokens.contains_key(&id))
            {
                return id;
            }
        }
    }

    pub(crate) fn knows_user(&self, partner: i64, user: &str) -> bool {
        self.partners
            .get(&partner)
            .is_some_and(|data| data.users.contains(&folded(user)))
    }

    pub(crate) fn add_user(&mut self, partner: i64, user: &str) {
        self.partners
            .entry(partner)
            .or_default()
            .users
            .insert(folded(user));
    }

    /// Ends a session, or a group of sessions, under its key.
    pub(crate) fn end(&mut self, key: String) {
        self.ended.insert(key);
    }

    pub(crate) fn is_ended(&self, key: &str) -> bool {
        self.ended.contains(key)
    }

    /// Counts one more action of a session and says how many there are now.
    pub(crate) fn count_action(&mut self, hash: &str) -> u64 {
        let count = self.action_counts.entry(hash.to_owned()).or_default();
        *count += 1;
        *count
    }
}

/// The key under which a group of sessions is ended.
pub(crate) fn session_group(partner: i64, session_id: &str) -> String {
    format!("{partner}:sessionid:{session_id}")
}

/// The key under which a single session is ended.
pub(crate) fn session_key(hash: &str) -> String {
    format!("hash:{hash}")
}
