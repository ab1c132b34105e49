//! What may come next on a command line: commands, flags, and the names of things that are there.
//!
//! The shells' scripts ask `minke __complete -- WORDS`, the last of which is what has been typed
//! of the word to complete. The answer is a candidate a line, after a tab what it is; a last line
//! `:files` lets the shell offer files as well, `:` does not.

pub mod subject; // what a word may name

use clap::{Arg, ArgAction};

use self::subject::Subject;

/// One thing that may come next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    pub text: String,
    pub help: String,
}

/// What may come next, and whether files may too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub candidates: Vec<Candidate>,
    pub files: bool,
}

/// Where a command line has got to.
struct Position<'c> {
    path: Vec<&'c str>,
    command: &'c clap::Command,
    /// The flag that the next word is the value of.
    open: Option<&'c Arg>,
    /// Words of the command that are no flags.
    words: usize,
    /// No flag may follow any more.
    only_words: bool,
}

/// Completes the last of `words`; `names` tells what there is of a subject.
pub fn answer(
    root: &clap::Command,
    words: &[String],
    names: impl Fn(Subject) -> Vec<Candidate>,
) -> Answer {
    let Some((partial, before)) = words.split_last() else {
        return Answer::default();
    };
    let position = Position::after(root, before);
    if let Some(flag) = position.open {
        return of_value(flag, partial, "", &names);
    }
    if !position.only_words && partial.starts_with('-') {
        return match partial.split_once('=') {
            Some((name, value)) => match position.flag(name) {
                Some(flag) => of_value(flag, value, &format!("{name}="), &names),
                None => Answer::default(),
            },
            None => position.flags(partial),
        };
    }
    if position.command.has_subcommands() {
        return match position.words {
            0 => position.commands(partial),
            _ => Answer::default(),
        };
    }
    match subject::of_word(&position.path, position.words) {
        Subject::Files => Answer {
            files: true,
            ..Answer::default()
        },
        subject => Answer {
            candidates: starting(names(subject), partial),
            files: false,
        },
    }
}

impl<'c> Position<'c> {
    fn after(root: &'c clap::Command, words: &[String]) -> Self {
        let mut position = Position {
            path: Vec::new(),
            command: root,
            open: None,
            words: 0,
            only_words: false,
        };
        for word in words {
            position.pass(word);
        }
        position
    }

    fn pass(&mut self, word: &str) {
        if self.open.take().is_some() {
            return;
        }
        if self.only_words {
            self.words += 1;
            return;
        }
        if word == "--" {
            self.only_words = true;
            return;
        }
        if word.starts_with('-') && word.len() > 1 {
            let is_open = !word.contains('=');
            self.open = self.flag(word).filter(|flag| is_open && takes_next(flag));
            return;
        }
        match self.command.find_subcommand(word) {
            Some(below) if self.words == 0 => {
                self.path.push(below.get_name());
                self.command = below;
            }
            _ => {
                self.words += 1;
                // What follows belongs to the container's own command.
                self.only_words = self
                    .command
                    .get_positionals()
                    .any(Arg::is_trailing_var_arg_set);
            }
        }
    }

    /// The flag that a word is, or the last of its letters.
    fn flag(&self, word: &str) -> Option<&'c Arg> {
        let word = word.split('=').next().unwrap_or(word);
        let mut all = self.command.get_arguments();
        match word.strip_prefix("--") {
            Some(long) => all.find(|arg| {
                arg.get_long() == Some(long)
                    || arg.get_all_aliases().is_some_and(|all| all.contains(&long))
            }),
            None => {
                let letter = word.chars().last()?;
                all.find(|arg| arg.get_short() == Some(letter))
            }
        }
    }

    fn flags(&self, partial: &str) -> Answer {
        let shown = self
            .command
            .get_arguments()
            .filter(|arg| !arg.is_hide_set());
        let candidates = shown
            .filter_map(|arg| {
                Some(Candidate {
                    text: format!("--{}", arg.get_long()?),
                    help: first_line(arg.get_help()),
                })
            })
            .collect();
        Answer {
            candidates: starting(candidates, partial),
            files: false,
        }
    }

    fn commands(&self, partial: &str) -> Answer {
        let shown = self
            .command
            .get_subcommands()
            .filter(|sub| !sub.is_hide_set());
        let candidates = shown
            .map(|sub| Candidate {
                text: sub.get_name().to_owned(),
                help: first_line(sub.get_about()),
            })
            .collect();
        Answer {
            candidates: starting(candidates, partial),
            files: false,
        }
    }
}

fn of_value(
    flag: &Arg,
    partial: &str,
    before: &str,
    names: &impl Fn(Subject) -> Vec<Candidate>,
) -> Answer {
    let subject = subject::of_flag(flag.get_long().unwrap_or_default());
    let mut candidates = starting(names(subject), partial);
    for candidate in &mut candidates {
        candidate.text.insert_str(0, before);
    }
    Answer {
        candidates,
        files: subject == Subject::Files,
    }
}

/// Whether the next word is its value; a switch takes one with `=` only.
fn takes_next(flag: &Arg) -> bool {
    let takes_value = matches!(flag.get_action(), ArgAction::Set | ArgAction::Append);
    takes_value
        && flag
            .get_num_args()
            .is_none_or(|count| count.min_values() > 0)
}

fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn starting(candidates: Vec<Candidate>, partial: &str) -> Vec<Candidate> {
    let mut fitting: Vec<Candidate> = candidates
        .into_iter()
        .filter(|candidate| candidate.text.starts_with(partial))
        .collect();
    fitting.sort();
    fitting.dedup();
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::definition;

    fn texts(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let names = |subject| match subject {
            Subject::Running => vec![candidate("web")],
            Subject::Containers => vec![candidate("web"), candidate("db")],
            Subject::Images => vec![candidate("busybox"), candidate("nginx")],
            Subject::Fixed(words) => words.iter().map(|word| candidate(word)).collect(),
            _ => Vec::new(),
        };
        let mut root = definition();
        root.build();
        let answer = answer(&root, &words, names);
        let texts = answer.candidates.into_iter().map(|found| found.text);
        texts
            .chain(answer.files.then(|| ":files".to_owned()))
            .collect()
    }

    fn candidate(text: &str) -> Candidate {
        Candidate {
            text: text.to_owned(),
            help: String::new(),
        }
    }

    #[test]
    fn what_comes_next_depends_on_what_was_typed() {
        for (line, expected) in [
            ("unp", "unpause"),
            ("container unp", "unpause"),
            ("stop w", "web"),
            ("stop web ", "web"),
            ("rm ", "db web"),
            ("rm --force d", "db"),
            ("rm -t ", ""),
            ("rm -t 5 d", "db"),
            ("run -it --rm b", "busybox"),
            ("run --name ", ""),
            ("run --name x n", "nginx"),
            ("run busybox ", ":files"),
            ("run busybox --", ":files"),
            ("run --pull a", "always"),
            ("run --pull=a", "--pull=always"),
            ("run --env-file ", ":files"),
            ("stop --igno", "--ignore"),
            ("stop -- ", "web"),
            ("bogus ", ""),
        ] {
            assert_eq!(texts(line).join(" "), expected, "{line}");
        }
    }
}
