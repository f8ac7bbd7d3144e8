//! Units, judged by systemd's own parser: `systemd-analyze verify` needs no running manager, and shows
//! what it has read while it debugs.

use bulla_resolve::Format;

use crate::matrix::{Place, Reader, alone, judge};

#[test]
fn environments_are_read_by_systemd() {
    judge(Format::Systemd, "service", ENVIRONMENT, &reader("systemd, Environment="));
}

#[test]
fn arguments_are_read_by_systemd() {
    judge(Format::Systemd, "service", ARGUMENTS, &reader("systemd, ExecStart="));
}

#[test]
fn other_settings_are_read_by_systemd() {
    judge(Format::Systemd, "service", OTHERS, &reader("systemd, other settings"));
}

/// What the format `ini` says of systemd.
#[test]
fn ini_is_read_by_systemd() {
    let places = &[alone("[Service]\nExecStart=/bin/true\nPAMName=bulla://a/b\n")];
    judge(Format::Ini, "service", places, &reader("systemd, other settings"));
}

fn reader(name: &str) -> Reader<'_> {
    Reader { name, command: &["python3", "-c", READER] }
}

pub(crate) const ENVIRONMENT: &[Place] = &[
    alone("[Service]\nExecStart=/bin/true\nEnvironment=a=bulla://a/b end=1\n"),
    alone("[Service]\r\nExecStart=/bin/true\r\nEnvironment = \"a=bulla://a/b\" end=1\r\n"),
    alone("[Service]\nExecStart=/bin/true\nEnvironment='a={{ bulla://a/b }}' 'end=1'"),
    alone("[Service]\nExecStart=/bin/true\nEnvironment=a=\"bulla://a/b\"\nEnvironment=end=1\n"),
    Place {
        template: "[Service]\nExecStart=/bin/true\n\
                   Environment=x=y \\\n# c\n  a=%%\\x41{{ bulla://a/b }}'z y' \\\n  end=1\n",
        before: "%A",
        after: "z y",
    },
];
pub(crate) const ARGUMENTS: &[Place] = &[
    alone("[Service]\nType=oneshot\nExecStart=-/bin/true bulla://a/b end\n"),
    alone("[Service]\nType=oneshot\nExecStart=/bin/x $X ; +/bin/true 'bulla://a/b' end\n"),
    alone("[Service]\nExecStart=:/bin/true \\\n  \"bulla://a/b\" \\\n; c\n end\n"),
    Place {
        template: "[Service]\nExecStart=/bin/true --x=$$\\x41%%{{ bulla://a/b }}'z y' end\n",
        before: "--x=$A%",
        after: "z y",
    },
];
pub(crate) const OTHERS: &[Place] = &[
    alone("[Service]\nExecStart=/bin/true\nPAMName=bulla://a/b\n"),
    alone("[Unit]\nDescription = bulla://a/b\n[Service]\nExecStart=/bin/true\n"),
    Place {
        template: "[Unit]\nDescription=50%% {{ bulla://a/b }} \"x\"\n[Service]\nExecStart=/bin/true\n",
        before: "50% ",
        after: " \"x\"",
    },
];

/// What it shows of a command is quoted as for a shell, before variables are expanded: `$$` is `$`
/// then (systemd.service(5), "Command lines") unless the prefix `:` says otherwise.
const READER: &str = r#"
import glob, os, re, shutil, subprocess, sys
tool = 'systemd-analyze'
if not shutil.which(tool): sys.exit(77)
environment = dict(os.environ, SYSTEMD_LOG_LEVEL='debug', LC_ALL='C.UTF-8')
paths = glob.glob(sys.argv[1] + '/*.service')
command = [tool, 'verify', '--man=no', '--recursive-errors=no'] + paths
shown = subprocess.run(command, env=environment, stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL, timeout=600).stdout
units = re.split(rb'\t-> Unit (\d+\.service):\n', b'\n' + shown)
units = dict(zip(units[1::2], units[2::2]))
def plain(escape):
    known = dict(n=b'\n', r=b'\r', t=b'\t', a=b'\a', b=b'\b', f=b'\f', v=b'\v')
    escaped = escape.group(1)
    if len(escaped) == 3: return bytes([int(escaped, 8)])
    return known.get(escaped.decode('latin1'), escaped)
def read(path):
    unit = open(path, 'rb').read()
    shown = b'\n' + units[os.path.basename(path).encode()]
    def field(pattern): return re.search(pattern, shown, re.DOTALL).group(1)
    if b'\nEnvironment' in unit:
        return field(rb'\n\t\tEnvironment: a=(.*?)\n\t\tEnvironment: end=1\n')
    if b'\nPAMName' in unit:
        if b'\nPAMName=\n' in unit: return b''
        return field(rb'\n\t\tPAMName: ([^\n]*)\n')
    if b'\nDescription' in unit:
        if b'\nDescription = \n' in unit: return b''
        return field(rb'\n\t\tDescription: ([^\n]*)\n')
    word = field(rb'Command Line: /bin/true (.*) end\n')
    if word.startswith(b'"'): word = re.sub(rb'\\([0-7]{3}|.)', plain, word[1:-1], flags=re.DOTALL)
    return word if b'ExecStart=:' in unit else word.replace(b'$$', b'$')
for path in paths:
    try: got = read(path)
    except Exception as e: got = repr(e).encode()
    open(path + '.got', 'wb').write(got)
"#;
