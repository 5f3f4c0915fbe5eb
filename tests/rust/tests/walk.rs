//! The walk over all tokens, against lists that other people change and servers that read requests their
//! own way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use kaltura_app_token::{
    AdminSession, BoxFuture, Client, Error, ErrorKind, ListOptions, Pager, Transport,
    TransportAnswer, TransportError, TransportRequest,
};
use kaltura_e2e::{Reply, ScriptedServer, builder, sandbox};

/// No walk of these tests needs so many requests.
const ENDLESS: usize = 5_000;
const FIRST_SECOND: i64 = 1_700_000_000;

/// Repeatable chance (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

type Asked = HashMap<String, String>;
type Row = (i64, String);
/// Which of the rows in order a page shows, and how many tokens the server says that there are.
type Answer = dyn Fn(&[Row], &Asked) -> (Vec<Row>, Option<usize>) + Send + Sync;
type Disturb = dyn FnMut(&mut BTreeSet<Row>) + Send;

/// A server that keeps a list and nothing else. Rows of one second lie in the order of their ids, so a
/// new one may come to lie anywhere among them.
struct ListServer {
    rows: Mutex<BTreeSet<Row>>,
    answer: Box<Answer>,
    disturb: Mutex<Box<Disturb>>,
    requests: AtomicUsize,
}

impl fmt::Debug for ListServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListServer")
    }
}

impl ListServer {
    fn new(
        rows: impl IntoIterator<Item = Row>,
        answer: impl Fn(&[Row], &Asked) -> (Vec<Row>, Option<usize>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            rows: Mutex::new(rows.into_iter().collect()),
            answer: Box::new(answer),
            disturb: Mutex::new(Box::new(|_| {})),
            requests: AtomicUsize::new(0),
        }
    }

    /// Between any two requests, this happens to the list.
    fn disturbed_by(mut self, disturb: impl FnMut(&mut BTreeSet<Row>) + Send + 'static) -> Self {
        self.disturb = Mutex::new(Box::new(disturb));
        self
    }

    /// Walks over all of it; what came, and how the walk ended.
    async fn walk(self, options: ListOptions) -> Walked {
        let server = Arc::new(self);
        let client = Client::builder()
            .service_url("https://list.example")
            .partner_id(102)
            .ks("an-admin-session-of-the-list-server")
            .transport(Arc::clone(&server) as Arc<dyn Transport>)
            .build()
            .unwrap();
        let mut ids = Vec::new();
        let mut tokens = pin!(client.tokens(options));
        let mut error = None;
        while let Some(token) = tokens.as_mut().next().await {
            match token {
                Ok(token) => ids.push(token.id),
                Err(stopped) => {
                    error = Some(stopped);
                    break;
                }
            }
        }
        if error.is_some() {
            assert!(tokens.next().await.is_none(), "an error like this is final");
        }
        let requests = server.requests.load(Ordering::SeqCst);
        Walked {
            ids,
            error,
            requests,
        }
    }
}

struct Walked {
    ids: Vec<String>,
    error: Option<Error>,
    requests: usize,
}

impl Walked {
    /// Everything came, once, and the walk ended well.
    #[track_caller]
    fn assert_complete(&self, expected: usize) {
        assert!(self.error.is_none(), "{:?}", self.error);
        let distinct: BTreeSet<_> = self.ids.iter().collect();
        assert_eq!((self.ids.len(), distinct.len()), (expected, expected));
    }

    /// The walk ended with an error that says this, after few requests, and nothing came twice.
    #[track_caller]
    fn assert_refused(&self, says: &str) {
        let error = self
            .error
            .as_ref()
            .expect("the walk ended as if all were well");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.message().contains(says), "{error}");
        let distinct: BTreeSet<_> = self.ids.iter().collect();
        assert_eq!(distinct.len(), self.ids.len(), "something came twice");
        assert!(self.requests < 60, "{} requests", self.requests);
    }
}

impl Transport for ListServer {
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let asked: Asked = form_urlencoded::parse(request.body())
            .into_owned()
            .collect();
        let requests = self.requests.fetch_add(1, Ordering::SeqCst);
        assert!(requests < ENDLESS, "the walk has no end");
        let mut rows = self.rows.lock().unwrap();
        if requests > 0 {
            (self.disturb.lock().unwrap())(&mut rows);
        }
        let rows: Vec<Row> = rows.iter().cloned().collect();
        let (shown, count) = (self.answer)(&rows, &asked);
        let mut objects = String::new();
        for (at, (created, id)) in shown.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(objects, r#"{comma}{{"id":"{id}","createdAt":{created}}}"#);
        }
        let count = count.map_or("null".to_owned(), |count| count.to_string());
        let mut answer = TransportAnswer::new(
            200,
            format!(r#"{{"totalCount":{count},"objects":[{objects}]}}"#),
        );
        answer.content_type = Some("application/json".to_owned());
        Box::pin(std::future::ready(Ok(answer)))
    }
}

fn number(asked: &Asked, name: &str) -> Option<usize> {
    asked.get(name).map(|value| value.parse().unwrap())
}

/// The rows that pass the filters.
fn filtered(rows: &[Row], asked: &Asked) -> Vec<Row> {
    let from = number(asked, "filter[createdAtGreaterThanOrEqual]").unwrap_or(0);
    let ids = asked.get("filter[idIn]");
    rows.iter()
        .filter(|(created, _)| usize::try_from(*created).unwrap() >= from)
        .filter(|(_, id)| ids.is_none_or(|ids| ids.split(',').any(|one| one == id)))
        .cloned()
        .collect()
}

/// The page of these rows that was asked for, on pages of at most `cap`.
fn page(rows: &[Row], asked: &Asked, cap: usize) -> Vec<Row> {
    let size = number(asked, "pager[pageSize]").unwrap().min(cap);
    let before = (number(asked, "pager[pageIndex]").unwrap() - 1) * size;
    rows.iter().skip(before).take(size).cloned().collect()
}

/// A server that does everything right, with pages of at most `cap`.
fn capped(cap: usize) -> impl Fn(&[Row], &Asked) -> (Vec<Row>, Option<usize>) {
    move |rows, asked| {
        let rows = filtered(rows, asked);
        (page(&rows, asked, cap), Some(rows.len()))
    }
}

/// So many rows, each second holding so many of them.
fn rows(count: usize, per_second: usize) -> Vec<Row> {
    (0..count)
        .map(|n| {
            let second = FIRST_SECOND + i64::try_from(n / per_second).unwrap();
            (second, format!("1_{n:06}"))
        })
        .collect()
}

#[tokio::test]
async fn a_server_with_smaller_pages_is_walked_to_the_end() {
    for (cap, count, per_second) in [
        (100, 1_000, 1),
        (100, 1_000, 1_000),
        (100, 1_000, 100),
        (499, 1_500, 700),
        (3, 40, 2),
        (7, 300, 100),
        (500, 500, 500),
        (500, 1, 1),
        (500, 0, 1),
    ] {
        let server = ListServer::new(rows(count, per_second), capped(cap));
        let walked = server.walk(ListOptions::default()).await;
        walked.assert_complete(count);
    }
}

#[tokio::test]
async fn a_small_account_takes_two_requests_and_a_full_page_no_more_than_before() {
    for (count, requests) in [
        (0, 1),
        (1, 2),
        (2, 2),
        (30, 2),
        (499, 2),
        (500, 2),
        (501, 2),
        (999, 3),
    ] {
        let server = ListServer::new(rows(count, 1), capped(500));
        let walked = server.walk(ListOptions::default()).await;
        walked.assert_complete(count);
        assert_eq!(walked.requests, requests, "{count} tokens");
    }
}

#[tokio::test]
async fn a_count_that_is_too_low_or_missing_cuts_nothing_off() {
    let counts: [fn(usize) -> Option<usize>; 3] = [|_| None, |_| Some(0), Some];
    for count in counts {
        for per_second in [1, 1_000] {
            let server = ListServer::new(rows(1_000, per_second), move |rows, asked| {
                let shown = page(&filtered(rows, asked), asked, 100);
                let count = count(shown.len());
                (shown, count)
            });
            let walked = server.walk(ListOptions::default()).await;
            walked.assert_complete(1_000);
        }
    }
}

#[tokio::test]
async fn a_count_that_is_never_reached_is_an_error_and_not_the_end() {
    for (shown, counted) in [(40, 41), (0, 7), (1, 2)] {
        let server = ListServer::new(rows(shown, 10), move |rows, asked| {
            (page(&filtered(rows, asked), asked, 500), Some(counted))
        });
        let walked = server.walk(ListOptions::default()).await;
        assert_eq!(walked.ids.len(), shown);
        walked.assert_refused(&format!("the server counts {counted}"));
    }
}

#[tokio::test]
async fn a_server_that_repeats_its_first_page_ends_the_walk() {
    for per_second in [1, 2_000] {
        let server = ListServer::new(rows(2_000, per_second), |rows, _| {
            (rows.iter().take(500).cloned().collect(), Some(rows.len()))
        });
        let walked = server.walk(ListOptions::default()).await;
        assert_eq!(walked.ids.len(), 500);
        walked.assert_refused("the server");
    }
}

#[tokio::test]
async fn a_server_that_knows_no_pages_is_walked_where_the_filter_leads_on_and_refused_otherwise() {
    let first_page = |rows: &[Row], asked: &Asked| {
        let rows = filtered(rows, asked);
        let size = number(asked, "pager[pageSize]").unwrap().min(100);
        (rows.iter().take(size).cloned().collect(), Some(rows.len()))
    };
    for count in [1, 2, 3, 1_000] {
        let server = ListServer::new(rows(count, 1), first_page);
        let walked = server.walk(ListOptions::default()).await;
        walked.assert_complete(count);
    }
    let server = ListServer::new(rows(1_000, 1_000), first_page);
    let walked = server.walk(ListOptions::default()).await;
    walked.assert_refused("requests in a row brought no new token");
}

#[tokio::test]
async fn a_server_that_ignores_a_filter_or_the_order_is_named() {
    let mut of_some_ids = ListOptions::default();
    of_some_ids.filter.id_in = Some(vec!["1_001000".to_owned()]);
    let mut of_late_ones = ListOptions::default();
    of_late_ones.filter.created_at_greater_than_or_equal = Some(FIRST_SECOND + 10);
    let mut of_early_ones = ListOptions::default();
    of_early_ones.filter.created_at_less_than_or_equal = Some(FIRST_SECOND + 10);
    for (options, named) in [
        (ListOptions::default(), "createdAtGreaterThanOrEqual"),
        (of_some_ids, "the ids"),
        (of_late_ones, "createdAtGreaterThanOrEqual"),
        (of_early_ones, "createdAtLessThanOrEqual"),
    ] {
        let server = ListServer::new(rows(2_000, 3), |rows, asked| {
            (page(rows, asked, 500), Some(rows.len()))
        });
        server.walk(options).await.assert_refused(named);
    }
    let server = ListServer::new(rows(2_000, 3), |rows, asked| {
        let newest_first: Vec<Row> = filtered(rows, asked).into_iter().rev().collect();
        (page(&newest_first, asked, 500), Some(newest_first.len()))
    });
    let walked = server.walk(ListOptions::default()).await;
    walked.assert_refused("order");
}

#[tokio::test]
async fn more_than_five_hundred_ids_are_asked_for_in_parts_whatever_the_size_of_a_page() {
    for cap in [500, 100] {
        let mut options = ListOptions::default();
        options.filter.id_in = Some((0..1_203).map(|n| format!("1_{n:06}")).collect());
        let server = ListServer::new(rows(2_000, 40), move |rows, asked| {
            let ids = asked["filter[idIn]"].split(',').count();
            assert!(ids <= 500, "{ids} ids at once");
            capped(cap)(rows, asked)
        });
        server.walk(options).await.assert_complete(1_203);
    }
}

/// What the walk promises, over many lists: with pages of any size, seconds longer than a page, and
/// insertions and deletions between any two requests, every token that is there throughout comes once.
#[tokio::test]
async fn every_lasting_token_comes_once_whatever_the_server_and_the_others_do() {
    let (mut refused, mut came_and_went) = (BTreeMap::new(), 0);
    for seed in 1..=400_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let cap = match dice.below(10) {
            0 => 1 + dice.below(9),
            1..=7 => 10 + dice.below(50),
            _ => 60 + dice.below(441),
        };
        let per_second = 1 + dice.below(cap * 4);
        let lasting: BTreeSet<Row> = rows(dice.below(cap * 9), per_second)
            .into_iter()
            .map(|(second, id)| (second, format!("{id}{}", dice.below(1_000))))
            .collect();
        let passing = dice.below(cap * 3);
        let mut all = lasting.clone();
        let seconds = 1 + lasting.len() / per_second;
        let mut serial = 0;
        let mut another = move |dice: &mut Dice| {
            serial += 1;
            let second = FIRST_SECOND + i64::try_from(dice.below(seconds)).unwrap();
            (second, format!("1_{:06}_{serial}", dice.below(10_000)))
        };
        for _ in 0..passing {
            all.insert(another(&mut dice));
        }
        let lies = dice.below(4) == 0 && cap > 9;
        let kept = lasting.clone();
        let busy = dice.below(cap / 4 + 2);
        let server = ListServer::new(all, move |rows, asked| {
            let rows = filtered(rows, asked);
            let shown = page(&rows, asked, cap);
            let count = if lies { shown.len() } else { rows.len() };
            (shown, Some(count))
        })
        .disturbed_by(move |rows| {
            for _ in 0..dice.below(busy + 1) {
                rows.insert(another(&mut dice));
            }
            let gone: Vec<Row> = rows.difference(&kept).cloned().collect();
            for _ in 0..dice.below(busy + 1) {
                if !gone.is_empty() {
                    rows.remove(&gone[dice.below(gone.len())]);
                }
            }
        });
        let walked = server.walk(ListOptions::default()).await;
        let came: BTreeSet<_> = walked.ids.iter().collect();
        assert_eq!(
            came.len(),
            walked.ids.len(),
            "seed {seed}: something came twice"
        );
        if let Some(error) = walked.error {
            assert!(
                error.message().contains("does not come to its end"),
                "seed {seed}: {error}"
            );
            *refused.entry(cap).or_insert(0) += 1;
            continue;
        }
        came_and_went += came.len().abs_diff(lasting.len());
        let missed = lasting.iter().filter(|(_, id)| !came.contains(id)).count();
        assert_eq!(
            missed, 0,
            "seed {seed}: pages of {cap}, {per_second} a second"
        );
    }
    assert!(came_and_went > 1_000, "the lists lay still");
    // Pages so small cannot always be laid over one another; then the walk says that it cannot.
    assert!(refused.keys().all(|cap| *cap < 8), "{refused:?}");
}

/// A stream that nobody polls any more holds nothing that other calls of the same client wait for.
#[tokio::test]
async fn a_walk_that_was_left_in_a_select_holds_up_no_other_call() {
    let server = ScriptedServer::start(|request| {
        std::thread::sleep(Duration::from_millis(100));
        Reply::json(match request.action.as_str() {
            "session.start" => r#""djJ8-an-admin-session-of-a-scripted-server""#,
            _ => r#"{"totalCount":0,"objects":[]}"#,
        })
    });
    let client = builder(&sandbox())
        .service_url(server.service_url())
        .admin_secret("0123456789abcdef0123456789abcdef")
        .admin_session(AdminSession::Started)
        .total_timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let mut walk = pin!(client.tokens(ListOptions::default()));
    tokio::select! {
        biased;
        _ = walk.next() => panic!("nothing has come yet"),
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
    let begun = std::time::Instant::now();
    let listed = client
        .list_tokens(&ListOptions::default(), Pager::default())
        .await;
    assert!(listed.is_ok(), "{listed:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert!(walk.next().await.is_none());
}

#[tokio::test]
async fn a_page_that_shows_a_token_twice_gives_it_once() {
    let server = ListServer::new(rows(10, 10), |rows, asked| {
        let mut shown = filtered(rows, asked);
        shown.extend(shown.first().cloned());
        let count = shown.len();
        (shown, Some(count))
    });
    let walked = server.walk(ListOptions::default()).await;
    let distinct: BTreeSet<_> = walked.ids.iter().collect();
    assert_eq!((distinct.len(), walked.ids.len()), (10, 10));
}
