//! The elements of a set of addresses, read straight from the bytes: a listing has a million of them.

use memchr::{memchr, memchr3};

use crate::net::{Addr, Network, Span, parse_network};
use crate::target::ReadError;

use super::document::Elements;
use super::lexer::Lexer;

/// A family's variant of [`Network`].
pub(super) trait Listed: Addr {
    fn span(network: Network) -> Option<Span<Self>>;
    fn elements(spans: Vec<Span<Self>>) -> Elements;
}

impl Listed for u32 {
    fn span(network: Network) -> Option<Span<Self>> {
        if let Network::V4(span) = network { Some(span) } else { None }
    }
    fn elements(spans: Vec<Span<Self>>) -> Elements {
        Elements::V4(spans)
    }
}

impl Listed for u128 {
    fn span(network: Network) -> Option<Span<Self>> {
        if let Network::V6(span) = network { Some(span) } else { None }
    }
    fn elements(spans: Vec<Span<Self>>) -> Elements {
        Elements::V6(spans)
    }
}

/// Reads up to the `}` that ends the list; the `{` has been read.
pub(super) fn addresses<A: Listed>(lexer: &mut Lexer<'_>) -> Result<Elements, ReadError> {
    let bytes = lexer.rest();
    // An element and what stands around it take about this many bytes.
    let list = memchr(b'}', &bytes[..bytes.len().min(1 << 20)]).unwrap_or(0);
    let mut spans: Vec<Span<A>> = Vec::with_capacity(list / 24);
    let mut strange: Option<String> = None;
    let (mut at, mut lines) = (0, 0);
    loop {
        match bytes.get(at) {
            None => {
                lexer.advance(at, lines);
                return Err(lexer.error("the listing ends inside of the elements of a set: it was cut off"));
            }
            Some(b'}') => break,
            Some(b'\n') => {
                lines += 1;
                at += 1;
            }
            Some(b',') => at += 1,
            Some(b) if b.is_ascii_whitespace() => at += 1,
            Some(_) => {
                let (span, end) = element(bytes, at);
                match span {
                    Some(span) => spans.push(span),
                    None => {
                        strange
                            .get_or_insert_with(|| String::from_utf8_lossy(&bytes[at..end.min(at + 60)]).into_owned());
                    }
                }
                at = end;
                // What is said of the element (a counter, a comment, a time) follows up to the comma.
                while !matches!(bytes.get(at), None | Some(b',' | b'}')) {
                    match bytes[at] {
                        b'"' => {
                            let close = bytes[at + 1..].iter().position(|b| *b == b'"');
                            let next = close.map_or(bytes.len(), |i| at + 1 + i + 1);
                            lines += bytes[at..next].iter().map(|b| u32::from(*b == b'\n')).sum::<u32>();
                            at = next;
                        }
                        byte => {
                            lines += u32::from(byte == b'\n');
                            at += 1;
                        }
                    }
                }
            }
        }
    }
    lexer.advance(at + 1, lines);
    Ok(match strange {
        Some(word) => Elements::Unknown(format!("the element {word}")),
        None => A::elements(spans),
    })
}

/// The element that starts here, if it is a network of the family, and where its word ends.
fn element<A: Listed>(bytes: &[u8], at: usize) -> (Option<Span<A>>, usize) {
    /// No network is longer.
    const FAR: usize = 100;
    let read = |end: usize| parse_network(&bytes[at..end]).ok().and_then(A::span);
    // What ends nearly all elements is looked for in one go, and not far.
    let near = &bytes[at..bytes.len().min(at + FAR)];
    if let Some(end) = memchr3(b',', b' ', b'\n', near).map(|i| at + i)
        && let Some(span) = read(end)
    {
        return (Some(span), end);
    }
    let end = end_of_word(bytes, at);
    (read(end), end)
}

fn end_of_word(bytes: &[u8], from: usize) -> usize {
    let stop = |b: &u8| b.is_ascii_whitespace() || matches!(b, b',' | b'}' | b'"');
    // At least one byte, so that reading goes on.
    bytes[from..].iter().position(stop).map_or(bytes.len(), |i| from + i.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Prefix, Ranges};

    fn read(text: &str) -> (Elements, u32) {
        let mut lexer = Lexer::new(text);
        let elements = addresses::<u32>(&mut lexer).unwrap();
        (elements, lexer.line())
    }

    #[test]
    fn what_is_said_of_an_element_is_passed_over() {
        let (elements, line) = read(
            " 10.0.0.1 counter packets 1 bytes 2 comment \"a, }\nb\",\n\t 10.0.1.0/24,10.0.2.0-10.0.2.9 expires 5s }",
        );
        let Elements::V4(spans) = elements else { panic!("addresses: {elements:?}") };
        assert_eq!(spans.len(), 3);
        assert_eq!(spans[1], Prefix::new(0x0a00_0100, 24).into());
        assert_eq!(Ranges::from_spans(spans).count().to_string(), "267");
        assert_eq!(line, 3);
    }

    #[test]
    fn what_is_no_address_makes_the_set_unknown_and_an_open_list_is_an_error() {
        assert!(matches!(read("10.0.0.1, office }").0, Elements::Unknown(w) if w == "the element office"));
        let error = addresses::<u32>(&mut Lexer::new("10.0.0.1,\n")).unwrap_err();
        assert_eq!(error.line, 2);
    }
}
