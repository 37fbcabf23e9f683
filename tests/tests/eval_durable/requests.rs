//! Requests beside an evaluation.

use super::Data;
use homolog_tests::{photos::New, service::form};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_before_an_evaluation_and_ahead_of_its_images() {
    let data = Data::write(1, 300, 1);
    let service = data.serve(&["--log", "homolog=debug,homolog_engine=debug", "--log-format", "json"]).await;
    let id = service.evaluate(&json!({"dataset": "squares", "runs": [{"resolution": 448}]})).await;
    service.evaluation_until(&id, |now| now["progress"]["images_done"].as_u64() > Some(0)).await;
    let mut photos = New::from(0);
    let request = json!({"points": [[1, 1]], "resolution": 448});
    for _ in 0..6 {
        let answer = service.post_form(form(&photos.next().unwrap(), &photos.next().unwrap(), &request)).await;
        assert_eq!(answer.status(), 200);
        // lines of the request have its id, those of the evaluation have none
        let lines = service.log_through(&["answered", "/match"]);
        let ended =
            |line: &str, stage: &str| line.contains("\"done\"") && line.contains(&format!("\"name\":\"{stage}\""));
        let is_request = |line: &str| line.contains("\"id\":");
        let decoded = lines.iter().position(|line| ended(line, "decode") && is_request(line)).unwrap();
        let (mut own, mut before) = (0, 0);
        for line in lines[decoded..].iter().filter(|line| ended(line, "encode") && line.contains("\"stopped\":false")) {
            if is_request(line) {
                own += 1;
            } else if own < 2 {
                before += 1;
            }
        }
        println!("{own} images of the request, {before} of the evaluation before them");
        // each of the two may find one that runs and is not stopped any more, and one that ends as it comes
        assert!(own == 2 && before <= 4, "{own} images of the request, {before} of the evaluation before them");
    }
    let now = service.evaluation(&id).await;
    assert_eq!(now["state"], "running", "{now}");
    let images = &now["progress"];
    assert!(images["images_done"].as_u64().unwrap() < 250, "a long line waits still: {images}");
    assert_eq!(service.client.delete(format!("{}/eval/{id}", service.url)).send().await.unwrap().status(), 200);
}
