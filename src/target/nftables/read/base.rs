//! What makes a chain a base chain: its type, hook, priority and devices.

use super::document::Base;
use super::lexer::Token;
use super::operand::Cursor;

/// What makes a chain a base chain: `type filter hook input priority filter - 10`.
pub(super) fn base(tokens: &[Token<'_>]) -> Base {
    let mut cursor = Cursor::new(tokens);
    let mut base = Base::default();
    while let Some(token) = cursor.next() {
        match token {
            Token::Word("type") => cursor.word().unwrap_or_default().clone_into(&mut base.kind),
            Token::Word("hook") => cursor.word().unwrap_or_default().clone_into(&mut base.hook),
            Token::Word("priority") => {
                let start = cursor.word().and_then(priority);
                let sign = if cursor.takes("-") { -1 } else { i32::from(cursor.takes("+")) };
                let offset: Option<i32> = if sign == 0 { Some(0) } else { cursor.number() };
                base.priority =
                    start.zip(offset).and_then(|(start, offset)| start.checked_add(sign.checked_mul(offset)?));
            }
            Token::Word("device") => base.devices.extend(cursor.word().map(str::to_owned)),
            Token::Word("devices") => {
                cursor.takes_sign("=");
                cursor.takes_sign("{");
                while let Some(device) = cursor.word() {
                    base.devices.push(device.to_owned());
                    cursor.takes_sign(",");
                }
            }
            _ => {}
        }
    }
    base
}

/// A priority by number or by one of the names of nft(8).
pub(super) fn priority(word: &str) -> Option<i32> {
    Some(match word {
        "raw" => -300,
        "mangle" => -150,
        "dstnat" => -100,
        "filter" => 0,
        "security" => 50,
        "srcnat" | "out" => 100,
        number => number.parse().ok()?,
    })
}
