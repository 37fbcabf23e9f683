//! Keys, their rates, pages of other origins, and what is not told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_tests::service::{Service, assert_problem, binary};
use reqwest::header::HeaderMap;
use std::process::Command;

/// A key and the setting that admits it, by `homolog key`.
fn key(arguments: &[&str]) -> (String, String) {
    let output = Command::new(binary()).arg("key").args(arguments).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let last = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    (last("key"), last("setting"))
}

#[tokio::test]
async fn with_keys_only_their_holders_are_answered_and_probes_need_none() {
    let (secret, setting) = key(&["annotators"]);
    assert!(!setting.contains(&secret));
    let service = Service::start(&["--api-key", &setting, "--log", "homolog=debug"]).await;
    let ask = |authorization: Option<String>| {
        let request = service.client.get(format!("{}/models", service.url));
        authorization.into_iter().fold(request, |request, value| request.header("authorization", value)).send()
    };
    for wrong in
        [None, Some("Bearer".into()), Some("Bearer no".into()), Some(format!("Basic {secret}")), Some(secret.clone())]
    {
        let answer = ask(wrong).await.unwrap();
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert_problem(answer, 401, "unauthorized", None).await;
    }
    assert_eq!(ask(Some(format!("Bearer {secret}"))).await.unwrap().status(), 200);
    assert_eq!(ask(Some(format!("bearer {secret}"))).await.unwrap().status(), 200);
    for open in ["/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs/"] {
        assert_eq!(service.get(open).await.status(), 200, "{open}");
    }
    assert_problem(service.get("/nowhere").await, 401, "unauthorized", None).await;
    service.signal_stop();
    let log = service.log_through(&["stopping"]);
    assert!(log.iter().any(|line| line.contains("annotators")));
    assert!(log.iter().all(|line| !line.contains(&secret)), "the key is in the log");
}

#[tokio::test]
async fn a_key_that_is_used_too_often_is_told_when_to_come_back() {
    let (secret, setting) = key(&["script", "--per-second", "2"]);
    let (other, other_setting) = key(&["person"]);
    let service = Service::start(&["--api-key", &setting, "--api-key", &other_setting]).await;
    let ask = |secret: &str| service.client.get(format!("{}/models", service.url)).bearer_auth(secret).send();
    let mut statuses = Vec::new();
    let refused = loop {
        let answer = ask(&secret).await.unwrap();
        statuses.push(answer.status().as_u16());
        if answer.status() == 429 {
            break answer;
        }
        assert!(statuses.len() < 100, "{statuses:?}");
    };
    assert!(statuses.len() > 2, "{statuses:?}");
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_problem(refused, 429, "rate-limited", None).await;
    assert_eq!(ask(&other).await.unwrap().status(), 200);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(ask(&secret).await.unwrap().status(), 200);
}

#[test]
fn a_key_in_clear_is_refused_and_not_repeated() {
    for wrong in ["annotators=my-secret", "my-secret", "=ab", "a=00@0", "a=00@x"] {
        let output = Command::new(binary()).args(["serve", "--api-key", wrong]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("NAME=SHA256"), "{said}");
    }
}

#[tokio::test]
async fn other_origins_may_ask_only_if_they_are_named() {
    let ask = async |flags: &[&str], origin: &str| -> HeaderMap {
        let service = Service::start(flags).await;
        let url = format!("{}/models", service.url);
        service.client.get(url).header("origin", origin).send().await.unwrap().headers().clone()
    };
    let allowed = |headers: &HeaderMap| headers.get("access-control-allow-origin").cloned();
    let (here, there) = ("https://tool.example", "https://else.example");
    assert_eq!(allowed(&ask(&[], here).await), None);
    let named = ["--cors-origin", here];
    assert_eq!(allowed(&ask(&named, here).await).unwrap(), here);
    assert_eq!(allowed(&ask(&named, there).await), None);
    let output = Command::new(binary()).args(["serve", "--cors-origin", "*"]).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("is no origin"));
}

#[tokio::test]
async fn a_browser_may_ask_whether_it_may_ask_without_a_key() {
    let (_, setting) = key(&["tool"]);
    let service = Service::start(&["--api-key", &setting, "--cors-origin", "https://tool.example"]).await;
    let request = service.client.request(reqwest::Method::OPTIONS, format!("{}/match", service.url));
    let request = request.header("origin", "https://tool.example").header("access-control-request-method", "POST");
    let answer = request.header("access-control-request-headers", "authorization").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap().to_ascii_lowercase();
    assert!(allowed.contains("authorization"), "{allowed}");
}

#[tokio::test]
async fn pages_are_told_to_load_nothing_from_elsewhere() {
    let service = Service::start(&[]).await;
    let page = service.get("/docs/").await;
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'self'"));
    assert_eq!(page.headers()["x-frame-options"], "DENY");
    let json = service.get("/models").await;
    assert_eq!(json.headers()["x-content-type-options"], "nosniff");
    assert!(json.headers().get("content-security-policy").is_none());
}
