//! All tokens exactly once, whatever comes and goes meanwhile. Over a function that gives a page: what
//! asks the server, with which session and how often, is unknown here.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    AppToken, ListOptions, Pager, ProfileFields, ResponseProfile, TokenOrder, TokenPage,
};
use crate::transport::BoxFuture;
use crate::wire::{self, Action};

/// Gives one page of the list.
pub(crate) type Pages =
    Arc<dyn Fn(ListOptions, Pager) -> BoxFuture<'static, Result<TokenPage>> + Send + Sync>;

/// A walk over all tokens: see [`crate::Client::tokens`]. A stream, and by [`Tokens::next`] usable without.
pub struct Tokens {
    state: WalkState,
    found: VecDeque<AppToken>,
}

enum WalkState {
    Ready(Box<Walk>),
    /// A page is being asked for; beside it the walk as it was before, to go back to.
    Fetching(Fetch, Box<Walk>),
    Done,
}

type Fetch = BoxFuture<'static, (Box<Walk>, Result<Vec<AppToken>>)>;

impl Tokens {
    pub(crate) fn new(pages: Pages, options: ListOptions) -> Self {
        Self {
            state: WalkState::Ready(Box::new(Walk::new(pages, options))),
            found: VecDeque::new(),
        }
    }

    /// The next token; `None` at the end.
    ///
    /// After an error, and after its future was dropped, the walk goes on from where it was.
    pub async fn next(&mut self) -> Option<Result<AppToken>> {
        match self.fill().await {
            Err(error) => Some(Err(error)),
            Ok(_) => self.found.pop_front().map(Ok),
        }
    }

    /// Waits until tokens are at hand; `false` at the end. Nothing is lost when its future is dropped.
    ///
    /// # Errors
    /// Those of [`crate::Client::list_tokens`].
    pub async fn fill(&mut self) -> Result<bool> {
        let waiting = Waiting(self);
        std::future::poll_fn(|context| waiting.0.poll_fill(context)).await
    }

    /// The tokens at hand, without asking for more.
    pub fn take_page(&mut self) -> impl Iterator<Item = AppToken> {
        std::mem::take(&mut self.found).into_iter()
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        loop {
            if !self.found.is_empty() {
                return Poll::Ready(Ok(true));
            }
            match std::mem::replace(&mut self.state, WalkState::Done) {
                WalkState::Done => return Poll::Ready(Ok(false)),
                WalkState::Ready(walk) if walk.finished => return Poll::Ready(Ok(false)),
                WalkState::Ready(mut walk) => {
                    let before = walk.clone();
                    let fetch = Box::pin(async move {
                        let tokens = walk.step().await;
                        (walk, tokens)
                    });
                    self.state = WalkState::Fetching(fetch, before);
                }
                WalkState::Fetching(mut fetch, before) => match fetch.as_mut().poll(context) {
                    Poll::Pending => {
                        self.state = WalkState::Fetching(fetch, before);
                        return Poll::Pending;
                    }
                    Poll::Ready((walk, tokens)) => {
                        self.state = WalkState::Ready(walk);
                        self.found = tokens?.into();
                    }
                },
            }
        }
    }
}

/// Somebody who waits for a page. Gone before it came, the request is given up: left half-way it would
/// keep the session that others wait for.
struct Waiting<'a>(&'a mut Tokens);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.0.state, WalkState::Done);
        self.0.state = match state {
            WalkState::Fetching(_, before) => WalkState::Ready(before),
            at_rest => at_rest,
        };
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Stream for Tokens {
    type Item = Result<AppToken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.poll_fill(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(_)) => Poll::Ready(self.found.pop_front().map(Ok)),
        }
    }
}

/// How a walk visits every token once, while others come and go.
///
/// Tokens are asked for in the order of creation, from the last second seen on, so that what is deleted
/// or added elsewhere does not move what is still to come. Within one second (which can hold more than a
/// page) pages must be counted, and a deletion moves the rest forward; so each page is laid to begin
/// among tokens already seen, and when none of those is on it, the walk steps back until one is.
#[derive(Clone)]
struct Walk {
    pages: Pages,
    options: ListOptions,
    /// The second of creation that was reached.
    second: Option<i64>,
    /// The tokens of that second that were seen.
    seen: HashSet<String>,
    /// How many tokens from the beginning of that second the next page may leave out at most.
    skip: u32,
    finished: bool,
}

impl Walk {
    fn new(pages: Pages, mut options: ListOptions) -> Self {
        if let Some(ids) = &mut options.filter.id_in {
            // A token that two requests ask for would come twice.
            let mut named = HashSet::new();
            ids.retain(|id| named.insert(id.trim().to_ascii_lowercase()));
        }
        Self {
            pages,
            options,
            second: None,
            seen: HashSet::new(),
            skip: 0,
            finished: false,
        }
    }

    async fn step(&mut self) -> Result<Vec<AppToken>> {
        if self.options.filter.order_by.is_some() {
            self.finished = true;
            return Err(Error::config(
                "orderBy: a walk over all tokens has its own order",
            ));
        }
        let mut options = ListOptions {
            response_profile: self.profile()?,
            ..self.options.clone()
        };
        let filter = &mut options.filter;
        if let Some(ids) = &mut filter.id_in {
            ids.truncate(wire::MAX_FILTER_IDS);
        }
        filter.order_by = Some(TokenOrder::CreatedAtAscending);
        filter.created_at_greater_than_or_equal =
            filter.created_at_greater_than_or_equal.max(self.second);
        // Applied below: the walk itself must see every token.
        filter.hash_type_equal = None;
        filter.session_type_equal = None;

        let pager = page_that_overlaps(self.skip);
        let offset = (pager.page_index - 1) * pager.page_size;
        let page = (self.pages)(options, pager).await?;
        let full = page.tokens.len() >= pager.page_size as usize;

        let is_seen =
            |token: &AppToken| token.created_at == self.second && self.seen.contains(&token.id);
        if offset > 0 && !page.tokens.iter().any(is_seen) {
            self.skip = offset / 2;
            return Ok(Vec::new());
        }
        let fresh: Vec<AppToken> = page
            .tokens
            .iter()
            .filter(|token| !is_seen(token))
            .cloned()
            .collect();
        let last_second = page.tokens.last().and_then(|token| token.created_at);
        if let Some(token) = fresh
            .iter()
            .find(|token| token.id.is_empty() || token.created_at.is_none())
        {
            self.finished = true;
            let what = if token.id.is_empty() {
                "id"
            } else {
                "createdAt"
            };
            return Err(Error::new(
                ErrorKind::Decode,
                format!("the server lists a token without {what}, by which the list is walked"),
            )
            .with_request(Action::TokenList.name()));
        }
        self.finished = !full;
        let shown = u32::try_from(page.tokens.len()).unwrap_or(u32::MAX);
        let moved_on = last_second > self.second;
        if moved_on {
            self.second = last_second;
            self.seen.clear();
        }
        let of_this_second = page
            .tokens
            .iter()
            .filter(|token| token.created_at == self.second);
        self.seen
            .extend(of_this_second.map(|token| token.id.clone()));
        self.skip = if moved_on {
            u32::try_from(self.seen.len()).unwrap_or(u32::MAX)
        } else {
            offset + shown
        };
        self.finished = self.finished && !self.next_ids();
        let accepts = |token: &AppToken| self.options.filter.accepts(token);
        Ok(fresh.into_iter().filter(accepts).collect())
    }

    /// Goes on with the ids that were not asked for yet; `false`: there are none.
    fn next_ids(&mut self) -> bool {
        let Some(ids) = &mut self.options.filter.id_in else {
            return false;
        };
        ids.drain(..ids.len().min(wire::MAX_FILTER_IDS));
        (self.second, self.skip) = (None, 0);
        self.seen.clear();
        !ids.is_empty()
    }

    /// The caller's response profile, with what the walk cannot do without.
    fn profile(&self) -> Result<Option<ResponseProfile>> {
        let Some(profile) = &self.options.response_profile else {
            return Ok(None);
        };
        let mut profile = profile.clone();
        let (ResponseProfile::Detached(fields) | ResponseProfile::Full { fields, .. }) =
            &mut profile
        else {
            return Ok(Some(profile));
        };
        for needed in ["id", "createdAt"] {
            match fields {
                ProfileFields::Include(names) if !names.iter().any(|name| name == needed) => {
                    names.push(needed.to_owned());
                }
                ProfileFields::Exclude(names) if names.iter().any(|name| name == needed) => {
                    return Err(Error::config(format!(
                        "response profile: a walk over all tokens needs {needed}"
                    )));
                }
                _ => {}
            }
        }
        Ok(Some(profile))
    }
}

/// A page that leaves out fewer than `skip` tokens, so that at least one known token is on it.
fn page_that_overlaps(skip: u32) -> Pager {
    let full = Pager::MAX_PAGE_SIZE;
    if skip == 0 || skip < full {
        return Pager::default();
    }
    // Pages begin at multiples of their size: take the largest size of which none ends right at `skip`
    // and that leaves a few known tokens on the page.
    let page_size = (full * 4 / 5..=full)
        .rev()
        .find(|size| (2..=full / 2).contains(&(skip % size)))
        .unwrap_or(full - 1);
    Pager {
        page_size,
        page_index: skip / page_size + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_the_middle_of_a_second_begins_among_known_tokens() {
        for skip in 1..20_000 {
            let pager = page_that_overlaps(skip);
            let offset = (pager.page_index - 1) * pager.page_size;
            assert!(offset < skip, "{skip}: {pager:?}");
            assert!(
                offset + pager.page_size > skip,
                "{skip}: {pager:?} shows nothing new"
            );
            assert!(pager.page_size <= Pager::MAX_PAGE_SIZE && pager.page_size >= 100);
        }
    }
}
