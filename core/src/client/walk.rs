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
    AppToken, ListOptions, Pager, ProfileFields, ResponseProfile, TokenFilter, TokenOrder,
    TokenPage,
};
use crate::transport::BoxFuture;
use crate::wire::{self, Action};

/// So many requests in a row may bring nothing new, and more the longer the second in hand is.
const BARREN_REQUESTS: usize = 16;

/// Gives one page of the list.
pub(crate) type Pages =
    Arc<dyn Fn(ListOptions, Pager) -> BoxFuture<'static, Result<TokenPage>> + Send + Sync>;

/// A walk over all tokens: see [`crate::Client::tokens`]. A stream, and by [`Tokens::next_token`] usable
/// without.
///
/// Every token that exists from the beginning of the walk to its end comes exactly once, whatever is
/// created or deleted meanwhile, and however few tokens the server puts on a page. Where that cannot be
/// had the walk ends with an error, never with fewer tokens: when the server ignores the filters or the
/// order that the walk needs, and when request after request brings nothing new although the server counts
/// more tokens than it shows or repeats what it has shown.
///
/// Each page is a call of its own, with the client's total timeout. The walk as a whole has no deadline:
/// it lasts as long as new tokens come. Put it into a timeout of the runtime's, or trigger a
/// [`crate::Cancel`], to end it earlier.
///
/// A walk that nobody waits for asks for nothing and holds up no other call of the client.
///
/// ```no_run
/// use kaltura_app_token::{Client, ListOptions, Result};
///
/// async fn ids(client: &Client) -> Result<Vec<String>> {
///     let mut ids = Vec::new();
///     let mut tokens = client.tokens(ListOptions::default());
///     while let Some(token) = tokens.next_token().await {
///         ids.push(token?.id);
///     }
///     Ok(ids)
/// }
/// ```
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
    /// After an error of a request, and after its future was dropped, the walk goes on from where it was.
    ///
    /// # Errors
    /// As for [`Tokens::fill`].
    pub async fn next_token(&mut self) -> Option<Result<AppToken>> {
        match self.fill().await {
            Err(error) => Some(Err(error)),
            Ok(_) => self.found.pop_front().map(Ok),
        }
    }

    /// Waits until tokens are at hand; `false` at the end. Nothing is lost when its future is dropped.
    ///
    /// # Errors
    /// Those of [`crate::Client::list_tokens`]; `Config` for an order or a response profile that the walk
    /// cannot use; `Decode` when the server's list cannot be walked to its end. The last two end the walk.
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

/// Somebody who waits for a page. Gone before it came, the request is cancelled, and asked anew by the
/// next one: left half-way its time would run out.
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
///
/// How many tokens the server puts on a page is its own affair. A page is the last one when it holds
/// fewer than the server has shown at once before, and the server does not count more than that.
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
    /// The most tokens that the server has put on a page so far.
    capacity: u32,
    /// Whether the server counted exactly as many tokens as it had shown by the end of the last page.
    count_agrees: bool,
    /// How many requests in a row brought nothing new.
    barren: usize,
    finished: bool,
}

impl Walk {
    fn new(pages: Pages, mut options: ListOptions) -> Self {
        if let Some(ids) = &mut options.filter.id_in {
            // A token that two requests ask for would come twice.
            let mut named = HashSet::new();
            ids.retain(|id| named.insert(folded(id)));
        }
        Self {
            pages,
            options,
            second: None,
            seen: HashSet::new(),
            skip: 0,
            capacity: 0,
            count_agrees: false,
            barren: 0,
            finished: false,
        }
    }

    /// Asks for one page; what is new on it.
    async fn step(&mut self) -> Result<Vec<AppToken>> {
        let options = self.request().inspect_err(|_| self.finished = true)?;
        let filter = options.filter.clone();
        let overlapping = page_that_overlaps(self.skip, self.capacity);
        let pager = overlapping.unwrap_or(Pager {
            page_size: 1,
            page_index: self.skip.saturating_add(1),
        });
        let page = (self.pages)(options, pager).await?;
        let fresh = match require_as_asked(&filter, &page.tokens) {
            Err(error) => Err(error),
            Ok(()) if overlapping.is_none() => self.look_behind(&page),
            Ok(()) => self.take_in(pager, page),
        };
        fresh.inspect_err(|_| self.finished = true)
    }

    /// The next request's filter and profile.
    fn request(&self) -> Result<ListOptions> {
        if self.options.filter.order_by.is_some() {
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
        // Applied to what comes: the walk itself must see every token.
        filter.hash_type_equal = None;
        filter.session_type_equal = None;
        Ok(options)
    }

    fn take_in(&mut self, pager: Pager, page: TokenPage) -> Result<Vec<AppToken>> {
        let offset = (pager.page_index - 1) * pager.page_size;
        let shown = u32::try_from(page.tokens.len()).unwrap_or(u32::MAX);
        let is_seen =
            |token: &AppToken| token.created_at == self.second && self.seen.contains(&token.id);
        if offset > 0 && !page.tokens.iter().any(is_seen) {
            self.skip = offset / 2;
            return self.nothing_new(page.total_count);
        }
        // A page that shows a token twice gives it once.
        let mut on_page = HashSet::new();
        let fresh: Vec<AppToken> = page
            .tokens
            .iter()
            .filter(|token| !is_seen(token) && on_page.insert(token.id.as_str()))
            .cloned()
            .collect();
        let end = offset.saturating_add(shown);
        let counted = page.total_count;
        let is_short = shown < pager.page_size.min(self.capacity.max(1));
        // The second look at all that there is, by a server that repeats it for every page.
        let is_everything = offset == 0
            && fresh.is_empty()
            && self.seen.len() == page.tokens.len()
            && counted == i64::from(shown);
        let is_last = (is_short && counted <= i64::from(end)) || is_everything;
        self.capacity = self.capacity.max(shown);
        self.count_agrees = counted == i64::from(end);

        let last_second = page.tokens.last().and_then(|token| token.created_at);
        let moved_on = last_second > self.second;
        if moved_on {
            self.second = last_second;
            self.seen.clear();
        }
        let of_this_second = page
            .tokens
            .into_iter()
            .filter(|token| token.created_at == self.second);
        self.seen.extend(of_this_second.map(|token| token.id));
        self.skip = if moved_on {
            u32::try_from(self.seen.len()).unwrap_or(u32::MAX)
        } else {
            end
        };
        if is_last {
            self.finished = !self.next_ids();
        } else if fresh.is_empty() {
            return self.nothing_new(counted);
        }
        self.barren = 0;
        let accepts = |token: &AppToken| self.options.filter.accepts(token);
        Ok(fresh.into_iter().filter(accepts).collect())
    }

    /// Where no page can begin among known tokens and go on behind them, there are very few, and it is
    /// asked whether one more follows.
    fn look_behind(&mut self, page: &TokenPage) -> Result<Vec<AppToken>> {
        if page.tokens.is_empty() && self.count_agrees {
            self.finished = !self.next_ids();
            return Ok(Vec::new());
        }
        self.skip = 0;
        self.nothing_new(page.total_count)
    }

    /// Going back and over known tokens again takes some requests; more say that it leads nowhere.
    fn nothing_new(&mut self, counted: i64) -> Result<Vec<AppToken>> {
        self.barren += 1;
        let passes = self.seen.len() / self.capacity.max(1) as usize;
        if self.barren <= BARREN_REQUESTS + 4 * passes {
            return Ok(Vec::new());
        }
        Err(strange(format!(
            "the list does not come to its end: {} requests in a row brought no new token, at most {} came \
             at once, and the server counts {counted}",
            self.barren, self.capacity
        )))
    }

    /// Goes on with the ids that were not asked for yet; `false`: there are none.
    fn next_ids(&mut self) -> bool {
        let Some(ids) = &mut self.options.filter.id_in else {
            return false;
        };
        ids.drain(..ids.len().min(wire::MAX_FILTER_IDS));
        (self.second, self.skip, self.barren) = (None, 0, 0);
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

fn folded(id: &str) -> String {
    id.trim().to_ascii_lowercase()
}

fn strange(message: String) -> Error {
    Error::new(ErrorKind::Decode, message).with_request(Action::TokenList.name())
}

/// The order and the bounds that the walk rests on, and the ids, must have been understood; a server that
/// ignores them would be listed without end, or cut short without a word.
fn require_as_asked(filter: &TokenFilter, tokens: &[AppToken]) -> Result<()> {
    for token in tokens {
        let missing = [
            ("id", token.id.is_empty()),
            ("createdAt", token.created_at.is_none()),
        ];
        if let Some((what, _)) = missing.into_iter().find(|(_, is_missing)| *is_missing) {
            return Err(strange(format!(
                "the server lists a token without {what}, by which the list is walked"
            )));
        }
    }
    let ids: Option<HashSet<String>> = match (&filter.id_equal, &filter.id_in) {
        (Some(id), _) => Some(HashSet::from([folded(id)])),
        (None, ids) => ids
            .as_ref()
            .map(|ids| ids.iter().map(|id| folded(id)).collect()),
    };
    let (from, until) = (
        filter.created_at_greater_than_or_equal,
        filter.created_at_less_than_or_equal,
    );
    let instants = || tokens.iter().filter_map(|token| token.created_at);
    let ignored = [
        ("the order by createdAt", !instants().is_sorted()),
        (
            "createdAtGreaterThanOrEqual",
            from.is_some_and(|from| instants().any(|created| created < from)),
        ),
        (
            "createdAtLessThanOrEqual",
            until.is_some_and(|until| instants().any(|created| created > until)),
        ),
        (
            "the ids",
            ids.is_some_and(|ids| !tokens.iter().all(|token| ids.contains(&folded(&token.id)))),
        ),
    ];
    match ignored.into_iter().find(|(_, is_ignored)| *is_ignored) {
        Some((what, _)) => Err(strange(format!(
            "the server ignores a filter: it lists tokens against {what}"
        ))),
        None => Ok(()),
    }
}

/// A page that leaves out fewer than `skip` tokens, so that at least one known token is on it, and on
/// which there is room for more than those; `capacity` is what the server is known to put on a page.
/// `None` where pages, which begin at multiples of their size, cannot lie so.
fn page_that_overlaps(skip: u32, capacity: u32) -> Option<Pager> {
    let most = capacity.min(Pager::MAX_PAGE_SIZE);
    if skip == 0 || skip < most {
        return Some(Pager::default());
    }
    // The largest size of which no page ends right at `skip`, if possible with few known tokens on it.
    let page_size = (most * 4 / 5..=most)
        .rev()
        .find(|size| *size > 1 && (2..=most / 2).contains(&(skip % size)))
        .or_else(|| (2..=most).rev().find(|size| !skip.is_multiple_of(*size)))?;
    Some(Pager {
        page_size,
        page_index: skip / page_size + 1,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_the_middle_of_a_second_begins_among_known_tokens() {
        for (capacity, deepest) in [
            (500, 20_000),
            (499, 5_000),
            (100, 5_000),
            (11, 27_719),
            (7, 419),
        ] {
            for skip in 1..=deepest {
                let pager = page_that_overlaps(skip, capacity).unwrap();
                let offset = (pager.page_index - 1) * pager.page_size;
                assert!(offset < skip, "{skip}: {pager:?}");
                assert!(
                    offset + pager.page_size.min(capacity) > skip,
                    "{skip}: {pager:?} shows nothing new"
                );
                assert!(
                    offset == 0 || pager.page_size <= capacity,
                    "{skip}: {pager:?}"
                );
            }
        }
        assert_eq!(page_that_overlaps(420, 7), None, "a multiple of every size");
        assert_eq!(page_that_overlaps(1, 1), None);
    }
}
