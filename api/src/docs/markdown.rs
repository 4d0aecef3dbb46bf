//! The little Markdown that the pages of problems are written in: headings, paragraphs, lists, code,
//! links. Whatever else stands in a page is shown as it is, never as HTML.

use std::fmt::{self, Write as _};

/// The page as HTML.
pub(super) fn html(text: &str) -> String {
    let mut blocks = Blocks::default();
    for line in text.lines() {
        blocks.take(line);
    }
    blocks.close();
    blocks.html
}

#[derive(Default)]
struct Blocks {
    html: String,
    open: Option<&'static str>,
    is_code: bool,
}

impl Blocks {
    fn take(&mut self, line: &str) {
        if line.starts_with("```") {
            self.close();
            self.html.push_str(if self.is_code { "</pre>" } else { "<pre>" });
            self.is_code = !self.is_code;
        } else if self.is_code {
            self.html.push_str(&escaped(line));
            self.html.push('\n');
        } else if line.trim().is_empty() {
            self.close();
        } else if let Some((level, title)) = heading(line) {
            self.close();
            self.put(format_args!("<{level}>{}</{level}>", inline(title)));
        } else if let Some(point) = line.trim_start().strip_prefix("- ") {
            self.within("ul");
            self.put(format_args!("<li>{}</li>", inline(point)));
        } else {
            self.within("p");
            self.html.push_str(&inline(line));
            self.html.push('\n');
        }
    }

    fn put(&mut self, html: fmt::Arguments<'_>) {
        // Writing to a String doesn't fail.
        let _ = self.html.write_fmt(html);
    }

    fn within(&mut self, tag: &'static str) {
        if self.open != Some(tag) {
            self.close();
            self.put(format_args!("<{tag}>"));
            self.open = Some(tag);
        }
    }

    fn close(&mut self) {
        if let Some(tag) = self.open.take() {
            self.put(format_args!("</{tag}>"));
        }
    }
}

fn heading(line: &str) -> Option<(&'static str, &str)> {
    [("h3", "### "), ("h2", "## "), ("h1", "# ")]
        .into_iter()
        .find_map(|(level, mark)| line.strip_prefix(mark).map(|title| (level, title)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Code and links; every second part between backquotes is code.
fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(
            |(at, part)| {
                if at % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { linked(part) }
            },
        )
        .collect()
}

/// Links to other pages of problems lead there; the rest of a link's address isn't ours to follow.
fn linked(text: &str) -> String {
    let Some((before, rest)) = text.split_once('[') else { return escaped(text) };
    let link = rest.split_once("](").and_then(|(label, rest)| {
        let (address, after) = rest.split_once(')')?;
        Some((label, address, after))
    });
    let Some((label, address, after)) = link else { return escaped(text) };
    let before = escaped(before);
    let label = escaped(label);
    let page = address.strip_suffix(".md").filter(|page| !page.contains('/'));
    let link = match page {
        Some(page) => format!("<a href=\"/docs/errors/{}\">{label}</a>", escaped(page)),
        None => label,
    };
    format!("{before}{link}{}", linked(after))
}

#[cfg(test)]
mod tests {
    use super::html;

    #[test]
    fn the_little_that_pages_need_becomes_html() {
        assert_eq!(
            html("# `a`: T\n\nOne\ntwo `x<y`.\n"),
            concat!("<h1><code>a</code>: T</h1>", "<p>One\ntwo <code>x&lt;y</code>.\n</p>")
        );
        assert_eq!(html("- a\n- b"), "<ul><li>a</li><li>b</li></ul>");
        assert_eq!(html("```\n<b>\n```"), "<pre>&lt;b&gt;\n</pre>");
        assert_eq!(
            html("see [this](a-b.md)."),
            "<p>see <a href=\"/docs/errors/a-b\">this</a>.\n</p>"
        );
    }

    #[test]
    fn nothing_in_a_page_is_taken_for_html() {
        assert_eq!(html("<script>"), "<p>&lt;script&gt;\n</p>");
    }
}
