//! The scenario of the demo. [`RENTAL`] declares it once, as data: `scripts/main-job` and a test of the interface run
//! the same steps.

use super::market::{DemoRequest, Expect, MarketClient};
use super::{Lang, Stop};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The announcement, the steps, and the last sentence.
const RENTAL: &str = include_str!("rental.json");
/// The renters of the demo: the highest numbers that a person can have, so that they belong to no real person.
const RENTERS: [i64; 3] = [9_007_199_254_740_989, 9_007_199_254_740_990, 9_007_199_254_740_991];
/// The name of the renters.
const RENTER_NAME: &str = "Demo Renter";

#[derive(Debug, Deserialize)]
struct Scenario {
    announcement: Sentence,
    steps: Vec<ScenarioStep>,
    end: Sentence,
}

#[derive(Debug, Deserialize)]
struct Sentence {
    en: String,
    ko: String,
}

/// A request and its expected answer. Path, body and fields may contain variables, such as `{itemNo}`.
#[derive(Debug, Deserialize)]
struct ScenarioStep {
    sentence: Sentence,
    method: String,
    path: String,
    body: Option<Value>,
    /// Whether the answer is a consequence of an earlier write, which takes a moment.
    #[serde(default)]
    awaits: bool,
    status: u16,
    /// JSON pointers and the values there.
    fields: Vec<(String, Value)>,
    /// A variable, and the pointer to the number that it gets.
    binds: Option<(String, String)>,
}

/// The values of the variables.
type Variables = Map<String, Value>;

/// Runs the scenario. The market allocates the numbers, so it runs on any market.
pub(super) async fn run(mut market: MarketClient, lang: Lang) -> Result<(), Stop> {
    let Scenario { announcement, steps, end } = scenario()?;
    let mut variables = variables();
    market.announce(&filled_text(announcement.in_lang(lang), &variables));
    for step in steps {
        let body = run_step(&mut market, &step, lang, &variables).await?;
        if let Some((variable, pointer)) = step.binds {
            let number = body.pointer(&pointer).filter(|value| value.is_i64());
            let number = number.ok_or_else(|| {
                Stop::Differs(format!("the answer has no {}", pointer.trim_start_matches('/')))
            })?;
            variables.insert(variable, number.clone());
        }
    }
    market.close(end.in_lang(lang));
    Ok(())
}

fn scenario() -> Result<Scenario, Stop> {
    serde_json::from_str(RENTAL).map_err(|error| Stop::Differs(format!("the scenario: {error}")))
}

fn variables() -> Variables {
    let [renter, second, third] = RENTERS;
    let values = [
        ("renters", json!(RENTERS.map(|renter| renter.to_string()).join(", "))),
        ("renterName", json!(RENTER_NAME)),
        ("renter", json!(renter)),
        ("secondRenter", json!(second)),
        ("thirdRenter", json!(third)),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn run_step(
    market: &mut MarketClient,
    step: &ScenarioStep,
    lang: Lang,
    variables: &Variables,
) -> Result<Value, Stop> {
    let method = step.method.parse::<Method>();
    let request = DemoRequest {
        method: method.map_err(|error| Stop::Differs(format!("the scenario: {error}")))?,
        path: filled_text(&step.path, variables),
        body: step.body.as_ref().map(|body| filled(body, variables)),
    };
    let fields: Vec<_> =
        step.fields.iter().map(|(at, is)| (at.as_str(), filled(is, variables))).collect();
    let expect = Expect { status: step.status, fields: &fields };
    let sentence = step.sentence.in_lang(lang);
    if step.awaits {
        market.await_answer(sentence, request, expect).await
    } else {
        market.send(sentence, request, expect).await
    }
}

/// The value with its variables replaced; a text that is one variable becomes its value.
fn filled(value: &Value, variables: &Variables) -> Value {
    match value {
        Value::String(text) => {
            let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let variable = name.and_then(|name| variables.get(name));
            variable.cloned().unwrap_or_else(|| Value::String(filled_text(text, variables)))
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| (name.clone(), filled(value, variables)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

fn filled_text(text: &str, variables: &Variables) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.replace(&format!("{{{name}}}"), &value)
    })
}

impl Sentence {
    fn in_lang(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Ko => &self.ko,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenario_uses_only_variables_that_are_bound() {
        let mut variables = variables();
        for step in scenario().unwrap().steps {
            let body = step.body.map(|body| filled(&body, &variables).to_string());
            let texts = [filled_text(&step.path, &variables), body.unwrap_or_default()];
            let is_variable = |text: &String| text.contains("{it") || text.contains("No}");
            assert!(!texts.iter().any(is_variable), "{texts:?}");
            assert!(step.method.parse::<Method>().is_ok(), "{}", step.method);
            variables.extend(step.binds.map(|(variable, _)| (variable, json!(1))));
        }
    }
}
