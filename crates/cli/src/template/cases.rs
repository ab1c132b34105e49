//! What templates show; most of it seen from Podman, the rest from Go's documentation.

use serde_json::{Value as Json, json};

use super::{Format, Template};

fn sample() -> Json {
    json!({
        "Id": "abc",
        "Name": "web",
        "Names": ["a", "b"],
        "Numbers": [1, 2, 3],
        "Labels": {"a": "1", "B": "x"},
        "Label()": {"a": "1", "B": "x"},
        "State": {"Pid": 42, "Running": true},
        "Ports": {"80/tcp": [{"HostPort": "8080"}]},
        "Host": {"ociRuntime": {"name": "crun"}, "host_ip": "::1"},
        "Nothing": null,
        "Entrypoint": null,
        "Sysctls": null,
        "Empty": [],
        "Ratio": 12.5,
        "Big": u64::MAX,
    })
}

fn template(format: Result<Format, crate::error::Error>) -> Result<Template, String> {
    match format.map_err(|error| error.to_string())? {
        Format::Template(template) => Ok(template),
        Format::Json => Err("json".to_owned()),
    }
}

fn render(text: &str) -> Result<String, String> {
    let template = template(Format::parse("ps", text))?;
    template
        .render(&sample())
        .map_err(|error| error.to_string())
}

/// Templates, and what they show before the newline; where an escape of theirs cannot be resolved
/// beforehand, there is none.
const SHOWN: &[(&str, &str)] = &[
    ("plain", "plain"),
    ("{{.Name}}", "web"),
    ("{{ .Name }}", "web"),
    ("{{.State.Pid}}", "42"),
    ("{{.State.Running}}", "true"),
    ("{{.ID}} {{.Id}}", "abc abc"),
    ("{{.Names}}", "[a b]"),
    ("{{.Numbers}}", "[1 2 3]"),
    ("{{.Labels}}", "map[B:x a:1]"),
    ("{{.Labels.a}}", "1"),
    ("{{.Labels.zz}}", "<no value>"),
    (r#"{{index .Labels "a"}}"#, "1"),
    (r#"{{index .Labels "zz"}}"#, ""),
    ("{{.Nothing}}", "<nil>"),
    ("{{.Entrypoint}}", "[]"),
    ("{{.Sysctls}}", "map[]"),
    ("{{json .Entrypoint}}", "null"),
    ("{{json .Sysctls}}", "null"),
    ("{{.Ratio}}", "12.5"),
    ("{{.Big}}", "18446744073709551615"),
    ("{{json .Names}}", "[\"a\",\"b\"]"),
    ("{{json .State}}", "{\"Pid\":42,\"Running\":true}"),
    ("{{json .Labels}}", "{\"B\":\"x\",\"a\":\"1\"}"),
    (r#"{{json "<a>&"}}"#, "\"<a>&\""),
    ("{{json 1.0}} {{json 1e21}} {{json nil}}", "1 1e+21 null"),
    (r#"{{.Label "a"}}"#, "1"),
    (r#"{{.Label "zz"}}"#, ""),
    (r#"{{"a" | .Label}}"#, "1"),
    (
        r#"{{len .Labels}} {{len .Names}} {{len "h\u00e9llo"}}"#,
        "2 2 6",
    ),
    ("{{range .Names}}<{{.}}>{{end}}", "<a><b>"),
    ("{{range $i, $e := .Names}}{{$i}}{{$e}} {{end}}", "0a 1b "),
    (
        "{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}",
        "B=x a=1 ",
    ),
    ("{{range .Empty}}x{{else}}none{{end}}", "none"),
    ("{{range .Entrypoint}}x{{else}}none{{end}}", "none"),
    ("{{range .Nothing}}x{{else}}none{{end}}", "none"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ("{{range $i := 2}}{{$i}},{{end}}", "0,1,"),
    ("{{range 0}}x{{else}}none{{end}}", "none"),
    (
        r#"{{range split "a,b,c" ","}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}"#,
        "ac",
    ),
    (
        r#"{{range $i, $e := split "a,b,c" ","}}{{$i}}{{$e}}{{if eq $i 1}}{{break}}{{end}}{{end}}"#,
        "0a1b",
    ),
    (
        "{{range $i, $e := .Names}}{{if $i}}, {{end}}{{$e}}{{end}}",
        "a, b",
    ),
    ("{{range .Names}}{{$.Name}}{{.}} {{end}}", "weba webb "),
    ("{{with .State}}{{.Pid}}{{end}}", "42"),
    ("{{with .Labels.zz}}x{{else}}y{{end}}", "y"),
    ("{{with .Labels.zz}}x{{else with .Name}}{{.}}{{end}}", "web"),
    ("{{with $x := 3}}{{$x}}{{end}}", "3"),
    ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
    ("{{if .Empty}}a{{else if .Names}}b{{else}}c{{end}}", "b"),
    ("{{if true}}a{{else if false}}b{{else}}c{{end}}", "a"),
    ("{{if $x := 3}}{{$x}}{{end}}", "3"),
    ("{{if .Labels}}y{{end}}{{if .Sysctls}}n{{end}}", "y"),
    ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{$x := .State}}{{$x.Pid}}", "42"),
    (r#"{{(index .Ports "80/tcp")}}"#, "[map[HostPort:8080]]"),
    (r#"{{(index (index .Ports "80/tcp") 0).HostPort}}"#, "8080"),
    (
        "{{range $p, $b := .Ports}}{{$p}}->{{(index $b 0).HostPort}}{{end}}",
        "80/tcp->8080",
    ),
    ("{{index .Names 1}}", "b"),
    (r#"{{index "abc" 1}}"#, "98"),
    (r#"{{index (split "a" ",") 0}}"#, "a"),
    (r#"{{slice "hello" 1 3}} {{slice "hello" 2}}"#, "el llo"),
    (r#"{{slice (split "a,b,c" ",") 1}}"#, "[b c]"),
    (r#"{{and 1 0 2}} {{or 0 "" "x"}}"#, "0 x"),
    (
        "{{and true .Name}} {{or .Name (index .Names 9)}}",
        "web web",
    ),
    ("{{or 1}}", "1"),
    (r#"{{not 1}} {{not ""}}"#, "false true"),
    ("{{eq 1 2 3 1}} {{eq 1 2 3}}", "true false"),
    (r#"{{eq .Name "web"}} {{ne .Name "web"}}"#, "true false"),
    (
        "{{eq nil nil}} {{eq .Nothing nil}} {{eq 1 nil}}",
        "true true false",
    ),
    (
        r#"{{lt "a" "b"}} {{lt 2 1}} {{le 1 1}} {{gt 2 1}} {{ge 1 2}}"#,
        "true false true true false",
    ),
    ("{{lt 1.5 2.5}} {{eq .Ratio 12.5}}", "true true"),
    ("{{gt .State.Pid 41}}", "true"),
    (r#"{{print 1 2 "a" "b" 3 true nil}}"#, "1 2ab3 true <nil>"),
    ("{{print .Name .State.Pid}}", "web42"),
    (r#"{{println "a" 1 2 "b"}}"#, "a 1 2 b\n"),
    (
        r#"{{html "<a href='x'>\"&"}}"#,
        "&lt;a href=&#39;x&#39;&gt;&#34;&amp;",
    ),
    (r#"{{html "a" 1}}"#, "a1"),
    (r#"{{js "'<>"}}"#, "\\'\\u003C\\u003E"),
    (r#"{{js "a=b&\n"}}"#, "a\\u003Db\\u0026\\u000A"),
    (r#"{{urlquery "a b&c"}}"#, "a+b%26c"),
    (r#"{{urlquery "a" 1 "/?\u00e9~"}}"#, "a1%2F%3F%C3%A9~"),
    (r#"{{join (split "a,b" ",") "-"}}"#, "a-b"),
    (r#"{{join .Names ", "}}"#, "a, b"),
    (r#"{{join .Entrypoint ","}}"#, ""),
    (r#"{{split "a,b" ","}}"#, "[a b]"),
    (r#"{{split "ab" ""}}"#, "[a b]"),
    (r#"{{lower "AbC"}} {{upper "AbC"}}"#, "abc ABC"),
    ("{{.Name | upper}}", "WEB"),
    (
        r#"{{title "foo-bar baz_qux it's"}}"#,
        "Foo-Bar Baz_qux It'S",
    ),
    (r#"{{pad "a" 2 3}}"#, "  a   "),
    (r#"{{pad "" 2 3}}"#, ""),
    (r#"{{truncate "hello" 3}} {{truncate "hi" 9}}"#, "hel hi"),
    (r#"{{"a" | printf "%s-%s" "b"}}"#, "b-a"),
    (r#"{{"x" | len | printf "%d-%s" 3}}"#, "3-%!s(int=1)"),
    (r#"{{printf "%05d" 42}}"#, "00042"),
    (r#"{{printf "%5d|%-5d|" 42 42}}"#, "   42|42   |"),
    (
        r#"{{printf "%+d|% d|%x|%X|%#x" 5 5 255 255 255}}"#,
        "+5| 5|ff|FF|0xff",
    ),
    (
        r#"{{printf "%o|%#o|%O|%b|%#b" 8 8 8 5 5}}"#,
        "10|010|0o10|101|0b101",
    ),
    (r#"{{printf "%d %d" -7 .Big}}"#, "-7 18446744073709551615"),
    (
        r#"{{printf "%.3d|%6.3d|%-6.3d|" 7 7 7}}"#,
        "007|   007|007   |",
    ),
    (r#"{{printf "%05d" -42}}"#, "-0042"),
    (
        r#"{{printf "%c|%q|%U|%#U" 65 65 65 65}}"#,
        "A|'A'|U+0041|U+0041 'A'",
    ),
    (
        r#"{{printf "%s|%5s|%-5s|%05s" "ab" "ab" "ab" "ab"}}"#,
        "ab|   ab|ab   |000ab",
    ),
    (r#"{{printf "%.2s|%5.1s|" "hello" "hello"}}"#, "he|    h|"),
    (
        r#"{{printf "%q|%#q|%-8q|" "a\"b" "ab" "a"}}"#,
        "\"a\\\"b\"|`ab`|\"a\"     |",
    ),
    (r#"{{printf "%#q" "a`b"}}"#, "\"a`b\""),
    (
        r#"{{printf "%+q %q" "\u00e9" "\u00e9\n"}}"#,
        "\"\\u00e9\" \"\u{e9}\\n\"",
    ),
    (
        r#"{{printf "%x|% x|%#x|%X" "hello" "hi" "hi" "hi"}}"#,
        "68656c6c6f|68 69|0x6869|6869",
    ),
    (
        r#"{{printf "%f|%.2f|%5.1f|%08.3f" 3.14159 3.14159 3.14159 -3.14159}}"#,
        "3.141590|3.14|  3.1|-003.142",
    ),
    (
        r#"{{printf "%e|%+.2e|%E" 12345.678 12345.678 1.5}}"#,
        "1.234568e+04|+1.23e+04|1.500000E+00",
    ),
    (r#"{{printf "%g|%g|%G" 1e21 0.5 1e21}}"#, "1e+21|0.5|1E+21"),
    (
        r#"{{printf "%6.2f|%-8.1f|%+f" 3.14159 2.5 1.0}}"#,
        "  3.14|2.5     |+1.000000",
    ),
    (
        r#"{{printf "%t|%v|%5t|" true false true}}"#,
        "true|false| true|",
    ),
    (r#"{{printf "%v %v %v %v" 1 "a" 1.5 nil}}"#, "1 a 1.5 <nil>"),
    (
        r#"{{printf "%T %T %T %T %T" 1 1.5 "a" true nil}}"#,
        "int float64 string bool <nil>",
    ),
    (
        r#"{{printf "%T %T" .Names .Labels}}"#,
        "[]string map[string]string",
    ),
    (
        r#"{{printf "%#v %#v %#v %#v %#v" "a" 1 1.0 true nil}}"#,
        "\"a\" 1 1 true <nil>",
    ),
    (
        r#"{{printf "%#v %#v" .Names .Labels}}"#,
        "[]string{\"a\", \"b\"} map[string]string{\"B\":\"x\", \"a\":\"1\"}",
    ),
    (r#"{{printf "%v %s" .Names .Names}}"#, "[a b] [a b]"),
    (
        r#"{{printf "%q %x %5s" .Names .Names .Names}}"#,
        "[\"a\" \"b\"] [61 62] [    a     b]",
    ),
    (r#"{{printf "%d" .Names}}"#, "[%!d(string=a) %!d(string=b)]"),
    (r#"{{printf "%03d" .Numbers}}"#, "[001 002 003]"),
    (r#"{{printf "%v" .Labels.zz}}"#, "<nil>"),
    (r#"{{printf "%d %s" nil 5}}"#, "%!d(<nil>) %!s(int=5)"),
    (
        r#"{{printf "%s %d %t" true 1.5 "x"}}"#,
        "%!s(bool=true) %!d(float64=1.5) %!t(string=x)",
    ),
    (
        r#"{{printf "%z" 1}} {{printf "%p" 1}}"#,
        "%!z(int=1) %!p(int=1)",
    ),
    (
        r#"{{printf "%d"}} {{printf "%!"}}"#,
        "%!d(MISSING) %!!(MISSING)",
    ),
    (r#"{{printf "%!d %" 1}}"#, "%!!(int=1)d %!(NOVERB)"),
    (r#"{{printf "abc%"}}"#, "abc%!(NOVERB)"),
    (
        r#"{{printf "a" 1 nil "b"}}"#,
        "a%!(EXTRA int=1, <nil>, string=b)",
    ),
    (r#"{{printf "100%%"}}"#, "100%"),
    (
        r#"{{printf "%*d|%-*d|%.*f" 5 42 5 42 2 3.14159}}"#,
        "   42|42   |3.14",
    ),
    (r#"{{printf "%*d" -5 42}}"#, "42   "),
    (r#"{{printf "%[2]d %[1]d" 1 2}}"#, "2 1"),
    (r#"{{printf "%[3]d" 1}}"#, "%!d(BADINDEX)"),
    (r#"{{printf "%*d" "a" 1}}"#, "%!(BADWIDTH)1"),
    (
        "{{1.5}} {{1e3}} {{0x1F}} {{0b11}} {{0o17}} {{017}} {{1_000}} {{'a'}}",
        "1.5 1000 31 3 15 15 1000 97",
    ),
    (
        "{{1e6}} {{1e20}} {{123456789.5}} {{0.00001}} {{1e5}}",
        "1e+06 1e+20 1.234567895e+08 1e-05 100000",
    ),
    ("{{-3}} {{+3}} {{- 3}}", "-3 33"),
    (
        r#"{{'\n'}} {{'\x41'}} {{'\u00e9'}} {{'\''}}"#,
        "10 65 233 39",
    ),
    ("{{true}} {{false}}", "true false"),
    (r#"{{`raw "x"`}}"#, "raw \"x\""),
    (r#"{{"\u00e9\x41\101"}}"#, "\u{e9}AA"),
    (r#"{{"a\tb"}}"#, "a\tb"),
    (r#"x\ty\nz"#, "x\ty\nz"),
    ("a {{- 3 -}} x", "a3x"),
    ("a  {{- /* c */ -}}  x", "ax"),
    ("{{/* a */ -}} x", "x"),
    ("{{/* c */}}", ""),
    (
        r#"{{define "x"}}<{{.}}>{{end}}{{template "x" .Name}}"#,
        "<web>",
    ),
    (r#"{{template "x" 1}}{{define "x"}}<{{.}}>{{end}}"#, "<1>"),
    (
        r#"{{define "x"}}{{.}}{{end}}{{template "x"}}"#,
        "<no value>",
    ),
    (r#"{{block "a" .Name}}[{{.}}]{{end}}"#, "[web]"),
    (
        r#"{{define "x"}}{{if gt . 0}}{{.}}{{template "x" 0}}{{end}}{{end}}{{template "x" 2}}"#,
        "2",
    ),
    (
        r#"{{define "x"}}{{$.Pid}}{{end}}{{template "x" .State}}"#,
        "42",
    ),
    ("{{.|json|len|gt 0}}", "false"),
    ("{{(.State).Pid}} {{(.Name)}}", "42 web"),
    ("{{range $i, $e := .Names}}{{$e}}{{else}}none{{end}}", "ab"),
    (
        "{{range .Names}}{{range $.Numbers}}{{if eq . 2}}{{break}}{{end}}{{.}}{{end}}{{.}} {{end}}",
        "1a 1b ",
    ),
    ("{{.Host.OCIRuntime.Name}} {{.Host.HostIP}}", "crun ::1"),
    (r#"{{index .State "Pid"}}"#, "42"),
    (r#"{{.Labels.a | printf "%s%s" .Name}}"#, "web1"),
];

/// Templates that are refused, and what is in the refusal.
const REFUSED: &[(&str, &str)] = &[
    (
        "{{.Bogus}}",
        r#"template: ps:1:2: executing "ps" at <.Bogus>: can't evaluate field Bogus in type ps"#,
    ),
    (
        "{{.State.Bogus}}",
        r#"template: ps:1:8: executing "ps" at <.State.Bogus>: can't evaluate field Bogus in type ps"#,
    ),
    ("{{.name}}", "can't evaluate field name in type"),
    ("{{.Name.X}}", "can't evaluate field X in type string"),
    ("{{.Labels.a.b.c}}", "can't evaluate field b in type string"),
    ("{{.Names.X}}", "can't evaluate field X in type []string"),
    ("{{.Nothing.X}}", "nil pointer evaluating ps.X"),
    ("{{.State.Pid", "template: ps:1: unclosed action"),
    ("{{", "template: ps:1: unclosed action"),
    ("{{range .Names}}", "template: ps:1: unexpected EOF"),
    ("{{foo .}}", r#"template: ps:1: function "foo" not defined"#),
    (
        r#"x\n{{foo}}"#,
        r#"template: ps:1: function "foo" not defined"#,
    ),
    (r#"x\n {{.Bogus}}"#, "template: ps:2:3: executing"),
    ("{{nil}}", "at <nil>: nil is not a command"),
    (
        r#"{{index (split "a,b" ",") 5}}"#,
        r#"template: ps:1:2: executing "ps" at <index (split "a,b" ",") 5>: error calling index: index out of range: 5"#,
    ),
    (
        "{{len 3}}",
        "at <len 3>: error calling len: len of type int",
    ),
    (
        "{{index nil 1}}",
        "error calling index: index of untyped nil",
    ),
    (
        "{{index 3 1}}",
        "error calling index: can't index item of type int",
    ),
    (
        "{{index .Labels 3}}",
        "error calling index: value has type int; should be string",
    ),
    (
        r#"{{index .Names "x"}}"#,
        "error calling index: cannot index slice/array with type string",
    ),
    (
        r#"{{slice "abc" 4}}"#,
        "error calling slice: index out of range: 4",
    ),
    (
        r#"{{slice "abc" 2 1}}"#,
        "error calling slice: invalid slice index: 2 > 1",
    ),
    (r#"{{slice "abc" 1 2 3}}"#, "cannot 3-index slice a string"),
    ("{{$x}}", r#"template: ps:1: undefined variable "$x""#),
    (
        "{{with $x := 3}}{{end}}{{$x}}",
        r#"undefined variable "$x""#,
    ),
    ("{{else}}", "template: ps:1: unexpected {{else}}"),
    ("{{end}}", "template: ps:1: unexpected {{end}}"),
    ("{{if}}x{{end}}", "missing value for if"),
    (
        "{{if 1}}{{else}}{{else}}{{end}}",
        "expected end; found {{else}}",
    ),
    (
        "{{upper 3}}",
        r#"template: ps:1:8: executing "ps" at <3>: expected string; found 3"#,
    ),
    (
        "{{upper .State.Pid}}",
        "wrong type for value; expected string; got int",
    ),
    ("{{upper .Labels.zz}}", "invalid value; expected string"),
    (
        "{{.Labels.zz | upper}}",
        "at <upper>: invalid value; expected string",
    ),
    (r#"{{pad "a" "b" 1}}"#, r#"expected integer; found "b""#),
    (
        r#"{{pad "a" 2}}"#,
        "at <pad>: wrong number of args for pad: want 3 got 2",
    ),
    (
        "{{lt 1 2 3}}",
        "at <lt>: wrong number of args for lt: want 2 got 3",
    ),
    (
        "{{and}}",
        "at <and>: wrong number of args for and: want at least 1 got 0",
    ),
    ("{{not}}", "wrong number of args for not: want 1 got 0"),
    (
        r#"{{join "a" "b"}}"#,
        r#"at <"a">: can't handle "a" for arg of type []string"#,
    ),
    ("{{call 1}}", "error calling call: non-function of type int"),
    (
        "{{eq 1}}",
        "error calling eq: missing argument for comparison",
    ),
    (
        "{{eq 1 1.0}}",
        "error calling eq: incompatible types for comparison",
    ),
    (
        r#"{{eq "a" 1}}"#,
        "error calling eq: incompatible types for comparison",
    ),
    (
        "{{lt true false}}",
        "error calling lt: invalid type for comparison",
    ),
    (
        r#"{{lt 1 "a"}}"#,
        "error calling lt: incompatible types for comparison",
    ),
    (
        r#"{{eq .Names "a"}}"#,
        "non-comparable type []string: [a b]",
    ),
    ("{{1 2}}", "at <1>: can't give argument to non-function 1"),
    (
        r#"{{.Name "x"}}"#,
        "Name has arguments but cannot be invoked as function",
    ),
    (
        r#"{{"a" | 3}}"#,
        "non executable command in pipeline stage 2",
    ),
    ("{{break}}", "{{break}} outside {{range}}"),
    ("{{continue}}", "{{continue}} outside {{range}}"),
    (
        r#"{{template "nope"}}"#,
        r#"template: ps:1:11: executing "ps" at <{{template "nope"}}>: template "nope" not defined"#,
    ),
    (
        r#"{{define "x"}}{{template "x"}}{{end}}{{template "x"}}"#,
        r#"executing "x" at <{{template "x"}}>: exceeded maximum template depth"#,
    ),
    ("{{define x}}{{end}}", r#"unexpected "x" in define clause"#),
    ("{{/* c }}", "unclosed comment"),
    (r#"{{"abc"#, "unterminated quoted string"),
    ("{{'ab'}}", "malformed character constant: 'ab'"),
    (r#"{{"\q"}}"#, "invalid syntax"),
    (r#"{{"a".X}}"#, r#"unexpected . after term "\"a\"""#),
    ("{{.X.}}", "unexpected <.> in operand"),
    ("{{(1}}", "unclosed left paren"),
    (
        "{{range $a,$b,$c := .}}{{end}}",
        "too many declarations in range",
    ),
    (
        r#"{{range "abc"}}{{end}}"#,
        r#"at <"abc">: range can't iterate over abc"#,
    ),
    ("{{range true}}{{end}}", "range can't iterate over true"),
    ("{{$y = 3}}", "undefined variable: $y"),
    ("{{}}", "missing value for command"),
];

#[test]
fn templates_are_gos() {
    for (text, expected) in SHOWN {
        let shown = render(text).map(|shown| match shown.strip_suffix('\n') {
            Some(line) => line.to_owned(),
            None => shown,
        });
        assert_eq!(shown.as_deref(), Ok(*expected), "{text}");
    }
}

#[test]
fn wrong_templates_are_refused_in_gos_words() {
    for (text, expected) in REFUSED {
        let refusal = render(text).expect_err(text);
        assert!(refusal.contains(expected), "{text}: {refusal}");
    }
}

#[test]
fn nesting_is_bounded() {
    let open = "{{if true}}".repeat(5000);
    assert!(render(&open).is_err_and(|refusal| refusal.contains("levels of nesting")));
    let parentheses = format!("{{{{{}1}}}}", "(".repeat(5000));
    assert!(render(&parentheses).is_err_and(|refusal| refusal.contains("levels of nesting")));
}

#[test]
fn json_is_no_template() {
    assert!(matches!(Format::parse("ps", "json"), Ok(Format::Json)));
}

#[test]
fn lists_are_shown_row_by_row() {
    let rows = [
        json!({"ID": "1", "Names": "web", "ImageID": "i", "json()": {"Id": "one"}}),
        json!({"ID": "22222222222222", "Names": "db", "ImageID": "i", "json()": {"Id": "two"}}),
    ];
    let headings: &'static [(&'static str, &'static str)] = &[("ID", "CONTAINER ID")];
    for (text, headings, expected) in [
        ("{{.Names}}", None, "web\ndb\n"),
        ("{{.Names}}\\t{{.ID}}", None, "web\t1\ndb\t22222222222222\n"),
        ("{{json .}}", None, "{\"Id\":\"one\"}\n{\"Id\":\"two\"}\n"),
        ("{{range .}}{{.Names}} {{end}}", None, "web db \n"),
        ("{{range .}}{{.Names}}{{end -}}", Some(headings), "webdb"),
        (
            "table {{.ID}}\\t{{.Names}}",
            Some(headings),
            "CONTAINER ID    NAMES\n1               web\n22222222222222  db\n",
        ),
        (
            "table {{.ID}} {{.ImageID}}",
            Some(headings),
            "CONTAINER ID    IMAGE ID\n1               i\n22222222222222  i\n",
        ),
        ("table {{upper .Names}}", Some(headings), "NAMES\nWEB\nDB\n"),
        ("table {{.Names}}", None, "web\ndb\n"),
        ("table", Some(headings), "table\ntable\n"),
    ] {
        let template = template(Format::parse_rows("ps", text)).unwrap();
        assert_eq!(template.rows(&rows, headings).unwrap(), expected, "{text}");
    }
    let template = template(Format::parse_rows("ps", "{{.Bogus}}")).unwrap();
    let refusal = template.rows(&rows, None).unwrap_err().to_string();
    assert!(
        refusal.starts_with(
            "template: ps:1:13: executing \"ps\" at <.Bogus>: can't evaluate field Bogus in type"
        ),
        "{refusal}"
    );
}

/// Pieces that templates are made of, right and wrong.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    ".",
    ".Names",
    ".Labels",
    "$",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    ",",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "template",
    "block",
    "break",
    "continue",
    "\"a\"",
    "`",
    "'a'",
    "0",
    "-1",
    "1.5",
    "0x",
    "nil",
    "true",
    "printf",
    "\"%5.2[3]*d%\"",
    "index",
    "slice",
    "len",
    "join",
    "split",
    "json",
    "eq",
    "lt",
    "and",
    "or",
    "not",
    "html",
    "call",
    "/*",
    "*/",
    "\n",
    "table ",
    "é",
];

proptest::proptest! {
    #[test]
    fn any_text_is_rendered_or_refused(choice in proptest::collection::vec(0..PIECES.len(), 0..24)) {
        let text: String = choice.iter().map(|&index| PIECES[index]).collect();
        let row = json!({"Names": "web", "Labels": {"a": "b"}, "Label()": {"a": "b"}});
        if let Ok(Format::Template(template)) = Format::parse_rows("ps", &text) {
            // Refused or not, it ends and does not panic.
            let _ = template.rows(&[row.clone(), row], Some(&[]));
        }
    }

    #[test]
    fn any_verb_is_printed(format in "[%.*+# 0-9a-zA-Z\\[\\]]{0,12}") {
        let text = format!("{{{{printf {format:?} 1 -2.5 \"x\" true nil}}}}");
        if let Ok(Format::Template(template)) = Format::parse("version", &text) {
            let _ = template.render(&json!({}));
        }
    }
}
