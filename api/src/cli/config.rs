//! `gdmarket config show`: every setting, its value, and where it comes from.

use super::Console;
use super::console::Tone;
use crate::config::{Loaded, Setting, Shown};
use serde_json::{Map, Value, json};

pub(super) const EXAMPLES: &str = "\
Examples:
  gdmarket config show
  gdmarket config show --json | jq '.[\"server.listen\"]'";

pub(super) fn show(loaded: &Loaded, console: Console) {
    if console.is_json() {
        let settings: Map<String, Value> = loaded
            .shown
            .iter()
            .map(|Shown { key, value, source }| {
                ((*key).to_owned(), json!({"value": value, "source": source}))
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
        let about = console.painted(Tone::Faint, &format!("# {source}; {help}"));
        Console::result(&format!("{key:keys$} = {value:values$}  {about}"));
    }
}
