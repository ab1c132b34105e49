//! What a copy shows on stderr while it runs: bars on a terminal, lines elsewhere.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use minke_engine::Progress;
use minke_engine::progress::{BlobKind, Event};

use crate::terminal;

/// Shows one copy.
#[derive(Debug)]
pub struct Show {
    state: Mutex<State>,
    how: How,
}

#[derive(Debug)]
enum How {
    Bars(MultiProgress),
    Lines,
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    /// What is said before the first event.
    announcement: Option<String>,
    started: bool,
    bars: HashMap<String, ProgressBar>,
}

impl Show {
    /// Shows a copy as this process's stderr can.
    pub fn new(quiet: bool) -> Self {
        let how = match (quiet, terminal::is_stderr()) {
            (true, _) => How::Nothing,
            (false, true) => How::Bars(MultiProgress::new()),
            (false, false) => How::Lines,
        };
        Self {
            state: Mutex::default(),
            how,
        }
    }

    /// As [`new`](Self::new), and says what is pulled once something is.
    pub fn pull_if_needed(name: &str, quiet: bool) -> Self {
        let show = Self::new(quiet);
        show.state().announcement = Some(name.to_owned());
        show
    }

    /// As [`new`](Self::new), and says at once what is pulled.
    pub fn pull(name: &str, quiet: bool) -> Self {
        let show = Self::new(quiet);
        show.say(&format!("Trying to pull {name}..."));
        show
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, line: &str) {
        // Progress that cannot be shown is no reason to stop.
        let _ = match &self.how {
            How::Bars(bars) => bars.println(line),
            How::Lines => writeln!(std::io::stderr(), "{line}"),
            How::Nothing => Ok(()),
        };
    }

    fn begin(&self, state: &mut State) {
        if std::mem::replace(&mut state.started, true) {
            return;
        }
        if let Some(name) = state.announcement.take() {
            self.say(&format!("Trying to pull {name}..."));
        }
        self.say("Getting image source signatures");
    }

    fn start(&self, state: &mut State, digest: &str, kind: BlobKind, size_bytes: u64) {
        let label = label(digest, kind);
        match &self.how {
            How::Bars(bars) => {
                let bar = bars.add(ProgressBar::new(size_bytes).with_style(style()));
                bar.set_prefix(short(&label));
                state.bars.insert(digest.to_owned(), bar);
            }
            How::Lines | How::Nothing => self.say(&label),
        }
    }
}

impl Progress for Show {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state();
        self.begin(&mut state);
        match event {
            Event::Started {
                digest,
                kind,
                size_bytes,
            } => self.start(&mut state, digest.as_str(), kind, size_bytes),
            Event::Advanced { digest, bytes } => {
                if let Some(bar) = state.bars.get(digest.as_str()) {
                    bar.inc(bytes);
                }
            }
            Event::Done { digest, .. } => {
                if let Some(bar) = state.bars.remove(digest.as_str()) {
                    bar.finish_with_message("done");
                }
            }
            Event::Skipped { digest, .. } => {
                let label = label(digest.as_str(), BlobKind::Layer);
                self.say(&match &self.how {
                    How::Bars(_) => format!("{} skipped: already exists", short(&label)),
                    How::Lines | How::Nothing => label,
                });
            }
            Event::WritingManifest => self.say("Writing manifest to image destination"),
            _ => {}
        }
    }
}

fn label(digest: &str, kind: BlobKind) -> String {
    match kind {
        BlobKind::Config => format!("Copying config {digest}"),
        BlobKind::Layer => format!("Copying blob {digest}"),
    }
}

/// The label with a digest short enough for a line with a bar.
fn short(label: &str) -> String {
    match label.split_once("sha256:") {
        Some((words, digits)) => format!("{words}{}", digits.get(..12).unwrap_or(digits)),
        None => label.to_owned(),
    }
}

fn style() -> ProgressStyle {
    let template = "{prefix} [{bar:30}] {bytes}/{total_bytes} {msg}";
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=>-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_podmans() {
        let digest = "sha256:0123456789abcdef";
        let blob = label(digest, BlobKind::Layer);
        assert_eq!(blob, "Copying blob sha256:0123456789abcdef");
        assert_eq!(short(&blob), "Copying blob 0123456789ab");
        let config = label(digest, BlobKind::Config);
        assert_eq!(config, "Copying config sha256:0123456789abcdef");
    }
}
