//! `bulla run`: terminals, signals and secrets that come slowly.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::pty::Session;
use crate::support::{Home, SECRETS, VALUE, Way, skipped};

/// A home with a secret, and a template `t.env` that asks for it.
fn home() -> Home {
    let home = Home::new(Way::Identity);
    home.bulla(["set", "a"]).stdin(VALUE.as_str()).succeeds();
    home.write("t.env", "SECRET=bulla://a/password\n");
    home
}

/// `bulla run` of a shell script.
fn script(script: &str) -> [&str; 7] {
    ["run", "--env", "t.env", "--", "sh", "-c", script]
}

fn on_a_terminal(home: &Home, text: &str) -> Session {
    Session::start(home, &script(text))
}

#[test]
fn the_program_has_a_terminal_to_itself() {
    let home = home();
    let text = r#"test -t 0 && test -t 1 && test -t 2 && echo all three
        tty; stty size; stty -a | grep -o ' echo '; exec 3<>/dev/tty && echo of its own >&3
        echo "$SECRET."; echo "$SECRET," >&2; exit 5"#;
    let screen = on_a_terminal(&home, text).ends(5);
    assert!(screen.contains("all three\r\n/dev/pts/"), "{screen}");
    assert!(screen.contains(" echo \r\nof its own\r\n********.\r\n********,\r\n"), "{screen}");
    assert_eq!(SECRETS.find(screen.as_bytes()), None, "{screen}");
}

#[test]
fn without_masks_the_program_has_our_terminal() {
    let home = home();
    let args = ["run", "--no-mask", "--env", "t.env", "--", "sh", "-c", "tty; echo \"$SECRET.\""];
    let screen = Session::start(&home, &args).ends(0);
    assert!(screen.contains(&format!("{}.", *VALUE)), "{screen}");
}

#[test]
fn a_new_size_reaches_the_program() {
    let home = home();
    let text = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut session = on_a_terminal(&home, text);
    session.expect("ready");
    session.resize(41, 103);
    session.expect("41 103");
    session.resize(24, 80);
    session.expect("24 80");
    session.types("\u{3}");
    session.ends(130);
}

#[test]
fn keys_reach_the_program_as_they_are() {
    let home = home();
    let text = "stty raw -echo; echo ready; dd bs=1 count=5 2> /dev/null | od -An -tx1; stty sane";
    let mut session = on_a_terminal(&home, text);
    session.expect("ready");
    session.types("\u{3}\u{1a}\u{11}\r\u{1b}");
    session.expect("03 1a 11 0d 1b");
    session.ends(0);
}

#[test]
fn keys_that_interrupt_interrupt_the_program() {
    let home = home();
    let text = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    for (keys, code) in [("\u{3}", 9), ("\u{1c}", 131)] {
        let mut session = on_a_terminal(&home, text);
        session.expect("ready");
        session.types(keys);
        session.ends(code);
    }
    // The end of the input is one too.
    let mut session = on_a_terminal(&home, "echo ready; cat; echo over");
    session.expect("ready");
    session.types("\u{4}");
    session.expect("over");
    session.ends(0);
}

#[test]
fn a_program_is_stopped_and_continued_by_keys() {
    let home = home();
    let mut session = Session::start_program(&home, "bash", &["--norc", "-i"], None);
    session.types("PS1='ready> '\n");
    session.expect("\nready> ");
    for program in ["sh -c", "bash -c"] {
        session.types(format!(
            "bulla run --env t.env -- {program} 'echo started; read x; echo got:$x'\n"
        ));
        session.expect("\nstarted");
        session.types("\u{1a}");
        session.expect("Stopped");
        session.expect("ready> ");
        session.types("echo back-$((40+2))\n");
        session.expect("back-42");
        session.types("fg\n");
        session.expect("bulla run");
        session.types("word\n");
        session.expect("got:word");
        session.expect("ready> ");
    }
    session.types("exit\n");
    session.ends(0);
}

#[test]
fn a_stopped_program_goes_on_in_the_background() {
    let home = home();
    let mut session = Session::start_program(&home, "bash", &["--norc", "-i"], None);
    session.types("PS1='ready> '\n");
    session.expect("\nready> ");
    let text = "echo started; while ! test -e go; do sleep 0.05; done; echo \"went on $SECRET\"";
    // Not dash: a key that stops it between vfork and exec has it wait for ever for its own child.
    session.types(format!("bulla run --env t.env -- bash -c '{text}'\n"));
    session.expect("\nstarted");
    session.types("\u{1a}");
    session.expect("Stopped");
    session.types("bg\n");
    session.expect("&");
    session.types("touch go; wait; echo done-$((40+2))\n");
    session.expect("went on ********");
    session.expect("done-42");
    session.types("exit\n");
    session.ends(0);
}

/// Where nobody could continue it, a key does not stop it: the kernel's own rule.
#[test]
fn nothing_hangs_where_no_shell_is() {
    let home = home();
    let mut session = on_a_terminal(&home, "echo ready; read x; echo got:$x");
    session.expect("ready");
    session.types("\u{1a}");
    session.types("word\n");
    session.expect("got:word");
    session.ends(0);
}

#[test]
fn signals_reach_a_program_on_a_terminal() {
    let home = home();
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        let text =
            format!("trap 'echo caught; exit 9' {name}; echo ready; while :; do sleep 0.05; done");
        let mut session = on_a_terminal(&home, &text);
        session.expect("ready");
        session.send(signal);
        session.expect("caught");
        session.ends(9);
    }
}

#[test]
fn a_program_may_ignore_signals() {
    let home = home();
    let text = "trap '' TERM INT; echo ready; while ! test -e go; do sleep 0.05; done; exit 4";
    let mut session = on_a_terminal(&home, text);
    session.expect("ready");
    session.send(Signal::TERM);
    session.types("\u{3}");
    home.write("go", "");
    session.ends(4);
}

#[test]
fn a_program_ends_by_its_signal_on_a_terminal() {
    let home = home();
    for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("PIPE", 13), ("INT", 2)] {
        let (status, screen) = on_a_terminal(&home, &format!("kill -{name} $$")).end();
        assert_eq!(status.signal(), Some(number), "{screen}");
    }
}

#[test]
fn a_secret_that_comes_slowly_is_masked_and_a_prompt_is_not_kept() {
    let home = home();
    let value = VALUE.as_str();
    let slowly = r#"echo "$SECRET" | dd bs=1 2> /dev/null | while IFS= read -r -n 1 c; do
        printf %s "$c"; sleep "$WAIT"; done; printf '. '"#;
    for wait in ["0.01", "0.15"] {
        let text = format!("WAIT={wait}; {slowly}; read x");
        let args = ["run", "--env", "t.env", "--", "bash", "-c", &text];
        let mut session = Session::start(&home, &args);
        session.expect("********. ");
        session.types("\n");
        let screen = session.ends(0);
        assert!(!screen.contains(&value[..4]), "{screen}");
    }
    // A question that ends as the secret begins: three bytes are shown, more are masked.
    for length in [1, 3, 4, 9] {
        let text = format!("printf '> {}'; read x; echo got:$x", &value[..length]);
        let mut session = on_a_terminal(&home, &text);
        session.expect(if length < 4 { &value[..length] } else { "> ********" });
        session.types("word\n");
        session.expect("got:word");
        session.ends(0);
    }
}

#[test]
fn what_is_typed_is_masked_too() {
    let home = home();
    let mut session =
        on_a_terminal(&home, "echo ready; read -r x; test \"$x\" = \"$SECRET\" && echo same");
    session.expect("ready");
    session.types(format!("{}\n", *VALUE));
    session.expect("same");
    let screen = session.ends(0);
    assert_eq!(SECRETS.find(screen.as_bytes()), None, "{screen}");
}

#[test]
fn a_program_that_only_writes_to_the_terminal_keeps_its_colours() {
    let home = home();
    let text = "test -t 0 || test -t 1 && test -t 2 && echo two; echo \"$SECRET.\"; exit 6";
    let line = format!("echo | bulla run --env t.env -- sh -c '{text}'");
    let screen = Session::start_program(&home, "sh", &["-c", &line], None).ends(6);
    assert!(screen.contains("two\r\n********.\r\n"), "{screen}");
    // Nor does a pager at the other end of a pipe lose its keys.
    let line = "bulla run --env t.env -- sh -c 'echo \"$SECRET.\"' | { read line; read -r key < /dev/tty; echo \"$line $key\"; }";
    let mut session = Session::start_program(&home, "sh", &["-c", line], None);
    session.types("key\n");
    session.expect("********. key");
    session.ends(0);
}

#[test]
fn output_of_a_terminal_goes_into_a_file_masked() {
    let home = home();
    let out = File::create(home.file("out")).unwrap();
    let args = script("echo \"$SECRET.\"; test -t 2 && echo still >&2");
    let screen = Session::start_with(&home, &args, Some(out)).ends(0);
    assert!(screen.contains("still"), "{screen}");
    assert_eq!(home.read("out"), b"********.\n");
}

/// What real printers make of quotes side by side, and of characters of which only some are shown.
#[test]
fn what_printers_make_of_odd_values_is_masked() {
    let printers = [
        r#"zsh -fc 'for f in q qq qqq qqqq q+ q- V; do eval "print -r -- \${($f)SECRET}"; done
            W=$SECRET; typeset -p W; set -x; : "$SECRET"'"#,
        r#"bash -c 'printf %q\\n "$SECRET"; echo "${SECRET@Q}"; declare -p SECRET; set -x; : "$SECRET"'"#,
        "dash -c 'export -p' | grep -a SECRET",
        r#"mkdir d; touch "d/$SECRET"; for style in escape c shell-escape; do
            ls --quoting-style=$style d; done; ls -Nq d; stat -c %N "d/$SECRET"; find d -type f -ls; rm -r d"#,
        r#"git init -q g; cd g; touch "$SECRET"; git status -s; cd ..; rm -rf g"#,
        r#"python3 -c 'import os; v = os.environ["SECRET"]; print([v], ascii(v), v.encode("utf-8"))'"#,
        r#"python3 -c 'import os, yaml; v = os.environ["SECRET"]; print(yaml.safe_dump(v, allow_unicode=True))
print(yaml.safe_dump(v), yaml.safe_dump(v + chr(27), allow_unicode=True))'"#,
        r#"php -r '$v = getenv("SECRET"); echo json_encode($v), json_encode($v, JSON_UNESCAPED_UNICODE);'"#,
        r#"node -e 'const v = process.env.SECRET; console.log([v], JSON.stringify(v));
            console.log(require("js-yaml").dump(v + "\x1b"))'"#,
    ];
    for value in [
        "abcd''efgh",
        "''abcd'''efgh''",
        "abcd'ef gh'ijkl'",
        "abcd\u{a0}ef\u{e9}ghij",
        "abcd\u{ad}efgh\u{200b}ijkl\u{feff}mnop\u{e9}",
        "abcd\u{2028}efgh",
        "abcd\u{2028}efgh\u{e9}\u{85}'ijkl\"\u{1}'!",
        "abcd\u{e9}'efgh",
        "abcd\u{a0}efgh\u{1b}'\u{e9}",
    ] {
        let home = Home::new(Way::Identity);
        home.bulla(["set", "a"]).stdin(value).succeeds();
        home.write("t.env", "SECRET=bulla://a/password\n");
        for locale in ["C.UTF-8", "C"] {
            for printer in printers {
                // A dialect that carries both quotes.
                let args = ["run", "--format", "dotenv-docker"];
                let run = home.bulla(args).args(&script(printer)[1..]).env("LC_ALL", locale);
                let run = run.env("NODE_PATH", std::env::var("NODE_PATH").unwrap_or_default());
                let ended = run.env("PYTHONUTF8", "1").run();
                let shown = format!("{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
                if ["not found", "Cannot find module", "No module"]
                    .iter()
                    .any(|why| shown.contains(why))
                {
                    skipped(printer);
                    continue;
                }
                assert!(shown.contains("********"), "{locale}: {printer} of {value:?}: {shown}");
                for piece in ["abcd", "efgh", "ijkl", "mnop"] {
                    assert!(!shown.contains(piece), "{locale}: {printer} of {value:?}: {shown}");
                }
            }
        }
    }
}

/// A program without a terminal, in the middle of its work.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(home: &Home, text: &str) -> Self {
        let mut command = Command::new("setsid");
        command.arg(env!("CARGO_BIN_EXE_bulla")).args(script(text));
        home.set(&mut command);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self { child, lines };
        assert_eq!(running.line(), "ready");
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

#[test]
fn signals_reach_a_program_without_a_terminal() {
    let home = home();
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::WINCH, "WINCH"),
    ] {
        let text =
            format!("trap 'echo caught; exit 9' {name}; echo ready; while :; do sleep 0.05; done");
        let mut running = Running::start(&home, &text);
        running.send(signal);
        assert_eq!(running.line(), "caught");
        assert_eq!(running.child.wait().unwrap().code(), Some(9));
    }
}

#[test]
fn a_program_ends_by_its_signal_without_a_terminal() {
    let home = home();
    for number in [15, 9, 11, 13, 2, 10] {
        let mut running = Running::start(&home, &format!("echo ready; kill -{number} $$"));
        assert_eq!(running.child.wait().unwrap().signal(), Some(number));
    }
}

#[test]
fn a_stopped_program_is_waited_for() {
    let home = home();
    let mut running =
        Running::start(&home, "echo ready; echo $$ > pid; kill -STOP $$; echo on; exit 8");
    let pid = loop {
        let stat = fs::read_to_string(home.file("pid")).unwrap_or_default();
        let state = |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state(stat.trim()).contains(" T ") {
            break stat.trim().to_owned();
        }
    };
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(running.line(), "on");
    assert_eq!(running.child.wait().unwrap().code(), Some(8));
}

/// `nohup` ignores a signal for the program; to catch it on the way would end that.
#[test]
fn what_is_ignored_stays_ignored() {
    let home = home();
    let ignores = "bulla run --env t.env -- sh -c 'kill -HUP $$; kill -INT $$; echo alive'";
    let ended = home.sh(&format!("trap '' HUP INT; {ignores}")).succeeds();
    assert_eq!(ended.out(), "alive\n");
}

/// Neither may look into what waits with secrets: bulla, and the leader of the session.
#[test]
fn processes_that_hold_secrets_cannot_be_looked_into() {
    let home = home();
    let mut session = on_a_terminal(&home, "echo $PPID > leader; echo ready; read x");
    session.expect("ready");
    let leader = String::from_utf8(home.read("leader")).unwrap();
    for process in [session.id().to_string(), leader.trim().to_owned()] {
        let memory = fs::metadata(format!("/proc/{process}/mem")).unwrap();
        assert_eq!(memory.uid(), 0, "{process}");
        let words = fs::read(format!("/proc/{process}/cmdline")).unwrap();
        assert!(words.ends_with(b"read x\0"));
        assert_eq!(SECRETS.find(&words), None);
    }
    session.types("\n");
    session.ends(0);
}
