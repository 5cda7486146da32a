//! Where HTTP ends: those that listen too long, too slowly or in too great a number, and how the server ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use whetstone::base::{EventTime, Metrics, SystemClock};
use whetstone::consume::{EmbeddedLog, Record, Topic};
use whetstone::govern::Decision;
use whetstone::serve::{ApiError, Feed, Server, serve};

use crate::api_updates::Stream;

/// A server of nothing but HTTP, all of whose records come from the test.
struct Bare {
    url: String,
    feed: Feed,
    stop: CancellationToken,
    tasks: JoinSet<std::io::Result<()>>,
    _dir: tempfile::TempDir,
}

impl Bare {
    /// One that holds `decisions` decisions, changed as the test wants it.
    async fn start(decisions: usize, change: impl FnOnce(&mut Server)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(dir.path(), Arc::new(SystemClock)).unwrap());
        let feed = Feed::holding(decisions, 10);
        let new = Server::new(log, Metrics::new().unwrap());
        let mut server = Server { feed: feed.clone(), ..new };
        change(&mut server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(serve(server, listener, stop.clone()));
        Self { url, feed, stop, tasks, _dir: dir }
    }

    fn caught_up(&self) {
        self.feed.caught_up(Topic::PromptUpdates);
        self.feed.caught_up(Topic::Decisions);
    }

    /// Has a decision made whose reason is so long.
    fn decide(&self, offset: u64, length: usize) {
        let at = EventTime::from_millis(i64::try_from(offset).unwrap());
        let (key, value, headers) = (Vec::new(), Vec::new(), Vec::new());
        let topic = Topic::Decisions;
        let record = Record { topic, partition: 0, offset, at, key, value, headers };
        let (agent, reason) = ("triage".parse().unwrap(), "x".repeat(length));
        let (decision, version) = (offset.to_string(), None);
        self.feed.decision(&record, Decision { agent, decision, version, reason, trial: None, at });
    }

    async fn listen(&self, query: &str, last: &str) -> Stream {
        Stream::at(&self.url, query, last).await
    }

    async fn ask(&self, method: Method, path: &str) -> Response {
        Client::new().request(method, format!("{}{path}", self.url)).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).await
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(test);
}

/// The decisions that come until number `last`, and before which one a gap is told.
async fn decided(stream: &mut Stream, last: u64) -> (Vec<u64>, Option<u64>) {
    let (mut told, mut gap, mut open) = (Vec::new(), None, false);
    while told.last() != Some(&last) {
        let event = stream.next().await.unwrap();
        match event.name.as_str() {
            "decision" => {
                let number = event.data["decision"].as_str().unwrap().parse().unwrap();
                assert_eq!(event.id, format!("1,d0:{number}"));
                told.push(number);
                gap = gap.or(open.then_some(number));
            }
            "gap" => {
                assert_eq!(event.data, json!({"topic": "decisions"}));
                open = true;
            }
            other => assert_eq!(other, ""),
        }
    }
    (told, gap)
}

#[test]
fn silence_is_told() {
    run(async {
        let bare = Bare::start(10, |server| server.heartbeat = Duration::from_millis(20)).await;
        // Even before there is anything to follow.
        let begun = Instant::now();
        bare.listen("?topics=agents,decisions", "").await.hears(":\n\n:\n\n").await;
        bare.caught_up();
        bare.listen("", "").await.hears(":\n\n:\n\n").await;
        assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    });
}

#[test]
fn who_missed_more_than_is_held_is_told_so_once_and_goes_on() {
    run(async {
        let bare = Bare::start(3, |_| {}).await;
        (0..6).for_each(|number| bare.decide(number, 1));
        bare.caught_up();
        let check = async |last: &str, expected: (Vec<u64>, Option<u64>)| {
            let mut stream = bare.listen("?topics=decisions", last).await;
            assert_eq!(decided(&mut stream, 5).await, expected, "{last}");
        };
        check("1,d0:0", (vec![3, 4, 5], Some(3))).await;
        check("1,d0:1", (vec![3, 4, 5], Some(3))).await;
        check("1,d0:2", (vec![3, 4, 5], None)).await;
        check("1,d0:4", (vec![5], None)).await;
        let mut new = bare.listen("?topics=decisions", "").await;
        assert_eq!(new.next().await.unwrap().id, "1,d0:5");
        bare.decide(6, 1);
        assert_eq!(decided(&mut new, 6).await, (vec![6], None), "it missed nothing");
    });
}

#[test]
fn a_slow_reader_holds_up_nobody_and_learns_what_it_missed() {
    run(async {
        let bare = Bare::start(4, |_| {}).await;
        bare.caught_up();
        let mut slow = bare.listen("?topics=decisions", "").await;
        let mut quick = bare.listen("?topics=decisions", "").await;
        for stream in [&mut slow, &mut quick] {
            stream.next().await.unwrap();
        }
        for number in 0..100 {
            bare.decide(number, 512 * 1024);
            assert_eq!(decided(&mut quick, number).await, (vec![number], None));
        }
        let (told, gap) = decided(&mut slow, 99).await;
        assert!(told.is_sorted() && told.ends_with(&[96, 97, 98, 99]), "{told:?}");
        assert!(told.len() < 90, "so much was not kept for it: {told:?}");
        assert_eq!(gap, told.iter().copied().find(|number| *number >= 96), "{told:?}");
    });
}

#[test]
fn places_of_listeners_are_few_and_free_as_soon_as_they_leave() {
    run(async {
        let bare = Bare::start(10, |server| server.listeners = Arc::new(Semaphore::new(2))).await;
        bare.caught_up();
        let first = bare.listen("", "").await;
        let _second = bare.listen("?topics=agents", "").await;
        let refused = bare.get("/api/updates").await;
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "5");
        assert_eq!(bare.get("/metrics").await.status(), 200, "others are answered");
        drop(first);
        let begun = Instant::now();
        while bare.get("/api/updates").await.status() != 200 {
            assert!(begun.elapsed() < Duration::from_secs(5), "its place is not free");
        }
    });
}

#[test]
fn requests_at_once_are_few_and_those_that_listen_are_none() {
    run(async {
        let (began, begins) = std::sync::mpsc::channel();
        let (ends, end) = std::sync::mpsc::channel::<()>();
        let end = std::sync::Mutex::new(end);
        let bare = Bare::start(10, |server| {
            server.turns = Arc::new(Semaphore::new(1));
            server.prompts = Arc::new(move |_, _| {
                began.send(()).unwrap();
                end.lock().unwrap().recv().unwrap();
                Err(ApiError::NotReady)
            });
        })
        .await;
        bare.caught_up();
        let _listens = bare.listen("", "").await;
        assert_eq!(bare.get("/metrics").await.status(), 200);
        let slow = bare.get("/api/agents/triage/prompt?unit=a");
        let others = async {
            tokio::task::spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
            let refused = bare.get("/metrics").await;
            assert_eq!(refused.status(), 503);
            assert!(refused.headers().contains_key("retry-after"));
            assert_eq!(bare.get("/healthz").await.status(), 200, "whether it lives is told");
            ends.send(()).unwrap();
        };
        let (slow, ()) = tokio::join!(slow, others);
        let said: Value = slow.json().await.unwrap();
        assert!(said["error"].as_str().unwrap().contains("restoring"), "{said}");
        assert_eq!(bare.get("/metrics").await.status(), 200);
    });
}

#[test]
fn the_server_ends_at_once_with_listeners_attached() {
    run(async {
        let mut bare = Bare::start(10, |_| {}).await;
        // One of them waits for what has not been read yet.
        let waits = bare.listen("?topics=agents,decisions", "").await;
        bare.caught_up();
        let mut streams = vec![waits, bare.listen("?topics=agents", "").await];
        for _ in 0..20 {
            streams.push(bare.listen("", "").await);
        }
        let begun = Instant::now();
        bare.stop.cancel();
        bare.tasks.join_next().await.unwrap().unwrap().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
        for stream in &mut streams {
            while let Some(event) = stream.next().await {
                assert_eq!(event.name, "", "{event:?}");
            }
        }
    });
}

#[test]
fn on_loopback_too_the_token_is_wanted_for_orders() {
    run(async {
        let bare = Bare::start(1, |server| server.token = Some(SecretString::from("open"))).await;
        assert_eq!(bare.get("/api/openapi.json").await.status(), 200, "but not for reading");
        let order = |token: &'static str| {
            let post = Client::new().post(format!("{}/api/agents/triage/pause", bare.url));
            let post = if token.is_empty() { post } else { post.bearer_auth(token) };
            post.json(&json!({})).send()
        };
        for token in ["", "ope", "Open"] {
            let refused = order(token).await.unwrap();
            assert_eq!(refused.status(), 401, "{token:?}");
            assert_eq!(refused.headers()["www-authenticate"], "Bearer");
            let said = refused.text().await.unwrap();
            assert!(said.contains("send it as `Authorization: Bearer"), "{said}");
        }
        assert_eq!(order("open").await.unwrap().status(), 503, "no agents are there");
    });
}

#[test]
fn other_methods_are_answered_with_sense() {
    run(async {
        let bare = Bare::start(10, |_| {}).await;
        for path in ["/api/openapi.json", "/metrics", "/healthz"] {
            let head = bare.ask(Method::HEAD, path).await;
            assert_eq!(head.status(), 200, "{path}");
            assert!(head.headers().contains_key("content-type"), "{path}");
            assert!(head.bytes().await.unwrap().is_empty(), "{path}");
        }
        for (path, allowed) in
            [("/api/agents", "GET,HEAD"), ("/api/traces", "POST"), ("/api/agents/a/pause", "POST")]
        {
            for method in [Method::OPTIONS, Method::PUT, Method::TRACE] {
                let refused = bare.ask(method, path).await;
                assert_eq!(refused.status(), 405, "{path}");
                assert_eq!(refused.headers()["allow"], allowed, "{path}");
                assert!(!refused.headers().contains_key("access-control-allow-origin"));
            }
        }
        // Who only asks for the head of what never ends takes no place.
        let head = bare.ask(Method::HEAD, "/api/updates").await;
        assert_eq!(head.status(), 200);
    });
}

#[test]
fn answers_are_packed_for_those_who_take_them_so() {
    run(async {
        let bare = Bare::start(10, |_| {}).await;
        bare.caught_up();
        // It would unpack what it gets, and say nothing of it.
        let client = Client::builder().no_gzip().build().unwrap();
        let ask = async |path: &str, encoding: &str| {
            let request = client.get(format!("{}{path}", bare.url));
            request.header("Accept-Encoding", encoding).send().await.unwrap()
        };
        let plain = ask("/api/openapi.json", "identity").await;
        assert!(!plain.headers().contains_key("content-encoding"));
        let packed = ask("/api/openapi.json", "gzip").await;
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        let (plain, packed) = (plain.bytes().await.unwrap(), packed.bytes().await.unwrap());
        assert!(packed.len() * 3 < plain.len(), "{} of {}", packed.len(), plain.len());
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut read)
            .unwrap();
        assert_eq!(read, plain);
        for path in ["/api/updates", "/api/decisions", "/metrics"] {
            let small = ask(path, "gzip").await;
            assert_eq!(small.status(), 200, "{path}");
            assert!(!small.headers().contains_key("content-encoding"), "{path}");
        }
    });
}
