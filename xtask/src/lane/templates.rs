//! `--format`: templates evaluated by minke and by the real podman over the same container; the
//! text and the exit code must be the same.

use anyhow::{Result, ensure};

use super::Outcome::Passed;
use super::ground::{Ground, Pair};
use super::{Outcome, cases};

cases![
    lists_are_rendered_as_by_podman,
    documents_are_rendered_as_by_podman,
    wrong_templates_are_refused_as_by_podman,
];

/// What differs for a reason: a piece of the template, and why.
const KNOWN: &[(&str, &str)] = &[
    (".State}}", "Podman 4 begins the state in ps with a capital"),
    (".State \"", "as above"),
    (
        "$.State",
        "only the beginning of the text is shown before the error",
    ),
    (
        ".Label",
        "Podman 5 has the method Label, and labels as text",
    ),
    (".Ports", "Podman 5 shows what is only exposed"),
    (".CIDFile", "Podman 5 has it"),
    (".RestartPolicy.Name", "Podman 5 says no"),
    (
        "$.Name",
        "Podman's outermost value is the list of all documents",
    ),
    (
        ".EffectiveCaps",
        "Podman 4 had three more capabilities by default",
    ),
];

/// Over `ps --all`.
const LISTS: &[&str] = &[
    "{{.Names}}",
    "{{ .Names }}",
    "{{.Names}} {{.State}}",
    "{{.Names}}{{\"\\n\"}}",
    "{{.Names}}\\t{{.Image}}",
    "table {{.Names}}",
    "table {{.Names}} {{.State}}",
    "table {{.Names}}\\t{{.State}}\\t{{.Command}}",
    "table {{.Names}}\\t{{.Labels}}",
    "table {{lower .Names}}",
    "{{.Image}}",
    "{{.Command}}",
    "{{.Pod}}|",
    "{{.PodName}}|",
    "{{.IsInfra}}",
    "{{.Exited}}",
    "{{.ExitCode}}",
    "{{.AutoRemove}}",
    "{{.Pid}}",
    "{{.Mounts}}",
    "{{.Networks}}",
    "{{.Ports}}|",
    "{{.CIDFile}}|",
    "{{.Status}}",
    "{{json .Names}}",
    "{{json .Labels}}",
    "{{json .ExitCode}}",
    "{{json .IsInfra}}",
    "{{upper .Names}}",
    "{{lower .State}}",
    "{{title .State}}",
    "{{.Names | upper}}",
    "{{.Names | upper | lower}}",
    "{{.State | title | json}}",
    "{{len .Names}}",
    "{{len .Image}}",
    "{{printf \"%s\" .Names}}",
    "{{printf \"%q\" .Names}}",
    "{{printf \"%v\" .Names}}",
    "{{printf \"%10s|\" .Names}}",
    "{{printf \"%-10s|\" .Names}}",
    "{{printf \"%.2s\" .Names}}",
    "{{printf \"%x\" .Names}}",
    "{{printf \"%d\" .ExitCode}}",
    "{{printf \"%5d|\" .ExitCode}}",
    "{{printf \"%-5d|\" .ExitCode}}",
    "{{printf \"%05d\" .ExitCode}}",
    "{{printf \"%+d\" .ExitCode}}",
    "{{printf \"%t\" .Exited}}",
    "{{printf \"%v %v\" .Names .ExitCode}}",
    "{{printf \"%%\"}}",
    "{{printf \"%s\" 1}}",
    "{{printf \"%d\" \"x\"}}",
    "{{printf \"%d\"}}",
    "{{printf \"x\" 1}}",
    "{{printf \"%6.2f\" 3.14159}}",
    "{{printf \"%e\" 1234.5}}",
    "{{printf \"%g\" 0.1}}",
    "{{printf \"%b\" 5}}",
    "{{printf \"%o\" 8}}",
    "{{printf \"%X\" 255}}",
    "{{printf \"%c\" 65}}",
    "{{printf \"%U\" 65}}",
    "{{printf \"%T\" 1}}",
    "{{printf \"%T\" \"x\"}}",
    "{{printf \"%5t|\" true}}",
    "{{printf \"%v\" nil}}",
    "{{print .Names}}",
    "{{print 1 2}}",
    "{{print \"a\" \"b\"}}",
    "{{print \"a\" 1 2 \"b\"}}",
    "{{println .Names}}",
    "{{println 1 2}}",
    "{{html \"<a&b>\"}}",
    "{{js \"it's\"}}",
    "{{urlquery \"a b&c\"}}",
    "{{if .Exited}}yes{{else}}no{{end}}",
    "{{if eq .State \"created\"}}yes{{else}}no{{end}}",
    "{{if ne .State \"created\"}}yes{{else}}no{{end}}",
    "{{if and .Names .Image}}both{{end}}",
    "{{if or .Pod .Names}}one{{end}}",
    "{{if not .Pod}}none{{end}}",
    "{{if eq .ExitCode 0}}zero{{end}}",
    "{{if gt .ExitCode 0}}more{{else if eq .ExitCode 0}}zero{{else}}less{{end}}",
    "{{if lt 1 2}}lt{{end}}{{if le 2 2}}le{{end}}{{if ge 2 2}}ge{{end}}",
    "{{if eq .State \"x\" \"y\" \"created\"}}any{{end}}",
    "{{with .Names}}{{.}}{{end}}",
    "{{with .Pod}}{{.}}{{else}}none{{end}}",
    "{{with $x := .Names}}{{$x}}{{end}}",
    "{{$x := .Names}}{{$x}}",
    "{{$x := 1}}{{$x = 2}}{{$x}}",
    "{{range $i, $e := split .Names \"-\"}}{{$i}}={{$e}} {{end}}",
    "{{range split .Names \"-\"}}[{{.}}]{{end}}",
    "{{range split \"a,b\" \",\"}}{{.}}{{else}}none{{end}}",
    "{{range split \"a,b,c\" \",\"}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}",
    "{{range split \"a,b,c\" \",\"}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}",
    "{{join (split \"a,b\" \",\") \"+\"}}",
    "{{index (split \"a,b\" \",\") 1}}",
    "{{slice .Names 1 3}}",
    "{{slice .Names 1}}",
    "{{len (split \"a,b\" \",\")}}",
    "{{truncate .Names 3}}",
    "{{pad .Names 2 3}}|",
    "{{/* nothing */}}{{.Names}}",
    "{{- .Names -}}",
    " {{- .Names -}} x",
    "{{`raw \\n`}}",
    "{{\"a\\tb\"}}",
    "{{\"\\u00e9\"}}",
    "{{'a'}}",
    "{{1}} {{-1}} {{0x10}} {{1_000}} {{0b11}} {{0o17}}",
    "{{1.5}} {{1e3}} {{.5}}",
    "{{true}} {{false}}",
    "{{eq 1 1}} {{eq \"a\" \"b\"}}",
    "{{and 1 0}} {{or 0 2}} {{not 0}}",
    "{{and true false true}}",
    "{{or \"\" \"x\"}}",
    "{{(.Names)}}",
    "{{(split .Names \"-\") | json}}",
    "{{define \"t\"}}<{{.}}>{{end}}{{template \"t\" .Names}}",
    "{{block \"b\" .Names}}({{.}}){{end}}",
    "{{.Label \"app\"}}",
    "{{.Label \"nothing\"}}|",
    "{{if .Label \"app\"}}labelled{{end}}",
    "",
    "plain text",
    "{{.ID | len}}",
    "{{len .ImageID}}",
    "{{range $k := split \"b a\" \" \"}}{{$k}}{{end}}",
    "{{len \"é\"}}",
    "{{printf \"%s|%s\" (upper \"a\") (lower \"B\")}}",
    "{{printf \"%v\" (split \"a b\" \" \")}}",
    "{{printf \"%q\" (split \"a b\" \" \")}}",
    "{{split \"a b\" \" \"}}",
    "{{eq (len .Names) 6}}",
    "{{with split \"a b\" \" \"}}{{index . 0}}{{end}}",
    "{{.Names}} {{with .Names}}{{$.State}}{{end}}",
    "{{range $i, $_ := split \"a b\" \" \"}}{{if $i}},{{end}}{{$i}}{{end}}",
    "{{if .Pod}}a{{else if .PodName}}b{{else}}c{{end}}",
    "{{printf \"%*d|\" 5 42}}",
    "{{printf \"%[2]d %[1]d\" 1 2}}",
    "{{printf \"%#x %#o %#q\" 255 8 \"a\"}}",
    "{{printf \"% d|% x\" 5 \"ab\"}}",
    "{{printf \"%+q\" \"é\"}}",
    "{{printf \"%6.3v|\" 3.14159}}",
    "{{printf \"%08.3f\" -3.14159}}",
    "{{printf \"%x\" -255}}",
    "{{printf \"%s\" true}}",
    "{{printf \"%!\"}}",
    "{{printf \"%z\" 1}}",
    "{{print nil}}",
    "{{print 1.0}} {{print 1e21}} {{print 100000000.0}}",
];

fn lists_are_rendered_as_by_podman(ground: &Ground) -> Result<Outcome> {
    let pair = Comparison::new(ground)?;
    pair.compare(
        LISTS
            .iter()
            .map(|text| vec!["ps", "--all", "--format", text]),
        true,
    )
}

/// Over `inspect`.
const DOCUMENTS: &[&str] = &[
    "{{.Name}}",
    "{{.State.Status}}",
    "{{.State.Running}} {{.State.Paused}} {{.State.Dead}} {{.State.OOMKilled}}",
    "{{.State.Pid}} {{.State.ExitCode}}",
    "{{.State.Error}}|",
    "{{json .State.Status}}",
    "{{.Path}} {{.Args}}",
    "{{json .Args}}",
    "{{range .Args}}[{{.}}]{{end}}",
    "{{index .Args 0}}",
    "{{len .Args}}",
    "{{join .Args \"+\"}}",
    "{{.Config.Labels.app}}",
    "{{index .Config.Labels \"app\"}}",
    "{{index .Config.Labels \"nothing\"}}|",
    "{{json .Config.Labels}}",
    "{{.Config.Labels}}",
    "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
    "{{len .Config.Labels}}",
    "{{.Config.Tty}} {{.Config.OpenStdin}} {{.Config.AttachStdin}}",
    "{{.Config.Hostname}}",
    "{{.Config.User}}|",
    "{{.Config.WorkingDir}}",
    "{{.Config.Cmd}}",
    "{{json .Config.Cmd}}",
    "{{.Config.StopTimeout}}",
    "{{.Config.Umask}}",
    "{{.HostConfig.NetworkMode}}",
    "{{.HostConfig.Privileged}} {{.HostConfig.AutoRemove}} {{.HostConfig.ReadonlyRootfs}}",
    "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
    "{{.HostConfig.LogConfig.Type}}",
    "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.CpuShares}}",
    "{{.HostConfig.PidsLimit}}",
    "{{printf \"%.1f\" 1.25}} {{.RestartCount}}",
    "{{.Driver}}",
    "{{.IsInfra}}",
    "{{len .Mounts}}",
    "{{range .Mounts}}{{.Destination}}{{else}}none{{end}}",
    "{{.NetworkSettings.IPAddress}}|",
    "{{len .NetworkSettings.Ports}}",
    "{{if .State.Running}}up{{else}}down{{end}}",
    "{{with .Config}}{{.Tty}} {{$.Name}}{{end}}",
    "{{.Name | upper | printf \"%s!\"}}",
    "{{.ImageName}}",
    "{{.Pod}}|",
    "{{.Rootfs}}|",
    "{{.EffectiveCaps | len}}",
    "{{.ExecIDs}}",
    "{{.Dependencies}}",
    "{{.State.StartedAt}}",
    "{{json .State.FinishedAt}}",
    "{{.State.StartedAt.IsZero}}",
    "{{.State.StartedAt.Unix}}",
    "{{.Created.IsZero}}",
];

fn documents_are_rendered_as_by_podman(ground: &Ground) -> Result<Outcome> {
    let pair = Comparison::new(ground)?;
    pair.compare(
        DOCUMENTS
            .iter()
            .map(|text| vec!["inspect", "--format", text, "vessel"]),
        true,
    )
}

/// Refused by both; the words are Go's, and each engine's own name stands in them.
const WRONG: &[&str] = &[
    "{{",
    "{{}}",
    "{{.Names",
    "{{.Names}",
    "{{if}}{{end}}",
    "{{if .Names}}",
    "{{end}}",
    "{{else}}",
    "{{range}}{{end}}",
    "{{.Bogus}}",
    "{{.Names.Bogus}}",
    "{{bogus .Names}}",
    "{{$x}}",
    "{{\"open}}",
    "{{'ab'}}",
    "{{1a}}",
    "{{.Names | }}",
    "{{| .Names}}",
    "{{index .Names}}",
    "{{len 1}}",
    "{{template \"nobody\"}}",
    "{{define \"x\"}}",
    "{{break}}",
    "{{eq 1 \"a\"}}",
    "{{lt 1 \"a\"}}",
    "{{index (split \"a\" \",\") 5}}",
    "{{slice \"abc\" 5}}",
    "{{.Names )}}",
    "{{(.Names}}",
    "{{/* open",
    "{{printf}}",
    "{{upper}}",
    "{{upper 1 2}}",
    "{{nil}}",
    "{{range 1.5}}{{end}}",
    "{{.}}{{.Names.}}",
    "{{with}}{{end}}",
    "{{block}}{{end}}",
    "{{join .Names}}",
    "{{html}} {{call 1}}",
];

fn wrong_templates_are_refused_as_by_podman(ground: &Ground) -> Result<Outcome> {
    let pair = Comparison::new(ground)?;
    pair.compare(
        WRONG
            .iter()
            .map(|text| vec!["ps", "--all", "--format", text]),
        false,
    )
}

/// Both engines with the same container.
struct Comparison<'a> {
    engines: Pair<'a>,
}

impl<'a> Comparison<'a> {
    fn new(ground: &'a Ground) -> Result<Self> {
        let engines = Pair::new(ground)?;
        let image = ground.image();
        for program in [&engines.minke, &engines.podman] {
            program.ok(["pull", "--quiet", "--tls-verify=false", &image])?;
            let create = "create --name vessel --hostname hull --network none --label app=web \
                          --label tier=front --memory 64m --stop-timeout 3";
            let words = create
                .split_whitespace()
                .chain([image.as_str(), "sh", "-c", "exit 0"]);
            program.ok(words)?;
        }
        Ok(Self { engines })
    }

    /// Runs each call on both. Where `text` matters both must print the same.
    fn compare<'t>(
        &self,
        calls: impl Iterator<Item = Vec<&'t str>>,
        text: bool,
    ) -> Result<Outcome> {
        let mut wrong = Vec::new();
        for call in calls {
            let template = call[call.len() - 1..].concat() + &call[2..3].concat();
            if text && KNOWN.iter().any(|(piece, _)| template.contains(piece)) {
                continue;
            }
            let (ours, theirs) = (
                self.engines.minke.call(&call)?,
                self.engines.podman.call(&call)?,
            );
            let same = ours.stdout == theirs.stdout || !text;
            if ours.code != theirs.code || !same {
                wrong.push(format!(
                    "{call:?}\n  minke  {} {:?} {}\n  podman {} {:?} {}",
                    ours.code,
                    ours.stdout,
                    ours.stderr.trim(),
                    theirs.code,
                    theirs.stdout,
                    theirs.stderr.trim()
                ));
            }
        }
        ensure!(
            wrong.is_empty(),
            "{} differ:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        Ok(Passed)
    }
}
