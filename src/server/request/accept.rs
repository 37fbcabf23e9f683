//! Which of the types that we can send the caller would rather have (RFC 9110 §12.5.1).

use axum::http::{HeaderMap, header};

use super::essence;

/// The first of `offered` that `Accept` gives the greatest weight, and of several with that weight the one it names most
/// precisely; without the header, the first. `None` if it accepts none of them.
pub fn preferred<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    let values = headers.get_all(header::ACCEPT).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let ranges: Vec<String> =
        values.flat_map(|value| value.split(',').map(str::to_owned).collect::<Vec<_>>()).collect();
    if ranges.iter().all(|range| range.trim().is_empty()) {
        return offered.first().copied();
    }
    let mut best = None;
    for &media in offered {
        // the most precise range that covers the type tells its weight, not the heaviest
        let covering = ranges.iter().filter_map(|range| Some((precision(&essence(range), media)?, quality(range))));
        let Some((precision, weight)) = covering.max_by_key(|&(precision, _)| precision) else { continue };
        if weight > 0.0 && best.is_none_or(|(_, least)| (weight, precision) > least) {
            best = Some((media, (weight, precision)));
        }
    }
    best.map(|(media, _)| media)
}

/// How precisely a range covers a type: 2 by its name, 1 by its first half, 0 by `*/*`.
fn precision(range: &str, media: &str) -> Option<u8> {
    let whole = range.strip_suffix("/*");
    match whole {
        Some("*") => Some(0),
        Some(kind) => media.strip_prefix(kind)?.starts_with('/').then_some(1),
        None => (range == media).then_some(2),
    }
}

/// The weight of a media range, 1 when it has none.
fn quality(range: &str) -> f32 {
    let mut parameters = range.split(';').skip(1);
    let weight = parameters.find_map(|parameter| parameter.trim().strip_prefix("q="));
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    const OFFERED: [&str; 2] = ["application/json", "image/png"];

    fn of(accept: &[&str]) -> Option<&'static str> {
        let values = accept.iter().map(|value| (header::ACCEPT, value.parse().expect("a header")));
        preferred(&values.collect(), &OFFERED)
    }

    #[test]
    fn the_first_is_sent_unless_something_else_is_liked_better() {
        let (json, png) = (Some(OFFERED[0]), Some(OFFERED[1]));
        assert_eq!(of(&[]), json);
        assert_eq!(of(&[""]), json);
        assert_eq!(of(&["*/*"]), json);
        assert_eq!(of(&["image/png"]), png);
        assert_eq!(of(&["Image/*"]), png);
        assert_eq!(of(&["application/json, image/png"]), json);
        assert_eq!(of(&["image/png, */*"]), png);
        assert_eq!(of(&["image/png;q=0.5, application/json; q=0.4"]), png);
        assert_eq!(of(&["text/html", "image/png"]), png);
        assert_eq!(of(&["*/*, application/json;q=0"]), png);
    }

    #[test]
    fn nothing_is_sent_to_one_who_wants_none_of_it() {
        for accept in ["text/html", "image/webp", "image", "application/jso", "image/png;q=0", "image/png;q=much"] {
            assert_eq!(of(&[accept]), None, "{accept}");
        }
    }
}
