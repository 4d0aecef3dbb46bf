//! What one process says of the commands that work now.

use crate::app::{App, app, app_with};
use gdmarket_domain::Service;
use gdmarket_domain::service::PersonCommand;
use serde_json::{Value, json};

async fn capabilities(app: &App) -> Value {
    app.get("/capabilities").expect(200).await.json()
}

#[tokio::test]
async fn every_command_works_in_a_process_with_all_services() {
    let app = app().await;
    let capabilities = capabilities(&app).await;
    for service in Service::ALL {
        let here = json!({"state": "here", "since": null});
        assert_eq!(capabilities["services"][service.name()], here, "{capabilities}");
    }
    let closed = json!({"state": "closed", "until": null});
    assert_eq!(capabilities["breakers"], json!({"alarm": closed, "payment": closed}));
    let commands = capabilities["commands"].as_object().expect("commands");
    assert_eq!(commands.len(), PersonCommand::ALL.len());
    for command in PersonCommand::ALL {
        let service = command.service().name();
        let works = json!({"service": service, "now": "works", "reasons": []});
        assert_eq!(commands[command.operation()], works);
    }
}

#[tokio::test]
async fn open_breaker_is_the_reason_of_a_refusal_in_both_languages() {
    let app = app_with(&[("alarm.fail_rate", "1")]).await;
    let item = json!({"itemName": "Camera", "itemPrice": 100});
    let mut attempts = 0;
    while capabilities(&app).await["commands"]["registerItem"]["now"] == "works" {
        app.post("/items", item.clone()).refused(503, "alarm-unavailable").await;
        attempts += 1;
        assert!(attempts <= 10, "the breaker is open after ten failures");
    }
    for (language, word) in [("en", "circuit breaker"), ("ko", "회로 차단기")] {
        let call = app.get("/capabilities").header("accept-language", language);
        let answer = call.expect(200).await;
        assert_eq!(answer.header("content-language"), language);
        assert!(answer.header("vary").contains("accept-language"), "{}", answer.header("vary"));
        let capabilities = answer.json();
        let until = &capabilities["breakers"]["alarm"]["until"];
        assert!(until.is_string(), "{capabilities}");
        let register = &capabilities["commands"]["registerItem"];
        assert_eq!(register["now"], "refused", "{capabilities}");
        let reason = &register["reasons"][0];
        let expected = json!({
            "service": "alarm", "code": "breaker-open", "since": null,
            "until": until, "text": reason["text"],
        });
        assert_eq!(*reason, expected);
        let text = reason["text"].as_str().expect("a text");
        assert!(text.contains(word) && text.contains("alarm"), "{text}");
        // What follows a command comes by events, and every other command needs no alarm.
        for command in PersonCommand::ALL {
            let is_refused = command == PersonCommand::RegisterItem;
            let now = if is_refused { "refused" } else { "works" };
            assert_eq!(capabilities["commands"][command.operation()]["now"], now);
        }
    }
}
