//! The pages of problems, from Markdown to HTML. HTML inside a page is shown as text, never interpreted.

use pulldown_cmark::{Event, Parser, Tag, TagEnd, html};

/// The page as HTML.
pub(super) fn html(text: &str) -> String {
    let (mut page, mut is_dropped) = (String::new(), false);
    html::push_html(&mut page, Parser::new(text).map(|event| within_pages(event, &mut is_dropped)));
    page
}

/// Keeps the links to other pages of problems, and of every other link and image only the text. `is_dropped` says
/// whether the open link is one of those; links cannot contain links, so that one flag is enough.
fn within_pages<'a>(event: Event<'a>, is_dropped: &mut bool) -> Event<'a> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => nothing(),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let Some(page) = page(&dest_url) else {
                *is_dropped = true;
                return nothing();
            };
            let dest_url = format!("/docs/errors/{page}").into();
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        Event::End(TagEnd::Link) if std::mem::take(is_dropped) => nothing(),
        event => event,
    }
}

const fn nothing() -> Event<'static> {
    Event::Text(pulldown_cmark::CowStr::Borrowed(""))
}

/// The problem's code in the address of a file of the same folder.
fn page(address: &str) -> Option<&str> {
    address.strip_suffix(".md").filter(|page| !page.contains(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::html;

    #[test]
    fn markdown_becomes_html() {
        assert_eq!(
            html("# `a`: T\n\nOne\ntwo `x<y`.\n"),
            concat!("<h1><code>a</code>: T</h1>\n", "<p>One\ntwo <code>x&lt;y</code>.</p>\n")
        );
        assert_eq!(html("- a\n- b"), "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n");
        assert_eq!(html("```\n<b>\n```"), "<pre><code>&lt;b&gt;\n</code></pre>\n");
        assert_eq!(
            html("see [this](a-b.md)."),
            "<p>see <a href=\"/docs/errors/a-b\">this</a>.</p>\n"
        );
    }

    #[test]
    fn links_out_of_the_pages_leave_only_their_text() {
        assert_eq!(html("[`a`](../b.md) [c](d.md)"), {
            "<p><code>a</code> <a href=\"/docs/errors/d\">c</a></p>\n"
        });
        assert_eq!(html("[a](javascript:b.md) ![c](d.png)"), "<p>a c</p>\n");
    }

    #[test]
    fn html_in_a_page_is_shown_as_text() {
        assert_eq!(html("<script>"), "&lt;script&gt;");
        assert_eq!(html("a <b>c</b>"), "<p>a &lt;b&gt;c&lt;/b&gt;</p>\n");
    }
}
