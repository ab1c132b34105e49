//! `printf`, `print` and `println`: Go's fmt.

use super::float;
use super::value::Value;

/// The value as `%v` has it.
pub fn plain(value: &Value) -> String {
    let mut text = String::new();
    Flags::default().value(value, 'v', 0, &mut text);
    text
}

/// All values, with a space between two where neither is text.
pub fn print(values: &[Value]) -> String {
    let mut text = String::new();
    let is_text = |value: &Value| matches!(value, Value::Text(_));
    for (index, value) in values.iter().enumerate() {
        if index > 0 && !is_text(value) && !is_text(&values[index - 1]) {
            text.push(' ');
        }
        text.push_str(&plain(value));
    }
    text
}

/// All values with a space between two, and a newline.
pub fn println(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(plain).collect();
    values.join(" ") + "\n"
}

/// The values by the verbs of `format`.
pub fn printf(format: &str, values: &[Value]) -> String {
    let mut printer = Printer {
        rest: format,
        values,
        next: 0,
        is_reordered: false,
        good_index: true,
        text: String::new(),
    };
    printer.run();
    printer.text
}

/// No field is wider than this.
const MAX_WIDTH: usize = 1_000_000;

struct Printer<'a> {
    rest: &'a str,
    values: &'a [Value],
    /// Which value is next.
    next: usize,
    /// Whether any verb named its value: `%[2]d`.
    is_reordered: bool,
    /// Whether this verb named one that is there.
    good_index: bool,
    text: String,
}

impl Printer<'_> {
    fn run(&mut self) {
        while let Some(begin) = self.rest.find('%') {
            self.text.push_str(&self.rest[..begin]);
            self.rest = &self.rest[begin + 1..];
            self.verb();
        }
        self.text.push_str(self.rest);
        if !self.is_reordered && self.next < self.values.len() {
            self.surplus();
        }
    }

    fn surplus(&mut self) {
        let shown = |value: &Value| match value {
            Value::Nil | Value::Missing => "<nil>".to_owned(),
            value => format!("{}={}", value.type_name(), plain(value)),
        };
        let values: Vec<String> = self.values[self.next..].iter().map(shown).collect();
        self.text
            .push_str(&format!("%!(EXTRA {})", values.join(", ")));
    }

    fn take(&mut self, letter: char) -> bool {
        match self.rest.strip_prefix(letter) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn verb(&mut self) {
        let mut flags = self.flags();
        self.good_index = true;
        let mut named = self.index();
        if self.take('*') {
            self.starred_width(&mut flags);
            named = false;
        } else {
            flags.width = self.number();
            if flags.width.is_some() && named {
                self.good_index = false;
            }
        }
        if self.take('.') {
            if named {
                self.good_index = false;
            }
            named = self.index();
            if self.take('*') {
                self.starred_precision(&mut flags);
                named = false;
            } else {
                flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !named {
            self.index();
        }
        let mut letters = self.rest.chars();
        let Some(verb) = letters.next() else {
            self.text.push_str("%!(NOVERB)");
            return;
        };
        self.rest = letters.as_str();
        match (verb, self.values.get(self.next)) {
            ('%', _) => self.text.push('%'),
            _ if !self.good_index => self.text.push_str(&format!("%!{verb}(BADINDEX)")),
            (_, None) => self.text.push_str(&format!("%!{verb}(MISSING)")),
            (_, Some(value)) => {
                self.next += 1;
                flags.argument(value, verb, &mut self.text);
            }
        }
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        loop {
            if self.take('#') {
                flags.sharp = true;
            } else if self.take('0') {
                flags.zero = !flags.minus;
            } else if self.take('+') {
                flags.plus = true;
            } else if self.take('-') {
                flags.minus = true;
                flags.zero = false;
            } else if self.take(' ') {
                flags.space = true;
            } else {
                return flags;
            }
        }
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest[..digits].parse().ok();
        let number = number.filter(|&number| number <= MAX_WIDTH);
        if number.is_some() {
            self.rest = &self.rest[digits..];
        }
        number
    }

    /// Reads `[2]`.
    fn index(&mut self) -> bool {
        let Some(inside) = self.rest.strip_prefix('[') else {
            return false;
        };
        self.is_reordered = true;
        let Some((number, rest)) = inside.split_once(']') else {
            self.good_index = false;
            self.rest = inside;
            return false;
        };
        self.rest = rest;
        match number.parse::<usize>() {
            Ok(number) if (1..=self.values.len()).contains(&number) => {
                self.next = number - 1;
                true
            }
            _ => {
                self.good_index = false;
                true
            }
        }
    }

    /// The next value, if it is a whole number that can be a width.
    fn starred(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(number) => usize::try_from(number.unsigned_abs())
                .is_ok_and(|number| number <= MAX_WIDTH)
                .then_some(*number),
            _ => None,
        }
    }

    fn starred_width(&mut self, flags: &mut Flags) {
        match self.starred() {
            Some(number) => {
                if number < 0 {
                    flags.minus = true;
                    flags.zero = false;
                }
                flags.width = usize::try_from(number.unsigned_abs()).ok();
            }
            None => self.text.push_str("%!(BADWIDTH)"),
        }
    }

    fn starred_precision(&mut self, flags: &mut Flags) {
        match self.starred() {
            Some(number) => flags.precision = usize::try_from(number).ok(),
            None => self.text.push_str("%!(BADPREC)"),
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%#v`: as in source text.
    source: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Flags {
    fn argument(mut self, value: &Value, verb: char, text: &mut String) {
        if verb == 'v' {
            self.source = std::mem::take(&mut self.sharp);
            self.plus = false;
        }
        match (verb, value) {
            ('T', _) => self.pad(&value.type_name(), text),
            ('v', Value::Nil | Value::Missing) => self.pad("<nil>", text),
            (_, Value::Nil | Value::Missing) => text.push_str(&format!("%!{verb}(<nil>)")),
            _ => self.value(value, verb, 0, text),
        }
    }

    /// Writes a value; of a list or map, each member by the same verb.
    fn value(self, value: &Value, verb: char, depth: usize, text: &mut String) {
        match value {
            Value::Missing | Value::Nil if self.source && depth > 0 => {
                text.push_str("interface {}(nil)");
            }
            Value::Missing | Value::Nil => text.push_str("<nil>"),
            Value::Bool(flag) if matches!(verb, 't' | 'v') => self.pad(&flag.to_string(), text),
            Value::Int(number) => self.integer(value, i128::from(*number), verb, text),
            Value::Uint(number) => self.integer(value, i128::from(*number), verb, text),
            Value::Float(number) => self.float(value, *number, verb, text),
            Value::Text(string) => self.string(value, string, verb, text),
            Value::Moment(moment) => self.string(value, &moment.go_text(), verb, text),
            Value::List(_) | Value::NilList => self.list(value, verb, depth, text),
            Value::Object(object) => {
                let (open, separator, close) = self.brackets(value, ["map[", " ", "]"]);
                text.push_str(&open);
                for (index, (key, member)) in object.members.iter().enumerate() {
                    if index > 0 {
                        text.push_str(separator);
                    }
                    self.value(&Value::Text(key.clone()), verb, depth + 1, text);
                    text.push(':');
                    self.value(member, verb, depth + 1, text);
                }
                text.push_str(close);
            }
            Value::Bool(_) => self.wrong(value, verb, text),
        }
    }

    fn list(self, value: &Value, verb: char, depth: usize, text: &mut String) {
        if self.source && matches!(value, Value::NilList) {
            text.push_str("[]string(nil)");
            return;
        }
        let (open, separator, close) = self.brackets(value, ["[", " ", "]"]);
        text.push_str(&open);
        for (index, item) in value.as_list().unwrap_or_default().iter().enumerate() {
            if index > 0 {
                text.push_str(separator);
            }
            self.value(item, verb, depth + 1, text);
        }
        text.push_str(close);
    }

    fn brackets(
        self,
        value: &Value,
        plain: [&'static str; 3],
    ) -> (String, &'static str, &'static str) {
        if self.source {
            return (format!("{}{{", value.type_name()), ", ", "}");
        }
        let [open, separator, close] = plain;
        (open.to_owned(), separator, close)
    }

    /// `%!d(string=a)`.
    fn wrong(self, value: &Value, verb: char, text: &mut String) {
        text.push_str(&format!("%!{verb}({}=", value.type_name()));
        self.value(value, 'v', 0, text);
        text.push(')');
    }

    fn pad(self, piece: &str, text: &mut String) {
        let missing = self
            .width
            .unwrap_or(0)
            .saturating_sub(piece.chars().count());
        let filler = if self.zero { '0' } else { ' ' };
        if !self.minus {
            text.extend(std::iter::repeat_n(filler, missing));
        }
        text.push_str(piece);
        if self.minus {
            text.extend(std::iter::repeat_n(' ', missing));
        }
    }

    fn integer(self, value: &Value, number: i128, verb: char, text: &mut String) {
        match verb {
            'v' if self.source && matches!(value, Value::Uint(_)) => {
                let sharp = Flags {
                    sharp: true,
                    ..self
                };
                sharp.digits(number, 'x', text);
            }
            'v' | 'd' => self.digits(number, 'd', text),
            'b' | 'o' | 'O' | 'x' | 'X' => self.digits(number, verb, text),
            'c' => self.pad(&letter(number).to_string(), text),
            'q' => self.pad(&quoted(&letter(number).to_string(), '\'', self.plus), text),
            'U' => self.pad(&self.code_point(number), text),
            _ => self.wrong(value, verb, text),
        }
    }

    fn digits(self, number: i128, verb: char, text: &mut String) {
        let size = number.unsigned_abs();
        let mut digits = match verb {
            'b' => format!("{size:b}"),
            'o' | 'O' => format!("{size:o}"),
            'x' => format!("{size:x}"),
            'X' => format!("{size:X}"),
            _ => size.to_string(),
        };
        let sign = match number {
            ..0 => "-",
            _ if self.plus => "+",
            _ if self.space => " ",
            _ => "",
        };
        let least = match (self.precision, self.width) {
            (Some(0), _) if number == 0 => {
                let blank = Flags {
                    zero: false,
                    ..self
                };
                return blank.pad("", text);
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if self.zero && !self.minus => width - sign.len().min(width),
            (None, _) => 0,
        };
        if digits.len() < least {
            digits.insert_str(0, &"0".repeat(least - digits.len()));
        }
        let prefix = match verb {
            'b' if self.sharp => "0b",
            'o' if self.sharp && !digits.starts_with('0') => "0",
            'x' if self.sharp => "0x",
            'X' if self.sharp => "0X",
            'O' => "0o",
            _ => "",
        };
        let unfilled = Flags {
            zero: false,
            ..self
        };
        unfilled.pad(&format!("{sign}{prefix}{digits}"), text);
    }

    fn code_point(self, number: i128) -> String {
        let digits = self.precision.unwrap_or(4).max(4);
        let code = format!("U+{:0digits$X}", number.unsigned_abs());
        match u32::try_from(number).ok().and_then(char::from_u32) {
            Some(letter) if self.sharp && is_printable(letter) => format!("{code} '{letter}'"),
            _ => code,
        }
    }

    fn float(self, value: &Value, number: f64, verb: char, text: &mut String) {
        let form = match verb {
            'v' => 'g',
            'F' => 'f',
            'e' | 'E' | 'f' | 'g' | 'G' => verb,
            _ => return self.wrong(value, verb, text),
        };
        let whole = float::text(number, form, self.precision);
        let (sign, size) = match whole.strip_prefix('-') {
            Some(size) => ("-", size),
            None if self.plus => ("+", whole.as_str()),
            None if self.space => (" ", whole.as_str()),
            None => ("", whole.as_str()),
        };
        let width = self.width.unwrap_or(0);
        if self.zero && !self.minus && width > sign.len() + size.len() {
            let zeros = "0".repeat(width - sign.len() - size.len());
            text.push_str(&format!("{sign}{zeros}{size}"));
        } else {
            self.pad(&format!("{sign}{size}"), text);
        }
    }

    fn string(self, value: &Value, string: &str, verb: char, text: &mut String) {
        let cut: String = match self.precision {
            Some(precision) => string.chars().take(precision).collect(),
            None => string.to_owned(),
        };
        match verb {
            'v' if self.source => self.pad(&quoted(&cut, '"', false), text),
            'v' | 's' => self.pad(&cut, text),
            'q' if self.sharp && can_be_raw(&cut) => self.pad(&format!("`{cut}`"), text),
            'q' => self.pad(&quoted(&cut, '"', self.plus), text),
            'x' | 'X' => self.pad(&self.hexadecimal(string, verb == 'X'), text),
            _ => self.wrong(value, verb, text),
        }
    }

    fn hexadecimal(self, string: &str, upper: bool) -> String {
        let count = self.precision.unwrap_or(string.len());
        let bytes = string.bytes().take(count);
        let bytes: Vec<String> = bytes.map(|byte| format!("{byte:02x}")).collect();
        let prefix = if self.sharp { "0x" } else { "" };
        let text = match (self.space, bytes.is_empty()) {
            (_, true) => String::new(),
            (true, false) => format!("{prefix}{}", bytes.join(&format!(" {prefix}"))),
            (false, false) => format!("{prefix}{}", bytes.concat()),
        };
        if upper { text.to_uppercase() } else { text }
    }
}

fn letter(number: i128) -> char {
    let letter = u32::try_from(number).ok().and_then(char::from_u32);
    letter.unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn is_printable(letter: char) -> bool {
    letter == ' ' || !(letter.is_control() || letter.is_whitespace() || is_private(letter))
}

fn is_private(letter: char) -> bool {
    matches!(letter, '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{200b}'..='\u{200f}')
}

/// Whether back quotes can be around it.
fn can_be_raw(text: &str) -> bool {
    text.chars()
        .all(|letter| letter == '\t' || (letter != '`' && is_printable(letter)))
}

/// In quotes, with Go's escapes.
fn quoted(text: &str, quote: char, ascii: bool) -> String {
    let mut quoted = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            _ if letter == quote => {
                quoted.push('\\');
                quoted.push(letter);
            }
            _ if is_printable(letter) && (!ascii || letter.is_ascii()) => quoted.push(letter),
            '\0'..='\u{1f}' | '\u{7f}' => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(letter)));
            }
            '\u{80}'..='\u{ffff}' => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => quoted.push_str(&format!("\\U{:08x}", u32::from(letter))),
        }
    }
    quoted.push(quote);
    quoted
}
