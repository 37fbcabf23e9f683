//! Documents, tables, reports.

use super::{Running, quick};
use homolog_tests::service::assert_problem;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn results_come_as_json_as_csv_and_as_a_page() {
    let running = Running::start(4, 2, &[]).await;
    let runs = json!([quick(), {"resolution": 112, "matcher": {"kind": "argmax"}}]);
    let id =
        running.take(json!({"dataset": "squares", "runs": runs, "pck": {"alphas": [0.1, 0.5], "operator": "<"}})).await;
    running.ended(&id).await;
    let path = format!("/eval/{id}/result");
    let document = running.json(&path).await;
    assert_eq!(document["settings"]["operator"], "<");
    assert_eq!(document["runs"].as_array().unwrap().len(), 2);
    assert!(document["runs"][0].get("results").is_none());
    let with = running.json(&format!("{path}?predictions=true")).await;
    let results = with["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 8);
    assert_eq!(results[0]["keypoints"].as_array().unwrap().len(), 2, "the third is not visible in the target");

    let csv = |predictions: bool| {
        let request = running.service.client.get(format!("{}{path}?predictions={predictions}", running.service.url));
        request.header("accept", "text/csv").send()
    };
    let numbers = csv(false).await.unwrap();
    assert_eq!(numbers.headers()["content-type"], "text/csv");
    let numbers = numbers.text().await.unwrap();
    assert!(numbers.starts_with("run,group,name,pairs,points,average,alpha,pck,low,high\n"), "{numbers}");
    // 2 runs × (overall + one category) × 4 averages × 2 alphas
    assert_eq!(numbers.lines().count(), 1 + 2 * 2 * 4 * 2);
    let predictions = csv(true).await.unwrap().text().await.unwrap();
    assert_eq!(predictions.lines().count(), 1 + 2 * 8 * 2);

    let page = running.service.get(&format!("/eval/{id}/report")).await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("data:image/jpeg;base64,"), "{}", &page[..200]);

    let request = running.service.client.get(format!("{}{path}", running.service.url)).header("accept", "image/png");
    assert_problem(request.send().await.unwrap(), 406, "not-acceptable", Some("accept")).await;
    assert_problem(running.service.get(&format!("{path}?predictions=2")).await, 422, "invalid-request", Some("query"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_are_kept_when_the_dataset_changes_and_the_page_says_that_it_has() {
    let running = Running::start(3, 1, &[]).await;
    let id = running.take(json!({"dataset": "squares", "runs": [quick()]})).await;
    running.ended(&id).await;
    let path = format!("/eval/{id}/result");
    let before = running.service.get(&path).await.text().await.unwrap();
    let data = running._folder.path().join("data");
    homolog_tests::pairs::write(&data, 4, 1);
    assert_eq!(running.service.get(&path).await.text().await.unwrap(), before);
    assert_problem(running.service.get(&format!("/eval/{id}/report")).await, 422, "unusable-dataset", Some("dataset"))
        .await;
}
