//! Rules about the documents: a page per problem code, a row per setting and metric, links to existing files.

use std::collections::BTreeSet;
use std::fs;

use crate::{Source, check, files, root};

/// The problems of the table in api/src/problem/kind.rs: code, title in English, title in Korean.
fn problems(table: &str) -> Vec<(String, String, String)> {
    let entries = table.split_once("\nkinds! {").map_or("", |(_, entries)| entries);
    let entries = entries.split_once("\n}").map_or("", |(entries, _)| entries);
    entries
        .split(";\n")
        .filter_map(|entry| {
            let mut texts = entry.split('"').skip(1).step_by(2).map(str::to_owned);
            Some((texts.next()?, texts.next()?, texts.next()?))
        })
        .collect()
}

fn page_faults(problems: &[(String, String, String)], pages: &[Source]) -> Vec<String> {
    let page_of = |code: &str| format!("docs/errors/{code}.md");
    let mut faults = Vec::new();
    for (code, english, korean) in problems {
        match pages.iter().find(|page| page.path == page_of(code)) {
            None => faults.push(format!("{} is missing", page_of(code))),
            Some(page) if !page.text.contains(english) || !page.text.contains(korean) => {
                faults.push(format!("{} lacks the title “{english}” or “{korean}”", page.path));
            }
            Some(_) => {}
        }
    }
    let known: BTreeSet<_> = problems.iter().map(|(code, ..)| page_of(code)).collect();
    let strays = pages
        .iter()
        .filter(|page| !known.contains(&page.path) && !page.path.ends_with("/README.md"));
    faults.extend(strays.map(|page| format!("{}: no problem has this code", page.path)));
    faults
}

#[test]
fn every_problem_code_has_its_page_and_every_page_a_code() {
    let table =
        fs::read_to_string(root().join("api/src/problem/kind.rs")).expect("the table of problems");
    let problems = problems(&table);
    assert!(problems.len() > 30, "the table of problems has another form: {problems:?}");
    check(
        "docs/errors/ and api/src/problem/kind.rs differ:",
        &page_faults(&problems, &files("docs/errors", ".md")),
    );
}

#[test]
fn missing_and_stray_pages_are_found() {
    let table =
        "x\nkinds! {\n A \"a-code\" CONFLICT\n \"Title\" \"제목\"\n \"Advice.\" \"조언\";\n}\n";
    let problems = problems(table);
    assert_eq!(problems, [("a-code".to_owned(), "Title".to_owned(), "제목".to_owned())]);
    let page = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    assert!(page_faults(&problems, &[page("docs/errors/a-code.md", "Title 제목")]).is_empty());
    assert_eq!(page_faults(&problems, &[page("docs/errors/b-code.md", "Title 제목")]).len(), 2);
    assert_eq!(page_faults(&problems, &[page("docs/errors/a-code.md", "Title")]).len(), 1);
}

const DECISION_STATUSES: [&str; 2] = ["accepted", "superseded by "];

/// What decision records lack of: date, status, sections, a line in the list.
fn decision_faults(records: &[Source], list: &str) -> Vec<String> {
    let lacks = |record: &Source| -> Vec<String> {
        let status = record.text.lines().find_map(|line| line.strip_prefix("Date: 20"));
        let status = status.and_then(|line| line.split_once(". Status: "));
        let has_status = status
            .is_some_and(|(_, status)| DECISION_STATUSES.iter().any(|s| status.starts_with(s)));
        let mut lacks = Vec::new();
        if !has_status {
            lacks.push("a line `Date: YYYY-MM-DD. Status: …`".to_owned());
        }
        for section in
            ["Context", "Options", "Decision", "Price", "We would notice that it was wrong"]
        {
            if !record.text.contains(&format!("\n## {section}\n")) {
                lacks.push(format!("the section “{section}”"));
            }
        }
        let name = record.path.rsplit('/').next().unwrap_or_default();
        if !list.contains(&format!("]({name})")) {
            lacks.push("its line in docs/adr/README.md".to_owned());
        }
        lacks
    };
    let faults = |record: &Source| {
        lacks(record).into_iter().map(|what| format!("{} lacks {what}", record.path)).collect()
    };
    records.iter().flat_map(|record| -> Vec<String> { faults(record) }).collect()
}

#[test]
fn every_decision_record_has_date_status_and_all_sections() {
    let mut records = files("docs/adr", ".md");
    let list = records.iter().position(|record| record.path.ends_with("/README.md"));
    let list = records.remove(list.expect("the list of decisions")).text;
    assert!(records.len() > 20, "the decisions are not where this test looks");
    check("docs/adr/README.md describes a record:", &decision_faults(&records, &list));
    let bare = Source { path: "docs/adr/0001-x.md".to_owned(), text: "# 0001 X\n".to_owned() };
    assert_eq!(decision_faults(&[bare], "").len(), 7);
}

/// Key and default of each setting in gdmarket/src/config/settings.rs.
fn settings(table: &str) -> Vec<(String, String)> {
    let entries = table.split_once("SETTINGS: &[Setting]").map_or("", |(_, entries)| entries);
    let entries = entries.split_once("\n];").map_or("", |(entries, _)| entries);
    let texts: Vec<_> = entries.split('"').skip(1).step_by(2).collect();
    texts
        .chunks(3)
        .filter_map(|entry| Some((entry.first()?.to_string(), entry.get(1)?.to_string())))
        .collect()
}

fn undocumented(settings: &[(String, String)], readme: &str) -> Vec<String> {
    let row = |(key, default): &(String, String)| match default.as_str() {
        "" => format!("| `{key}` | – |"),
        default => format!("| `{key}` | `{default}` |"),
    };
    settings.iter().map(row).filter(|row| !readme.contains(row)).collect()
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let table = fs::read_to_string(root().join("gdmarket/src/config/settings.rs"))
        .expect("the table of settings");
    let settings = settings(&table);
    assert!(settings.len() > 20, "the table of settings has another form: {settings:?}");
    let page = fs::read_to_string(root().join("docs/configuration.md")).expect("the settings");
    check("add to the table in docs/configuration.md:", &undocumented(&settings, &page));
    assert_eq!(undocumented(&[("a.b".to_owned(), "1".to_owned())], &page), ["| `a.b` | `1` |"]);
}

/// The files of this repository that a page links to.
fn links(page: &Source) -> Vec<String> {
    let targets = page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let own = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    own.map(|target| target.split('#').next().unwrap_or(target).to_owned()).collect()
}

#[test]
fn every_link_in_the_documents_leads_to_a_file() {
    let mut pages = files("docs", ".md");
    for path in [
        "README.md",
        "README.ko.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "deploy/README.md",
        "deploy/gateway/README.md",
    ] {
        let text = fs::read_to_string(root().join(path)).expect(path);
        pages.push(Source { path: path.to_owned(), text });
    }
    let dead = |page: &Source| -> Vec<String> {
        let path = root().join(&page.path);
        let folder = path.parent().unwrap_or(&path).to_owned();
        let dead = links(page).into_iter().filter(|target| !folder.join(target).exists());
        dead.map(|target| format!("{}: {target}", page.path)).collect()
    };
    check("these links lead nowhere:", &pages.iter().flat_map(dead).collect::<Vec<_>>());
    let page =
        Source { path: "docs/x.md".to_owned(), text: "[a](b.md#c) [d](https://e)".to_owned() };
    assert_eq!(dead(&page), ["docs/x.md: b.md"]);
}

/// The headings of the runbook that a source names in a message.
fn headings_named(source: &Source) -> Vec<&str> {
    let lines = source.text.lines().filter(|line| line.contains("docs/runbook.md"));
    let quoted = lines.flat_map(|line| line.split("\\\"").skip(1).step_by(2));
    quoted.filter(|text| text.starts_with(char::is_uppercase)).collect()
}

#[test]
fn every_block_of_the_runbook_that_a_message_names_exists() {
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).expect("the runbook");
    let shipped = shipped();
    let named: Vec<_> = shipped.iter().flat_map(headings_named).collect();
    assert!(named.len() > 4, "messages name the runbook differently now: {named:?}");
    let dead = named.into_iter().filter(|name| !runbook.contains(&format!("\n## {name}\n")));
    check(
        "docs/runbook.md has no block with this heading:",
        &dead.map(str::to_owned).collect::<Vec<_>>(),
    );
}

/// The metrics that the sources record, by their literal names.
fn metrics(sources: &[Source]) -> BTreeSet<String> {
    let names = |source: &Source| -> Vec<String> {
        let texts = source.text.split('"').skip(1).step_by(2);
        texts
            .filter(|text| text.starts_with("gdmarket_") && source.text.contains("metrics::"))
            .map(str::to_owned)
            .collect()
    };
    sources.iter().flat_map(names).collect()
}

fn shipped() -> Vec<Source> {
    let folders =
        ["store/src", "commands/src", "projections/src", "app/src", "api/src", "gdmarket/src"];
    folders.iter().flat_map(|folder| files(folder, ".rs")).collect()
}

/// The help texts of all metrics.
const DESCRIPTIONS: &str = "gdmarket/src/metrics/descriptions.rs";

#[test]
fn every_metric_has_a_help_text() {
    let undescribed = |sources: Vec<Source>| -> Vec<String> {
        let (texts, others): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|source| source.path == DESCRIPTIONS);
        let described = metrics(&texts);
        metrics(&others).into_iter().filter(|name| !described.contains(name)).collect()
    };
    check(&format!("add a help text to {DESCRIPTIONS}:"), &undescribed(shipped()));
    let text = "metrics::counter!(\"gdmarket_x_total\")".to_owned();
    let source = Source { path: "store/src/x.rs".to_owned(), text };
    assert_eq!(undescribed(vec![source]), ["gdmarket_x_total"]);
}

#[test]
fn every_metric_is_in_the_runbook() {
    let shipped = shipped();
    let metrics = metrics(&shipped);
    assert!(metrics.len() > 5, "metrics are recorded in another way: {metrics:?}");
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).expect("the runbook");
    let missing: Vec<_> =
        metrics.into_iter().filter(|name| !runbook.contains(name.as_str())).collect();
    check("add to the table under “What to watch” in docs/runbook.md:", &missing);
}
