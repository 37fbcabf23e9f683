//! Ten times as many requests as the service can answer.

use crate::{ALONE, Memory, amount, quantile};
use homolog_tests::{
    photos::New,
    service::{Service, form},
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What each caller waits, ms.
const DEADLINE: u32 = 1000;
const TIMES: f64 = 10.0;
/// Clients that ask again as soon as they are answered, when the sustainable rate is found.
const CLIENTS: usize = 4;
/// How often memory is looked at.
const LOOKED: Duration = Duration::from_millis(100);

fn request() -> Value {
    json!({ "points": [[120, 80], [200, 95]], "resolution": 224 })
}

/// A match of two photos that were not seen before.
fn ask(service: &Service, photos: &mut New) -> RequestBuilder {
    let form = form(&photos.next().unwrap(), &photos.next().unwrap(), &request());
    service.client.post(format!("{}/match", service.url)).multipart(form)
}

/// Matches a second, when nobody asks for more than is answered; and what one takes alone, ms.
async fn sustainable(service: &Service, photos: &mut New, time: Duration) -> (f64, f64) {
    let mut alone = Vec::new();
    for _ in 0..8 {
        let begun = Instant::now();
        assert_eq!(ask(service, photos).send().await.unwrap().status(), 200);
        alone.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    let mut answered = 0;
    while begun.elapsed() < time {
        if clients.len() < CLIENTS {
            clients.spawn(ask(service, photos).send());
        } else {
            assert_eq!(clients.join_next().await.unwrap().unwrap().unwrap().status(), 200);
            answered += 1;
        }
    }
    let rate = f64::from(answered) / begun.elapsed().as_secs_f64();
    clients.join_all().await;
    (rate, quantile(&alone, 0.5))
}

/// One request's end, and how long it took, ms.
struct Answer {
    status: StatusCode,
    retry_after: bool,
    took: f64,
}

async fn answer(request: RequestBuilder) -> Answer {
    let begun = Instant::now();
    // a connection that breaks before the answer is no answer
    let response = request.send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"));
    let (status, retry_after) = (response.status(), response.headers().contains_key("retry-after"));
    response.bytes().await.unwrap_or_else(|error| panic!("half an answer: {error:?}"));
    Answer { status, retry_after, took: begun.elapsed().as_secs_f64() * 1e3 }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_sustainable_rate_is_answered_in_time_or_refused_and_nothing_else() {
    let _alone = ALONE.lock().await;
    let time = Duration::from_secs(amount("HOMOLOG_LOAD_S", 4));
    // a cache that is full early, so that memory tells of nothing else
    let service = Service::start(&["--cache-mib", "8", "--log", "warn"]).await;
    let mut photos = New::from(0);
    let (rate, alone) = sustainable(&service, &mut photos, (time / 10).max(Duration::from_secs(1))).await;

    let mut memory = Memory::default();
    let (begun, mut looked) = (Instant::now(), Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / (TIMES * rate)));
    let mut asked = JoinSet::new();
    while begun.elapsed() < time {
        ticks.tick().await;
        asked.spawn(answer(ask(&service, &mut photos).header("x-request-timeout-ms", DEADLINE)));
        if looked.elapsed() >= LOOKED {
            memory.look(&service);
            looked = Instant::now();
        }
    }
    let (sent, offered) = (asked.len(), asked.len() as f64 / begun.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(1)).await;
    // as quickly as any of them
    let afterwards = answer(ask(&service, &mut photos).header("x-request-timeout-ms", DEADLINE)).await;
    let answers = asked.join_all().await;

    let (accepted, rest): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|answer| answer.status == 200);
    let took: Vec<f64> = accepted.iter().map(|answer| answer.took).collect();
    println!("{rate:.1} matches a second are sustainable, {offered:.1} were asked for, {sent} in {time:?}");
    println!(
        "{} answered, {:.2} of what is sustainable: p50 {:.0} ms, p99 {:.0} ms, at most {:.0} ms of {DEADLINE}; {} refused: p50 {:.1} ms",
        accepted.len(),
        accepted.len() as f64 / time.as_secs_f64() / rate,
        quantile(&took, 0.5),
        quantile(&took, 0.99),
        quantile(&took, 1.0),
        rest.len(),
        quantile(&rest.iter().map(|answer| answer.took).collect::<Vec<_>>(), 0.5),
    );
    println!("memory: {}", memory.flat());
    println!("a match a second later took {:.0} ms, before {alone:.0} ms", afterwards.took);
    let others: Vec<u16> =
        rest.iter().filter(|answer| answer.status != 429).map(|answer| answer.status.as_u16()).collect();
    assert!(others.is_empty(), "neither answered nor refused: {others:?}");
    assert!(rest.iter().all(|answer| answer.retry_after));
    assert!(!accepted.is_empty() && !rest.is_empty());
    assert_eq!(afterwards.status, 200);
}
