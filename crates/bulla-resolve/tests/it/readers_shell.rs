//! Files of assignments, judged by shells, and dialects of dotenv, judged by what reads them.

use bulla_resolve::Format;

use crate::matrix::{Place, Reader, alone, judge, judge_odd};

#[test]
fn shell_is_read_by_dash() {
    judge(Format::Shell, "sh", SHELL, &Reader { name: "dash", command: &["dash", "-c", SOURCE] });
}

#[test]
fn shell_is_read_by_bash() {
    judge(Format::Shell, "sh", SHELL, &Reader { name: "bash", command: &["bash", "-c", SOURCE] });
}

#[test]
fn shell_is_read_by_zsh() {
    judge(Format::Shell, "sh", SHELL, &Reader { name: "zsh", command: &["zsh", "-fc", SOURCE] });
}

#[test]
fn dollar_quotes_are_read_by_bash() {
    judge(
        Format::Shell,
        "sh",
        DOLLAR_QUOTES,
        &Reader { name: "bash, `$'...'`", command: &["bash", "-c", SOURCE] },
    );
}

#[test]
fn dotenv_docker_is_read_by_docker() {
    judge(
        Format::DotenvDocker,
        "env",
        DOCKER_ENV,
        &Reader { name: "docker --env-file", command: &["python3", "-c", DOCKER] },
    );
}

/// Docker takes quotes for a part of the value; without any, it reads what the others read.
#[test]
fn dotenv_without_quotes_is_read_by_docker() {
    let places = &[alone("a=bulla://a/b\nend=1\n")];
    let reader = Reader { name: "docker --env-file", command: &["python3", "-c", DOCKER] };
    judge(Format::Dotenv, "env", places, &reader);
}

#[test]
fn dotenv_node_is_read_by_node() {
    judge(Format::DotenvNode, "env", ENV, &Reader { name: "node", command: &["node", "-e", NODE] });
}

#[test]
fn dotenv_node_is_read_by_npms_dotenv() {
    judge(
        Format::DotenvNode,
        "env",
        ENV,
        &Reader { name: "npm dotenv", command: &["node", "-e", NPM] },
    );
}

#[test]
fn dotenv_python_is_read_by_python() {
    judge(
        Format::DotenvPython,
        "env",
        ENV,
        &Reader { name: "Python dotenv", command: &["python3", "-c", PYTHON] },
    );
}

/// Every two of these lines in front of every place: where a reader takes one of them for the beginning of
/// something else, bulla has placed nothing.
fn odd_env() -> Vec<String> {
    let mut files = Vec::new();
    for first in ODD_LINES {
        for second in ODD_LINES {
            let place = |place: &&str| format!("{first}{second}{place}\nend=1\n");
            files.extend(ODD_PLACES.iter().map(place));
        }
    }
    files
}

const ODD_LINES: &[&str] = &[
    "",
    "X=1\n",
    "# it's = 'x\n",
    " # don't set = 'x\n",
    "\t#b'\n",
    " # c\n",
    "  \n",
    "\t\n",
    "foo\n",
    "foo 'b\n",
    "'q\n",
    "X='y\\'\n",
    "X=\"y\\\"z\n c\"\n",
    "X='a\nb'\n",
    "X='a' b\n",
    "X=\t'a\nb'\n",
    "X=`a\n",
    "export X=1\n",
    "X=\n",
    "X=\t\n",
    "=x\n",
    "X: 'y\n",
    "X Y='z\n",
    "\u{feff}",
    "\u{feff}# c\n",
];
const ODD_PLACES: &[&str] = &[
    "a=bulla://a/b",
    "a='bulla://a/b'",
    "a=\"bulla://a/b\" # it's",
    "a=bulla://a/b\t",
    "a=\tbulla://a/b",
    "a=\t'bulla://a/b'",
    "a =  'bulla://a/b'",
    "a\t=bulla://a/b",
    "\ta='bulla://a/b'",
    "  a='bulla://a/b'",
    "export\ta='bulla://a/b'",
    "export  a='bulla://a/b'",
    "export a=bulla://a/b",
];
const ODD_VALUES: &[&str] = &["v", "s3cret\nADMIN=1\nx", "it's", "a b#c"];

/// node 20 read further variables out of a value behind a tab, and lost those behind a comment that is
/// indented.
#[test]
fn odd_dotenv_node_is_read_by_node() {
    let reader = Reader { name: "node", command: &["node", "-e", NODE] };
    judge_odd(Format::DotenvNode, "env", &odd_env(), ODD_VALUES, &reader);
}

#[test]
fn odd_dotenv_node_is_read_by_npms_dotenv() {
    let reader = Reader { name: "npm dotenv", command: &["node", "-e", NPM] };
    judge_odd(Format::DotenvNode, "env", &odd_env(), ODD_VALUES, &reader);
}

#[test]
fn odd_dotenv_python_is_read_by_python() {
    let reader = Reader { name: "Python dotenv", command: &["python3", "-c", PYTHON] };
    judge_odd(Format::DotenvPython, "env", &odd_env(), ODD_VALUES, &reader);
}

#[test]
fn odd_dotenv_is_read_by_node_python_and_bash() {
    for (name, command) in [
        ("node", ["node", "-e", NODE]),
        ("Python dotenv", ["python3", "-c", PYTHON]),
        ("bash", ["bash", "-c", &SOURCE.replace("*.sh", "*.env")]),
    ] {
        let reader = Reader { name, command: &command };
        judge_odd(Format::Dotenv, "env", &odd_env(), ODD_VALUES, &reader);
    }
}

/// Docker refuses a file with `export` in it.
#[test]
fn odd_dotenv_without_quotes_is_read_by_docker() {
    let places =
        ["a=bulla://a/b", "  a=bulla://a/b", "export a=bulla://a/b", "X=1\nexport  a=bulla://a/b"];
    let files = places.map(|place| format!("{place}\nend=1\n"));
    let reader = Reader { name: "docker --env-file", command: &["python3", "-c", DOCKER] };
    judge_odd(Format::Dotenv, "env", &files, &["v"], &reader);
}

/// A value ran as a command in a variable that is a number.
#[test]
fn variables_with_attributes_are_read_by_shells() {
    let attributes = [
        "x=1",
        "export -n x; export x; readonly -x y=1",
        "declare -i a",
        "typeset -u a",
        "readonly x; declare -g -i x=1 a",
        "declare -l \\\n  a=1",
        "declare -n a=b",
        "eval 'declare -i a'",
        "f() { declare -gi a; }; f",
        "integer a",
        "((a=1))",
        "let a=1",
        "x=$((a = 1))",
        "for ((a = 0; a < 1; a++)); do :; done",
        "local -a x=(\"$@\" a); declare -x x",
        "# declare -i a",
        "echo 'an integer: $a' >/dev/null",
    ];
    let mut files: Vec<_> = (attributes.iter())
        .flat_map(|line| {
            ["a='bulla://a/b'", "export a=\"bulla://a/b\""]
                .map(|place| format!("{line}\n{place}\nend=1\n"))
        })
        .collect();
    files.extend(
        ["RANDOM", "OPTIND", "SECONDS", "HISTCMD", "USERNAME", "GROUPS", "status", "x"]
            .map(|name| format!("{name}='bulla://a/b'; a=\"${name}\"; end=1\n")),
    );
    let values = ["1+1", "MixedCase1", "a[$(echo ran >&2)]"];
    for (name, command) in [("bash", ["bash", "-c", SOURCE]), ("zsh", ["zsh", "-fc", SOURCE])] {
        judge_odd(Format::Shell, "sh", &files, &values, &Reader { name, command: &command });
        let reader =
            Reader { name, command: &[command[0], command[1], &SOURCE.replace("*.sh", "*.env")] };
        judge_odd(Format::Dotenv, "env", &files, &values, &reader);
    }
}

pub(crate) const SHELL: &[Place] = &[
    alone("a=bulla://a/b\nend=1\n"),
    alone("# it's\nexport a='bulla://a/b' end=1 # it's\n"),
    alone("a=\"bulla://a/b\"; end=1"),
    alone("a={{ bulla://a/b }} end=1\n"),
    Place {
        template: "x=$(echo \"it's $(echo ')') #\" # it's\n)\nif true; then\n  \
                   readonly a=x\\ \"\\$y\\z {{ bulla://a/b }}\"'z'\\\nu\nfi\n: 'it'\\''s'\nend=1\n",
        before: "x $y\\z ",
        after: "zu",
    },
];
pub(crate) const DOLLAR_QUOTES: &[Place] = &[
    alone("a=$'bulla://a/b'\nend=1\n"),
    Place { template: "a=$'\\x41\\'\\n{{ bulla://a/b }}'\nend=1\n", before: "A'\n", after: "" },
];

const SOURCE: &str = r#"
for path in "$0"/*.sh; do
    ( a=; end=; . "$path" && [ "$end" = 1 ] && printf %s "$a" > "$path.got" )
done
exit 0
"#;

pub(crate) const ENV: &[Place] = &[
    alone("# it's\na=bulla://a/b\nend=1\n"),
    alone("export a = bulla://a/b # it's\r\nend=1\r\n"),
    alone("a='bulla://a/b'\nend=1"),
    alone("a=\"bulla://a/b\" # c\n\nend=1\n"),
    Place { template: "a=x{{ bulla://a/b }}y\nend=1\n", before: "x", after: "y" },
    Place { template: "a=\"x\\n'{{ bulla://a/b }}\"\nend=1\n", before: "x\n'", after: "" },
];
pub(crate) const DOCKER_ENV: &[Place] = &[
    alone("# c\n a=bulla://a/b\nend=1\n"),
    Place { template: "a= '{{ bulla://a/b }}' #\r\nend=1\r\n", before: " '", after: "' #" },
    Place { template: "a=={{ bulla://a/b }}\nend=1", before: "=", after: "" },
];

/// docker reads the file before it asks the daemon, so a daemon that only looks at what it is asked
/// for is enough.
const DOCKER: &str = r#"
import glob, http.server, json, os, shutil, socketserver, subprocess, sys, threading
from concurrent.futures import ThreadPoolExecutor
if not shutil.which('docker'): sys.exit(77)
asked = {}
class Daemon(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, value in (('Api-Version', '1.41'), ('Content-Type', 'application/json'),
                            ('Content-Length', str(len(body)))): self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD': self.wfile.write(body)
    def do_HEAD(self): self.answer(200, {})
    def do_GET(self): self.answer(200, {})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        asked[body['Image']] = dict(pair.split('=', 1) for pair in body['Env'])
        self.answer(201, {'Id': 'x', 'Warnings': []})
    def address_string(self): return ''
    def log_message(self, *rest): pass
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): daemon_threads = True
socket = os.path.join(sys.argv[1], 'socket')
server = Server(socket, Daemon)
threading.Thread(target=server.serve_forever, daemon=True).start()
environment = dict(os.environ, DOCKER_HOST='unix://' + socket, DOCKER_CONFIG=sys.argv[1])
def read(path):
    image = 'image:' + os.path.basename(path).split('.')[0]
    done = subprocess.run(['docker', 'create', '--env-file', path, image], env=environment,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
    got = done.stderr
    if done.returncode == 0:
        got = asked[image]['a'].encode() if asked[image]['end'] == '1' else b'no end'
    open(path + '.got', 'wb').write(got)
with ThreadPoolExecutor(4) as pool: list(pool.map(read, glob.glob(sys.argv[1] + '/*.env')))
"#;
const NODE: &str = r"
const fs = require('fs'), util = require('util'), folder = process.argv[1];
if (!util.parseEnv) process.exit(77);
for (const name of fs.readdirSync(folder).filter(name => name.endsWith('.env'))) {
    const values = util.parseEnv(fs.readFileSync(folder + '/' + name, 'utf8'));
    if (values.end === '1') fs.writeFileSync(folder + '/' + name + '.got', String(values.a));
}
";
/// `./test --install` puts npm's into a folder of its own, which `NODE_PATH` names.
const NPM: &str = r"
const fs = require('fs'), folder = process.argv[1];
let dotenv;
try { dotenv = require('dotenv'); } catch { process.exit(77); }
for (const name of fs.readdirSync(folder).filter(name => name.endsWith('.env'))) {
    const values = dotenv.parse(fs.readFileSync(folder + '/' + name));
    if (values.end === '1') fs.writeFileSync(folder + '/' + name + '.got', values.a);
}
";
const PYTHON: &str = r"
import glob, sys
from importlib.metadata import version
try: import dotenv
except ImportError: sys.exit(77)
# Before that, a byte order mark was a part of the first name.
if [int(part) for part in version('python-dotenv').split('.')] < [1, 2, 4]: sys.exit(77)
for path in glob.glob(sys.argv[1] + '/*.env'):
    values = dotenv.dotenv_values(path)
    if values.get('end') == '1' and values.get('a') is not None:
        open(path + '.got', 'wb').write(values['a'].encode())
";
