//! From text to tokens.

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    /// Where it begins, in bytes.
    pub pos: usize,
    /// As written; of [`TokenKind::Error`], what is wrong.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Outside of actions.
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    Pipe,
    LeftParenthesis,
    RightParenthesis,
    Bool,
    /// `.Name`
    Field,
    Identifier,
    /// `$` or `$name`
    Variable,
    Number,
    /// `'a'`
    Character,
    Quoted,
    RawQuoted,
    Dot,
    Nil,
    Keyword(Keyword),
    /// Some other printable character.
    Other,
    /// Nothing follows it.
    Error,
    /// Nothing follows it.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";

/// The tokens of `text`; the last is [`TokenKind::End`] or [`TokenKind::Error`].
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        pos: 0,
        start: 0,
        parentheses: 0,
        tokens: Vec::new(),
    };
    if let Err(message) = lexer.run() {
        lexer.tokens.push(Token {
            kind: TokenKind::Error,
            pos: lexer.start,
            text: message,
        });
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    /// Where the token being read begins.
    start: usize,
    parentheses: usize,
    tokens: Vec<Token>,
}

type Lexed<T = ()> = Result<T, String>;

impl Lexer<'_> {
    fn run(&mut self) -> Lexed {
        while self.text_outside()? {
            self.inside()?;
        }
        self.start = self.pos;
        self.emit(TokenKind::End);
        Ok(())
    }

    fn rest(&self) -> &str {
        &self.text[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.pos += next.len_utf8();
        Some(next)
    }

    fn emit(&mut self, kind: TokenKind) {
        self.tokens.push(Token {
            kind,
            pos: self.start,
            text: self.text[self.start..self.pos].to_owned(),
        });
        self.start = self.pos;
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.next();
        }
        self.start = self.pos;
    }

    /// Reads up to the next action and into it; false if there is none.
    fn text_outside(&mut self) -> Lexed<bool> {
        loop {
            let rest = self.rest();
            let Some(length) = rest.find(LEFT) else {
                self.push_text(self.text.len(), self.text.len());
                return Ok(false);
            };
            let begin = self.pos + length;
            let inside = &self.text[begin + LEFT.len()..];
            let trims = inside.starts_with('-') && inside[1..].starts_with(is_space);
            let kept = if trims {
                let kept = self.text[self.pos..begin].trim_end_matches(is_space);
                self.pos + kept.len()
            } else {
                begin
            };
            self.push_text(kept, begin);
            let marker = if trims { 2 } else { 0 };
            if !inside[marker..].starts_with("/*") {
                self.pos = begin + LEFT.len();
                self.emit(TokenKind::LeftDelimiter);
                self.pos += marker;
                self.start = self.pos;
                self.parentheses = 0;
                return Ok(true);
            }
            self.pos = begin + LEFT.len() + marker;
            self.comment()?;
        }
    }

    /// Takes the text up to `kept`, drops the rest up to `end`.
    fn push_text(&mut self, kept: usize, end: usize) {
        self.start = self.pos;
        self.pos = kept;
        if kept > self.start {
            self.emit(TokenKind::Text);
        }
        self.pos = end;
        self.start = end;
    }

    fn comment(&mut self) -> Lexed {
        let Some(length) = self.rest().find("*/") else {
            return Err("unclosed comment".to_owned());
        };
        self.pos += length + 2;
        match self.right_delimiter() {
            None => Err("comment ends before closing delimiter".to_owned()),
            Some(length) => {
                self.pos += length;
                if length > RIGHT.len() {
                    self.skip_spaces();
                }
                Ok(())
            }
        }
    }

    /// How long the closing delimiter here is, with its trim marker.
    fn right_delimiter(&self) -> Option<usize> {
        let rest = self.rest();
        if rest.starts_with(RIGHT) {
            return Some(RIGHT.len());
        }
        let marked = rest.strip_prefix(is_space)?.strip_prefix('-')?;
        marked.starts_with(RIGHT).then_some(2 + RIGHT.len())
    }

    /// Reads an action and its closing delimiter.
    fn inside(&mut self) -> Lexed {
        loop {
            if let Some(length) = self.right_delimiter() {
                if self.parentheses > 0 {
                    return Err("unclosed left paren".to_owned());
                }
                self.start = self.pos + length - RIGHT.len();
                self.pos += length;
                self.emit(TokenKind::RightDelimiter);
                if length > RIGHT.len() {
                    self.skip_spaces();
                }
                return Ok(());
            }
            self.token()?;
        }
    }

    fn token(&mut self) -> Lexed {
        let Some(first) = self.next() else {
            return Err("unclosed action".to_owned());
        };
        match first {
            _ if is_space(first) => self.spaces(),
            '=' => self.emit(TokenKind::Assign),
            ':' => match self.next() {
                Some('=') => self.emit(TokenKind::Declare),
                _ => return Err("expected :=".to_owned()),
            },
            '|' => self.emit(TokenKind::Pipe),
            '"' => self.quoted('"', TokenKind::Quoted, "quoted string")?,
            '\'' => self.quoted('\'', TokenKind::Character, "character constant")?,
            '`' => self.raw()?,
            '$' => self.name(TokenKind::Variable, TokenKind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.name(TokenKind::Dot, TokenKind::Field)?;
            }
            '.' | '+' | '-' | '0'..='9' => self.number()?,
            _ if is_word(first) => self.word()?,
            '(' => {
                self.parentheses += 1;
                self.emit(TokenKind::LeftParenthesis);
            }
            ')' => {
                let Some(parentheses) = self.parentheses.checked_sub(1) else {
                    return Err("unexpected right paren".to_owned());
                };
                self.parentheses = parentheses;
                self.emit(TokenKind::RightParenthesis);
            }
            '\u{21}'..='\u{7e}' => self.emit(TokenKind::Other),
            other => {
                return Err(format!(
                    "unrecognized character in action: {}",
                    code_point(other)
                ));
            }
        }
        Ok(())
    }

    /// Takes spaces, but not the one of a trim marker.
    fn spaces(&mut self) {
        self.pos = self.start;
        while self.right_delimiter().is_none() && self.peek().is_some_and(is_space) {
            self.next();
        }
        if self.pos > self.start {
            self.emit(TokenKind::Space);
        }
    }

    fn quoted(&mut self, quote: char, kind: TokenKind, what: &str) -> Lexed {
        loop {
            let next = match self.next() {
                Some('\\') => self.next().filter(|&c| c != '\n').map(|_| ' '),
                other => other,
            };
            match next {
                None | Some('\n') => return Err(format!("unterminated {what}")),
                Some(next) if next == quote => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn raw(&mut self) -> Lexed {
        let Some(length) = self.rest().find('`') else {
            return Err("unterminated raw quoted string".to_owned());
        };
        self.pos += length + 1;
        self.emit(TokenKind::RawQuoted);
        Ok(())
    }

    /// What begins with `.` or `$`: `alone` without letters after it.
    fn name(&mut self, alone: TokenKind, named: TokenKind) -> Lexed {
        if self.is_terminated() {
            self.emit(alone);
            return Ok(());
        }
        self.take_word()?;
        self.emit(named);
        Ok(())
    }

    fn word(&mut self) -> Lexed {
        self.take_word()?;
        let kind = match &self.text[self.start..self.pos] {
            "true" | "false" => TokenKind::Bool,
            "nil" => TokenKind::Nil,
            word => keyword(word).map_or(TokenKind::Identifier, TokenKind::Keyword),
        };
        self.emit(kind);
        Ok(())
    }

    fn take_word(&mut self) -> Lexed {
        while self.peek().is_some_and(is_word) {
            self.next();
        }
        match self.peek() {
            Some(next) if !self.is_terminated() => {
                Err(format!("bad character {}", code_point(next)))
            }
            _ => Ok(()),
        }
    }

    /// Whether a word may end here.
    fn is_terminated(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(next) => is_space(next) || self.rest().starts_with(RIGHT),
        }
    }

    fn number(&mut self) -> Lexed {
        self.pos = self.start;
        self.accept("+-");
        let (digits, exponent) = match self.rest().as_bytes() {
            [b'0', b'x' | b'X', ..] => ("0123456789abcdefABCDEF_", "pP"),
            [b'0', b'o' | b'O', ..] => ("01234567_", ""),
            [b'0', b'b' | b'B', ..] => ("01_", ""),
            _ => ("0123456789_", "eE"),
        };
        if exponent != "eE" {
            self.pos += 2;
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if !exponent.is_empty() && self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        if self.peek().is_some_and(is_word) {
            self.next();
            let text = &self.text[self.start..self.pos];
            return Err(format!("bad number syntax: {text:?}"));
        }
        self.emit(TokenKind::Number);
        Ok(())
    }

    fn accept(&mut self, letters: &str) -> bool {
        let accepted = self.peek().is_some_and(|next| letters.contains(next));
        if accepted {
            self.next();
        }
        accepted
    }

    fn accept_run(&mut self, letters: &str) {
        while self.accept(letters) {}
    }
}

fn keyword(word: &str) -> Option<Keyword> {
    Some(match word {
        "block" => Keyword::Block,
        "break" => Keyword::Break,
        "continue" => Keyword::Continue,
        "define" => Keyword::Define,
        "else" => Keyword::Else,
        "end" => Keyword::End,
        "if" => Keyword::If,
        "range" => Keyword::Range,
        "template" => Keyword::Template,
        "with" => Keyword::With,
        _ => return None,
    })
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// `U+0040 '@'`.
fn code_point(c: char) -> String {
    format!("U+{:04X} '{c}'", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let tokens = tokens(text);
        let texts: Vec<String> = tokens
            .iter()
            .map(|token| match token.kind {
                TokenKind::Error => format!("!{}", token.text),
                _ => token.text.clone(),
            })
            .collect();
        texts.join("~")
    }

    #[test]
    fn texts_are_cut() {
        for (text, expected) in [
            ("", ""),
            ("a", "a~"),
            ("a{{.B}}c", "a~{{~.B~}}~c~"),
            ("a {{- .B -}} c", "a~{{~.B~}}~c~"),
            ("{{-3}}", "{{~-3~}}~"),
            ("{{- 3}}", "{{~3~}}~"),
            ("a{{/* x */}}b", "a~b~"),
            ("a {{- /* x */ -}} b", "a~b~"),
            ("{{$x := .A.B}}", "{{~$x~ ~:=~ ~.A~.B~}}~"),
            ("{{f (g 1)|h}}", "{{~f~ ~(~g~ ~1~)~|~h~}}~"),
            ("{{\"a\\\"}}\"}}", "{{~\"a\\\"}}\"~}}~"),
            ("{{0x1F 1.5e+3 .5}}", "{{~0x1F~ ~1.5e+3~ ~.5~}}~"),
            ("{{", "{{~!unclosed action"),
            ("{{/* x }}", "!unclosed comment"),
            ("{{(1}}", "{{~(~1~!unclosed left paren"),
            ("{{1)}}", "{{~1~!unexpected right paren"),
            ("{{\"a", "{{~!unterminated quoted string"),
            ("{{'a", "{{~!unterminated character constant"),
            ("{{`a", "{{~!unterminated raw quoted string"),
            ("{{1x}}", "{{~!bad number syntax: \"1x\""),
            ("{{$x=1}}", "{{~!bad character U+003D '='"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
