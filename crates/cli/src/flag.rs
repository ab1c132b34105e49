//! Flags as Go programs read them: `-it`, `--rm=false`, `--tail -1`, and the words for what is
//! wrong with them.

use std::any::TypeId;
use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction};

use crate::error::Error;

/// Makes every flag of `command` read as Go's pflag reads it.
pub fn like_go(command: clap::Command) -> clap::Command {
    command.mut_args(adapt)
}

/// A switch may be given a value with `=`; any other flag takes the next word, even `-1`.
fn adapt(arg: Arg) -> Arg {
    if arg.is_positional() || matches!(arg.get_action(), ArgAction::Help) {
        return arg;
    }
    if !is_switch(&arg) {
        return arg.allow_hyphen_values(true);
    }
    let off_by_default = matches!(arg.get_action(), ArgAction::SetTrue);
    let arg = arg
        .action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_parser(boolean)
        .value_name("BOOL")
        .hide_default_value(true);
    if off_by_default {
        arg.default_value("false")
    } else {
        arg
    }
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
        || arg.get_value_parser().type_id() == TypeId::of::<bool>()
}

/// Go's `strconv.ParseBool`.
pub fn boolean(text: &str) -> Result<bool, String> {
    minke_runtime_spec::option::parse_bool(text).ok_or_else(|| syntax("ParseBool", text))
}

/// Go's `strconv.ParseInt`.
pub fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| syntax("ParseInt", text))
}

/// Go's `strconv.ParseUint`.
pub fn unsigned(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| syntax("ParseUint", text))
}

/// Go's `strconv.ParseUint` of a number that has 32 bits here.
pub fn small(text: &str) -> Result<u32, String> {
    let number = unsigned(text)?;
    u32::try_from(number)
        .map_err(|_| format!("strconv.ParseUint: parsing {text:?}: value out of range"))
}

/// Go's `strconv.ParseFloat`.
pub fn float(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| syntax("ParseFloat", text))
}

fn syntax(function: &str, text: &str) -> String {
    format!("strconv.{function}: parsing {text:?}: invalid syntax")
}

/// The words Podman has for what clap found wrong with `arguments`.
pub fn refusal(error: &clap::Error, root: &clap::Command, arguments: &[OsString]) -> Error {
    let (path, command) = command_at(root, arguments);
    let text = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let wrong = text(ContextKind::InvalidArg);
    let message = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            return Error::UnknownCommand {
                name: text(ContextKind::InvalidSubcommand),
                parent: path,
            };
        }
        ErrorKind::UnknownArgument => unknown(&wrong, &path, command),
        ErrorKind::ValueValidation => {
            let value = text(ContextKind::InvalidValue);
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            let flag = spelled(&wrong, command, root);
            format!("invalid argument {value:?} for {flag} flag: {reason}")
        }
        ErrorKind::InvalidValue
        | ErrorKind::NoEquals
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues => {
            format!("flag needs an argument: {}", long_of(&wrong))
        }
        _ => first_line(error),
    };
    Error::Usage {
        message,
        command: path,
    }
}

fn unknown(wrong: &str, path: &str, command: &clap::Command) -> String {
    if wrong.starts_with("--") {
        return format!("unknown flag: {wrong}");
    }
    if let Some(letter) = wrong.strip_prefix('-') {
        return format!("unknown shorthand flag: '{letter}' in {wrong}");
    }
    if command.get_positionals().next().is_none() {
        return format!("`{path}` takes no arguments");
    }
    format!("unexpected argument {wrong:?}")
}

/// `"-m, --memory"`, from clap's `--memory <MEMORY>`.
fn spelled(wrong: &str, command: &clap::Command, root: &clap::Command) -> String {
    let long = long_of(wrong);
    let mut known = command.get_arguments().chain(root.get_arguments());
    let found = known.find(|arg| arg.get_long() == long.strip_prefix("--"));
    match found.and_then(Arg::get_short) {
        Some(short) => format!("\"-{short}, {long}\""),
        None => format!("{long:?}"),
    }
}

fn long_of(wrong: &str) -> &str {
    wrong.split([' ', '=', '[']).next().unwrap_or(wrong)
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The command that `arguments` lead to, with the words that name it.
pub fn command_at<'a>(
    root: &'a clap::Command,
    arguments: &[OsString],
) -> (String, &'a clap::Command) {
    let mut path = root.get_name().to_owned();
    let mut command = root;
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next().and_then(|word| word.to_str()) {
        if word.starts_with('-') {
            if takes_next_word(root, word) {
                words.next();
            }
            continue;
        }
        let Some(below) = command.find_subcommand(word) else {
            break;
        };
        path = format!("{path} {}", below.get_name());
        command = below;
    }
    (path, command)
}

fn takes_next_word(root: &clap::Command, word: &str) -> bool {
    let mut known = root.get_arguments();
    word.strip_prefix("--")
        .is_some_and(|long| known.any(|arg| arg.get_long() == Some(long) && !is_switch(arg)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::definition;

    fn refuse(line: &str) -> String {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let mut root = definition();
        match root.try_get_matches_from_mut(arguments.clone()) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => refusal(&error, &root, &arguments).to_string(),
        }
    }

    #[test]
    fn refusals_have_podmans_words() {
        for (line, expected) in [
            ("minke run --bogus x", "unknown flag: --bogus"),
            ("minke ps -Z", "unknown shorthand flag: 'Z' in -Z"),
            ("minke ps x", "`minke ps` takes no arguments"),
            ("minke bogus", "unrecognized command `minke bogus`"),
            (
                "minke container bogus",
                "unrecognized command `minke container bogus`",
            ),
            (
                "minke --root /x run --cpu-shares=y i",
                "invalid argument \"y\" for \"-c, --cpu-shares\" flag: strconv.ParseUint: parsing \"y\": invalid syntax",
            ),
            (
                "minke run --rm=maybe i",
                "invalid argument \"maybe\" for \"--rm\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
            (
                "minke stop -t x c",
                "invalid argument \"x\" for \"-t, --time\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            ("minke run --name", "flag needs an argument: --name"),
        ] {
            assert_eq!(refuse(line), expected, "{line}");
        }
    }

    #[test]
    fn lines_that_podman_takes_are_taken() {
        for line in [
            "minke run -it --rm image -c x",
            "minke run -itd --rm=false --name=a -e A=b -e C image --rm --bogus",
            "minke run --entrypoint sh image -c exit",
            "minke run --memory-swap -1 --pids-limit=-1 image",
            "minke run --rm --rm image",
            "minke --root /r --runroot /s run image",
            "minke run --root /r image",
            "minke run -h name image",
            "minke logs --tail -1 c",
            "minke exec -it c ls -la",
            "minke container ls -aq",
            "minke image ls --format json",
            "minke rm -fv a b",
        ] {
            assert_eq!(refuse(line), "accepted", "{line}");
        }
    }
}
