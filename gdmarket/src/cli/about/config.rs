//! `gdmarket config show`: every setting, its value and its source.

use crate::config::{LoadedConfig, Setting, Shown, list};
use crate::output::Console;
use crate::output::text::{Text, Tone};
use serde_json::{Map, Value, json};

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  gdmarket config show
  gdmarket config show --json | jq '.[\"server.listen\"]'";

/// The value as JSON: a number, a boolean, a list; `null` if nothing is set.
fn typed(key: &str, value: &str) -> Value {
    let default = Setting::of(key).map_or("", |setting| setting.default);
    let number = || -> Option<Value> {
        default.parse::<f64>().ok()?;
        let whole = value.parse::<u64>().ok().map(Value::from);
        whole.or_else(|| value.parse::<f64>().ok().map(Value::from))
    };
    match (default, value) {
        ("true" | "false", _) => Value::Bool(value == "true"),
        _ if matches!(key, "server.hosts" | "server.services") => json!(list(value)),
        (_, "") => Value::Null,
        _ => number().unwrap_or_else(|| json!(value)),
    }
}

pub(in crate::cli) fn show(loaded: &LoadedConfig, console: Console) {
    if console.is_json() {
        let settings: Map<String, Value> = loaded
            .shown
            .iter()
            .map(|Shown { key, value, source }| {
                ((*key).to_owned(), json!({"value": typed(key, value), "source": source}))
            })
            .collect();
        Console::result_json(&Value::Object(settings));
        return;
    }
    let width = |of: fn(&Shown) -> &str| {
        loaded.shown.iter().map(|shown| of(shown).len()).max().unwrap_or_default()
    };
    let (keys, values) = (width(|shown| shown.key), width(|shown| &shown.value));
    for Shown { key, value, source } in &loaded.shown {
        let help = Setting::of(key).map_or("", |setting| setting.help);
        let line = Text::from(format!("{key:keys$} = {value:values$}  "));
        console.print(&line.toned(Tone::Faint, format!("# {source}; {help}")));
    }
}
