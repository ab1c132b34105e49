//! What commands look like when they are used: the end of their help and of their manual pages.

/// Examples of a command, by its name; nothing where its flags say enough.
pub fn of(command: &str) -> Option<String> {
    let (_, lines) = EXAMPLES.iter().find(|(name, _)| *name == command)?;
    let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let shown = lines.iter().map(|(line, what)| {
        if what.is_empty() {
            format!("  {line}\n")
        } else {
            format!("  {line:width$}  # {what}\n")
        }
    });
    Some(format!("Examples:\n{}", shown.collect::<String>()))
}

/// A line as it is typed, and what it does.
type Example = (&'static str, &'static str);

const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "attach",
        &[("minke attach web", "leave it running with ctrl-p ctrl-q")],
    ),
    (
        "commit",
        &[
            ("minke commit web localhost/web:patched", ""),
            (
                "minke commit -c 'CMD [\"/bin/serve\"]' web localhost/web",
                "with another command",
            ),
        ],
    ),
    (
        "completion",
        &[
            ("source <(minke completion bash)", "for this shell"),
            (
                "minke completion -f ~/.config/fish/completions/minke.fish fish",
                "for every one to come",
            ),
        ],
    ),
    (
        "cp",
        &[
            ("minke cp web:/etc/nginx/nginx.conf .", ""),
            (
                "minke cp site/. web:/usr/share/nginx/html",
                "what is in the directory, not itself",
            ),
            ("minke cp web:/data - | tar -t", "as a tar stream"),
        ],
    ),
    (
        "create",
        &[(
            "minke create --name web -p 8080:80 nginx",
            "minke start web lets it go",
        )],
    ),
    (
        "exec",
        &[
            ("minke exec -it web sh", "a shell in it"),
            (
                "minke exec -u postgres db psql -c 'select 1'",
                "as another user",
            ),
        ],
    ),
    ("export", &[("minke export web | tar -x -C rootfs", "")]),
    (
        "inspect",
        &[
            ("minke inspect web", ""),
            (
                "minke inspect -f '{{.State.Status}} {{.NetworkSettings.IPAddress}}' web",
                "two facts",
            ),
        ],
    ),
    ("kill", &[("minke kill --signal HUP web", "reload")]),
    (
        "logs",
        &[
            (
                "minke logs --tail 20 -f web",
                "the last lines, and what comes",
            ),
            (
                "minke logs --since 10m -t web db",
                "two containers, with times",
            ),
        ],
    ),
    (
        "port",
        &[("minke port web 80", "where its port 80 is published")],
    ),
    (
        "ps",
        &[
            ("minke ps -a", "those that ended too"),
            ("minke ps --filter status=exited --filter label=app=web", ""),
            (
                "minke ps --format 'table {{.Names}}\\t{{.Status}}\\t{{.Ports}}'",
                "columns of your own",
            ),
        ],
    ),
    (
        "prune",
        &[(
            "minke container prune --filter until=24h",
            "what is older than a day",
        )],
    ),
    (
        "restart",
        &[(
            "minke restart --time 30 web",
            "with half a minute to end in",
        )],
    ),
    (
        "rm",
        &[
            ("minke rm -f web", "running or not"),
            (
                "minke rm -v $(minke ps -aq --filter status=exited)",
                "with their anonymous volumes",
            ),
        ],
    ),
    (
        "run",
        &[
            (
                "minke run --rm -it alpine sh",
                "a shell, and nothing left of it",
            ),
            ("minke run -d --name web -p 8080:80 nginx", "a service"),
            (
                "minke run --rm -v \"$PWD\":/src -w /src -u \"$(id -u)\" golang go build",
                "a tool on your files",
            ),
            (
                "minke run -d --restart=on-failure:3 --memory 512m --health-cmd 'curl -f localhost' web",
                "",
            ),
        ],
    ),
    (
        "start",
        &[
            ("minke start -a web", "and see what it writes"),
            (
                "minke start --all --filter restart-policy=always",
                "what should run after a boot",
            ),
        ],
    ),
    (
        "stats",
        &[(
            "minke stats --no-stream --format '{{.Name}} {{.MemUsage}}'",
            "once",
        )],
    ),
    (
        "stop",
        &[("minke stop -t 3 web db", "with three seconds each")],
    ),
    (
        "top",
        &[
            ("minke top web", ""),
            (
                "minke top web pid,user,huser,args",
                "as which user of the host",
            ),
        ],
    ),
    (
        "update",
        &[
            ("minke update --memory 1g --cpus 2 web", "at once"),
            ("minke update --restart unless-stopped web", ""),
        ],
    ),
    (
        "wait",
        &[
            ("minke wait web", "prints its exit code"),
            ("minke wait --condition healthy web", ""),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app;

    /// Every line that is minke's alone parses, but for what shells make of it.
    #[test]
    fn examples_are_command_lines() {
        for (name, lines) in EXAMPLES {
            for (line, _) in lines.iter().filter(|(line, _)| line.starts_with("minke")) {
                let line = line
                    .split('|')
                    .next()
                    .unwrap()
                    .replace("$(minke ps -aq", "x (");
                let line = line.split(" (").next().unwrap();
                let words = words(line);
                let parsed = app::definition().try_get_matches_from(&words);
                assert!(parsed.is_ok(), "{name}: {words:?}: {}", parsed.unwrap_err());
            }
        }
    }

    /// As a shell cuts them, quotes and substitutions taken away.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quote = None;
        for letter in line.chars() {
            match (quote, letter) {
                (None, '\'' | '"') => quote = Some(letter),
                (Some(open), letter) if open == letter => quote = None,
                (None, ' ') => words.push(String::new()),
                (_, letter) => words.last_mut().unwrap().push(letter),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
