//! `homolog health`, as a container engine calls it: the exit status and one sentence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_tests::{
    files::{Files, Reply},
    root,
    service::{Service, binary},
};
use std::{
    net::TcpListener,
    process::{Command, Output},
};

/// Asks as a container engine does: nothing but the environment says where.
fn health(listen: &str) -> Output {
    command().env("HOMOLOG_LISTEN", listen).output().unwrap()
}

fn command() -> Command {
    let mut command = Command::new(binary());
    command.arg("health").current_dir(root());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOMOLOG_")) {
        command.env_remove(name);
    }
    command
}

/// Requires exit status 1 and one line on standard error, and gives it.
fn complaint(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn port(url: &str) -> &str {
    url.rsplit_once(':').unwrap().1
}

#[tokio::test]
async fn a_ready_service_is_healthy_and_one_on_every_address_is_asked_on_loopback() {
    let service = Service::start(&[]).await;
    for address in ["127.0.0.1", "0.0.0.0", "[::]"] {
        let output = health(&format!("{address}:{}", port(&service.url)));
        assert!(output.status.success(), "{address}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, b"ready\n");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("homolog.toml");
    std::fs::write(&file, format!("listen = '0.0.0.0:{}'", port(&service.url))).unwrap();
    let output = command().env("HOMOLOG_CONFIG", &file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_service_that_is_not_ready_is_told_with_its_own_reason() {
    let problem = br#"{"status": 503, "detail": "the models are still being loaded"}"#;
    let loading = Files::serve(|_, _| Reply { status: 503, body: problem.to_vec(), headers: vec![], cut: None });
    let said = complaint(&health(loading.url.strip_prefix("http://").unwrap()));
    assert_eq!(said, "error: not ready: the models are still being loaded\n");

    let other = Files::serve(|_, _| Reply::status(404));
    let said = complaint(&health(other.url.strip_prefix("http://").unwrap()));
    assert_eq!(said, "error: not ready: it answers 404\n");
}

#[test]
fn where_nobody_listens_the_address_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = complaint(&health(&free.to_string()));
    assert!(said.contains(&format!("no answer at http://{free}/health/ready: ")), "{said}");
    let said = complaint(&health("127.0.0.1:0"));
    assert!(said.contains("listen: port 0"), "{said}");
}

#[test]
fn a_listener_that_says_nothing_is_given_up() {
    // connections are taken by the system and never answered
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = complaint(&health(&silent.local_addr().unwrap().to_string()));
    assert!(said.contains("nothing came within 3 seconds"), "{said}");
}

#[test]
fn a_program_that_is_not_homolog_is_told_from_it() {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let greeting = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // read first: closing with unread bytes would reset the connection
        let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
    });
    let said = complaint(&health(&address.to_string()));
    assert!(said.contains("does not answer as Homolog does"), "{said}");
    greeting.join().unwrap();
}
