//! Bodies of requests that are forms, as every route reads them. Parts are divided by `X`.

#![no_main]

use std::sync::OnceLock;

use bytes::Bytes;
use futures::executor::block_on;
use homolog::app::App;
use homolog::config::Config;
use homolog::request::{DescribeJob, EvalJob, ImageJob, MatchJob, from_form};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    static APP: OnceLock<App> = OnceLock::new();
    let app = APP.get_or_init(|| App::new(Config::default()));
    let body = Bytes::copy_from_slice(body);
    block_on(async {
        if let Ok(job) = from_form::<MatchJob>(app, body.clone(), "X").await {
            assert!(!job.targets.is_empty());
        }
        let _ = from_form::<DescribeJob>(app, body.clone(), "X").await;
        let _ = from_form::<ImageJob>(app, body.clone(), "X").await;
        let _ = from_form::<EvalJob>(app, body, "X").await;
    });
});
