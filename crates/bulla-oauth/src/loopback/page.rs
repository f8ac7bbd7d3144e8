//! The page that a person sees when the browser comes back. It works without scripts, and fetches
//! nothing.

/// A whole HTTP response with the page in it.
pub(super) fn response(status: &str, title: &str, text: &str) -> String {
    let mark = if status.starts_with("200") { "#1a7f4b" } else { "#b3261e" };
    let (title, text) = (escaped(title), escaped(text));
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title} - bulla</title>\n\
         <style>{STYLE} h1 {{ border-color: {mark} }}</style>\n\
         <main>\n<h1>{title}</h1>\n<p>{text}</p>\n</main>\n</html>\n"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

const STYLE: &str = "\
    :root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif } \
    main { max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem } \
    h1 { font-size: 1.5rem; border-left: .35rem solid; padding-left: .8rem } \
    p { padding-left: 1.15rem }";

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c if c.is_control() => html.push(' '),
            c => html.push(c),
        }
    }
    html
}
