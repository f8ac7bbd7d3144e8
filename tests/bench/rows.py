"""The rows: what is compared with what."""

import filecmp
import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path

import material
from material import KDF, Material, Vault
from measure import Command, Line, Runner
from peers import Peers
from report import Report, Target


@dataclass
class Bench:
    """All that a row needs."""

    folder: Path
    runner: Runner
    report: Report
    data: Material
    peers: Peers
    bulla: str
    empty: str
    floors: str | None
    unlocked: bool  # whether the kernel keeps keys for us
    seconds: float

    def bulla_command(self, name: str, how: str, vault: Vault, words, **more) -> Command:
        """bulla with a vault, opened by `identity`, by `passphrase`, or after `unlock`."""
        given = ["--identity", self.data.identity] if how == "identity" else []
        if how == "passphrase":
            given = ["--passphrase-fd", 0]
            more["stdin"] = lambda _: self.data.passphrase
        return Command(
            name,
            lambda n: [self.bulla, "--quiet", "--vault", vault.path, *given, *words(n)],
            **more,
        )

    def ways(self) -> list[str]:
        return ["identity", "after unlock"] if self.unlocked else ["identity"]

    def unlock(self, vault: Vault) -> None:
        if self.unlocked:
            self.runner.do(
                self.bulla, "--quiet", "--vault", vault.path, "--identity", self.data.identity,
                "unlock", "--for", "8h",
            )  # fmt: skip

    def floor(self, name: str, *words, **more) -> list[Command]:
        if not self.floors:
            return []
        return [Command(name, lambda n: [self.floors, *(w(n) if callable(w) else w for w in words)], **more)]

    def fill_floor(self, vault: Vault) -> Path:
        """A bare SQLite file with rows like those of the vault."""
        path = self.folder / f"bare-{vault.entries}"
        if not path.exists():
            self.runner.do(self.floors, "sqlite-fill", path, vault.entries, vault.row)
        return path

    def scratch(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        return folder


# --- one entry ---


def get(bench: Bench, entries: int) -> None:
    vault = bench.data.vault(entries)
    bench.unlock(vault)
    commands = [get_command(bench, way, vault) for way in bench.ways()]
    commands.append(Command("an empty Rust process", lambda _: [bench.empty]))
    if bench.floors:
        bare = bench.fill_floor(vault)
        commands += bench.floor("the same row out of bare SQLite", "sqlite-get", bare, entries)
    commands += bench.peers.commands("get", entries)
    lines = bench.runner.paired(commands, bench.seconds)
    bench.report.table(f"`get` out of {entries:,}", lines, f"bulla, {bench.ways()[-1]}")
    for way in bench.ways():
        work, ours = f"`get` out of {entries:,}, {way}", lines.get(f"bulla, {way}")
        bench.report.target(work, "an empty Rust process", 2.5, ours, lines.get("an empty Rust process"))
        if entries == 1000:
            bench.report.target(work, "kbs2", 1, ours, lines.get("kbs2 pass"))
            for other in ("pass show", "sops decrypt --extract", "fnox get"):
                bench.report.target(work, other, 0.2, ours, lines.get(other))


def get_growth(bench: Bench, few: int, many: int) -> None:
    commands = []
    for entries in (few, many):
        vault = bench.data.vault(entries)
        bench.unlock(vault)
        commands += [
            get_command(bench, way, vault, f"bulla, {way}, {entries:,}") for way in bench.ways()
        ]
    lines = bench.runner.paired(commands, bench.seconds)
    way = bench.ways()[-1]
    bench.report.table(f"`get` out of {few:,} and of {many:,}", lines, f"bulla, {way}, {many:,}")
    for way in bench.ways():
        small, large = (lines.get(f"bulla, {way}, {n:,}") for n in (few, many))
        bench.report.target(f"`get` out of {many:,}, {way}", f"out of {few:,}", 1.2, large, small)


def get_command(bench: Bench, way: str, vault: Vault, name: str | None = None) -> Command:
    number = vault.entries // 2
    return bench.bulla_command(
        name or f"bulla, {way}",
        way,
        vault,
        lambda _: ["get", material.name(number), "password"],
        check=lambda _, out: out == material.password(number).encode(),
    )


def unlock(bench: Bench, entries: int) -> None:
    vault = bench.data.vault(entries)
    bench.unlock(vault)
    subject = "bulla get, by passphrase"
    commands = [get_command(bench, "passphrase", vault, subject)]
    kib, passes, lanes = KDF["kib"], KDF["passes"], KDF["lanes"]
    if bench.peers.at["argon2"]:
        argv = [bench.peers.at["argon2"], "a salt of sixteen", "-id", "-t", passes, "-k", kib,
                "-p", lanes, "-l", "32", "-r"]  # fmt: skip
        commands.append(
            Command("argon2 (C), same parameters", lambda _: argv, stdin=lambda _: bench.data.passphrase)
        )
    commands += bench.floor(
        "Argon2id alone (Rust)", "argon2", kib, passes, lanes, stdin=lambda _: bench.data.passphrase
    )
    commands += [get_command(bench, way, vault) for way in bench.ways()]
    lines = bench.runner.paired(commands, bench.seconds)
    bench.report.table("unlock by passphrase", lines, subject)
    ours, alone = lines.get(subject), lines.get("Argon2id alone (Rust)")
    bench.report.target("unlock by passphrase", "argon2 (C)", 0.7, ours, lines.get("argon2 (C), same parameters"))
    if ours and alone:
        more = statistics.median(
            a.wall - b.wall for a, b in zip(ours.samples, alone.samples)
        )
        target = Target("unlock by passphrase", "Argon2id alone, and", 2, more * 1e3, unit=" ms")
        bench.report.targets.append(target)


def add(bench: Bench, few: int, many: int) -> None:
    grown: dict[tuple[str, int], Command] = {}
    for entries in dict.fromkeys((few, many)):
        vault = bench.data.vault(entries)
        bench.unlock(vault)
        value = bench.folder / "new-value"
        value.write_text("a new value of about 32 letters..")
        commands = [
            bench.bulla_command(
                f"bulla, {way}",
                way,
                vault,
                lambda n, way=way: ["set", f"new/{way.split()[-1]}-{n}", "--exact"],
                stdin=lambda _: value,
            )
            for way in bench.ways()
        ]
        if bench.floors:
            bare = bench.fill_floor(vault)
            commands += bench.floor("one commit of bare SQLite", "sqlite-add", bare, vault.row)
        commands += bench.peers.commands("add", entries)
        lines = bench.runner.paired(commands, bench.seconds)
        subject = f"bulla, {bench.ways()[-1]}"
        bench.report.table(f"add one entry to {entries:,}", lines, subject)
        for way in bench.ways():
            work, ours = f"add one to {entries:,}, {way}", lines.get(f"bulla, {way}")
            bench.report.target(work, "sqlcipher (raw key)", 0.5, ours, lines.get("sqlcipher INSERT (raw key)"))
            bench.report.target(work, "one commit of bare SQLite", 3, ours, lines.get("one commit of bare SQLite"))
            # Once more for both sizes in turn, with names that are new again.
            grown[way, entries] = bench.bulla_command(
                f"bulla, {way}, {entries:,}",
                way,
                vault,
                lambda n, way=way: ["set", f"grown/{way.split()[-1]}-{n}", "--exact"],
                stdin=lambda _: value,
            )
    if few == many:
        return
    lines = bench.runner.paired(list(grown.values()), bench.seconds)
    way = bench.ways()[-1]
    bench.report.table(f"add one entry to {few:,} and to {many:,}", lines, f"bulla, {way}, {many:,}")
    for way in bench.ways():
        small, large = (lines.get(f"bulla, {way}, {n:,}") for n in (few, many))
        bench.report.target(f"add one to {many:,}, {way}", f"to {few:,}", 1.3, large, small)


# --- many entries ---


def import_all(bench: Bench, entries: int) -> None:
    folder = bench.scratch(f"import-{entries}")
    records = bench.data.records(entries, "jsonl")
    made = folder / "made"
    made.mkdir(mode=0o700)
    empty = bench.data.empty_vault(made)
    row = bench.data.vault(min(entries, 1000)).row

    def fresh(number: int) -> None:
        (folder / f"{number}").mkdir(mode=0o700)
        shutil.copy(empty, folder / f"{number}" / "vault")

    commands = [
        Command(
            "bulla import",
            lambda n: [bench.bulla, "--quiet", "--vault", folder / f"{n}" / "vault",
                       "--identity", bench.data.identity, "import", records],
            # A client that remembered the last round would take the next one for a rollback.
            lambda n: {"XDG_STATE_HOME": str(folder / f"{n}" / "state")},
            prepare=fresh,
        )
    ]  # fmt: skip
    commands += bench.floor(
        "as many rows into bare SQLite", "sqlite-fill", lambda n: folder / f"bare-{n}", entries, row
    )
    commands += bench.peers.commands("import", entries)
    lines = bench.runner.paired(commands, bench.seconds, least=2, most=3)
    bench.report.table(f"import {entries:,}", lines, "bulla import")
    ours = lines.get("bulla import")
    work = f"import {entries:,}"
    bench.report.target(work, "sqlcipher", 1, ours, lines.get("sqlcipher .import (raw key)"))
    bench.report.target(work, "bare SQLite", 3, ours, lines.get("as many rows into bare SQLite"))
    if ours:
        peak = max(sample.peak for sample in ours.samples) / 1e6
        bench.report.targets.append(Target(work, "memory", 300, peak, unit=" MB"))
    shutil.rmtree(folder)
    for left in [*bench.folder.glob("age-import-*"), bench.folder / f"sqlcipher-import-{entries}"]:
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


# --- rendering ---
#
# Nothing of many files is removed before the end: ext4 does not give the inodes of removed files
# out again for a minute or more, and searches past them for every new file meanwhile.

REFERENCES = 20


def render_one(bench: Bench, entries: int, size: int = 10_000) -> None:
    vault = bench.data.vault(entries)
    bench.unlock(vault)
    folder = bench.scratch("render-one")
    first = entries - REFERENCES
    make = lambda form, style: bench.data.template(  # noqa: E731
        form, style, size, first, REFERENCES, folder / f"{style}.{material.SUFFIXES[form]}"
    )
    forms = ["text", "json", "yaml", "genesys-ini", "dotenv"]
    plain = {form: make(form, "plain") for form in forms}
    out = lambda name: lambda n: folder / f"out-{name}-{n}"  # noqa: E731
    commands = [
        render_command(bench, f"bulla, {form}, {way}", way, vault, form, make(form, "bulla"),
                       out(f"{form}-{way.split()[-1]}"), plain[form])
        for form in forms for way in bench.ways()
    ]  # fmt: skip
    vars_ = folder / "vars"
    values = [f"{material.variable(n)}={material.password(n)}\n" for n in range(first, entries)]
    vars_.write_text("".join(values))
    commands += plaintext(bench, folder, make("text", "shell"), make("text", "jinja"), vars_, out, plain["text"])
    lines = bench.runner.paired(commands, bench.seconds * 2)
    bench.report.table(f"render one file of {size // 1000} kB with {REFERENCES} references out of {entries:,}",
                       lines, f"bulla, yaml, {bench.ways()[-1]}")
    for form in forms:
        for way in bench.ways():
            ours = lines.get(f"bulla, {form}, {way}")
            work = f"render one {form}, {way}"
            bench.report.target(work, "sh and envsubst, plaintext", 1, ours, lines.get(SH_ENVSUBST))
            bench.report.target(work, "the least, plaintext", 2, ours, lines.get(LEAST))


SH_ENVSUBST = "sh and envsubst, plaintext"
LEAST = "the least, plaintext"


def render_tree(bench: Bench, files: int, size: int = 10_000) -> None:
    vault = bench.data.vault(max(files * REFERENCES, 1000))
    bench.unlock(vault)
    folder = bench.scratch("render-tree")
    forms = ["text", "json", "yaml"]
    tree = lambda form, style: bench.data.tree(form, style, files, size, REFERENCES)  # noqa: E731
    out = lambda name: lambda n: folder / f"out-{name}-{n}"  # noqa: E731
    commands = []
    for form in forms:
        form_out, template, plain = out(form), tree(form, "bulla"), tree(form, "plain")
        commands.append(
            bench.bulla_command(
                f"bulla, {form}", bench.ways()[-1], vault,
                lambda n, t=template, o=form_out, f=form: ["render", t, "--into", o(n), "--format", f],
                check=lambda n, _, o=form_out, p=plain: same_tree(o(n), p),
            )
        )  # fmt: skip
    shell, plain = tree("text", "shell"), tree("text", "plain")
    vars_ = bench.data.records(files * REFERENCES, "vars")
    commands += [
        Command("cp -r", lambda n: ["cp", "-r", plain, out("cp")(n)]),
        Command(
            "cp -r, then sync -f",
            lambda n: ["sh", "-c", 'cp -r "$1" "$2" && sync -f "$2"', "sh", plain, out("sync")(n)],
        ),
    ]
    commands += bench.floor(
        LEAST, "render-tree", vars_, shell, out("least"),
        check=lambda n, _: same_tree(out("least")(n), plain),
    )  # fmt: skip
    if perl := bench.peers.at["perl"]:
        script = folder / "render.pl"
        script.write_text(PERL_TREE)
        commands.append(
            Command(
                "perl, one process, plaintext",
                lambda n: [perl, script, vars_, shell, out("perl")(n)],
                check=lambda n, _: same_tree(out("perl")(n), plain),
            )
        )
    lines = bench.runner.paired(commands, bench.seconds * 2, most=15)
    bench.report.table(f"render {files:,} files of {size // 1000} kB", lines, "bulla, yaml")
    for form in forms:
        work, ours = f"render {files:,} files, {form}", lines.get(f"bulla, {form}")
        bench.report.target(work, "perl, plaintext", 0.7, ours, lines.get("perl, one process, plaintext"))
        bench.report.target(work, "cp -r", 1.5, ours, lines.get("cp -r"))


def check_tree(bench: Bench, files: int, size: int = 10_000) -> None:
    """Most files of a real tree are no templates: here each fifth is one."""
    tree = bench.scratch("check-tree")
    for number in range(files):
        line = "setting_{}: value-{}\n"
        text = "".join(line.format(n, (n * 7919 + number) % 10_000_000) for n in range(size // 30))
        if number % 5 == 0:
            text += "password: bulla://db/password\n"
        (tree / f"{number}.yaml").write_text(text)
    commands = [
        bench.bulla_command("bulla check", "", bench.data.vault(1), lambda _: ["check", tree]),
        bench.bulla_command("bulla refs", "", bench.data.vault(1), lambda _: ["refs", tree]),
    ]
    if rg := bench.peers.at["rg"]:
        commands.append(Command("rg -c bulla://", lambda _: [rg, "-c", "bulla://", tree]))
    lines = bench.runner.paired(commands, bench.seconds, most=15)
    bench.report.table(f"look through {files:,} files of {size // 1000} kB, a fifth with a reference",
                       lines, "bulla check")
    for name in ["check", "refs"]:
        bench.report.target(f"{name}, {files:,} files", "rg -c bulla://", 2, lines.get(f"bulla {name}"),
                            lines.get("rg -c bulla://"))


def render_big(bench: Bench, megabytes: int) -> None:
    size, references = megabytes * 1_000_000, megabytes * 1000
    vault = bench.data.vault(max(references, 1000))
    bench.unlock(vault)
    folder = bench.scratch("render-big")
    make = lambda form, style: bench.data.template(  # noqa: E731
        form, style, size, 0, references, folder / f"{style}.{material.SUFFIXES[form]}"
    )
    forms = ["text", "json", "genesys-ini", "yaml"]
    out = lambda name: lambda _n: folder / f"out-{name}"  # noqa: E731
    commands = []
    for form in forms:
        commands.append(
            render_command(bench, f"bulla, {form}", bench.ways()[-1], vault, form, make(form, "bulla"),
                           out(form), make(form, "plain"))
        )  # fmt: skip
    plain = folder / "plain.txt"
    gone = lambda name: lambda n: out(name)(n).unlink(missing_ok=True)  # noqa: E731
    commands += [
        Command("cp", lambda n: ["cp", plain, out("cp")(n)], prepare=gone("cp")),
        Command(
            "cp, then sync",
            lambda n: ["sh", "-c", 'cp "$1" "$2" && sync "$2"', "sh", plain, out("sync")(n)],
            prepare=gone("sync"),
        ),
    ]
    vars_ = bench.data.records(references, "vars")
    commands += plaintext(bench, folder, make("text", "shell"), make("text", "jinja"), vars_, out, plain)
    lines = bench.runner.paired(commands, bench.seconds * 3, least=2, most=7)
    bench.report.table(f"render one file of {megabytes} MB with {references:,} references", lines, "bulla, text")
    for form in forms:
        work, ours = f"render {megabytes} MB, {form}", lines.get(f"bulla, {form}")
        bench.report.target(work, "minijinja-cli, plaintext", 0.6, ours, lines.get(MINIJINJA))
        bench.report.target(work, "cp", 3, ours, lines.get("cp"))
        if ours:
            peak = max(sample.peak for sample in ours.samples) / size
            bench.report.targets.append(Target(work, "memory, in sizes of the file", 2, peak))
    shutil.rmtree(folder)


MINIJINJA = "minijinja-cli, plaintext"


def render_command(bench, name, way, vault, form, template, out, plain) -> Command:
    return bench.bulla_command(
        name,
        way,
        vault,
        lambda n: ["render", template, "--output", out(n), "--format", form],
        prepare=lambda n: out(n).unlink(missing_ok=True),
        check=lambda n, _: filecmp.cmp(out(n), plain, shallow=False),
    )


def plaintext(bench, folder, shell, jinja, vars_, out, plain) -> list[Command]:
    """The tools that replace variables by values that lie there in clear."""
    is_plain = lambda name: lambda n, _: filecmp.cmp(out(name)(n), plain, shallow=False)  # noqa: E731
    gone = lambda name: lambda n: out(name)(n).unlink(missing_ok=True)  # noqa: E731
    commands = bench.floor(
        LEAST, "render", vars_, shell, out("least"), prepare=gone("least"), check=is_plain("least")
    )
    at = bench.peers.at
    count = sum(1 for _ in vars_.open())
    # More variables than fit into an environment cannot be given to envsubst.
    if at["envsubst"] and count <= 10_000:
        script = 'set -a; . "$1"; "$2" < "$3" > "$4"'
        commands.append(
            Command(
                SH_ENVSUBST,
                lambda n: ["sh", "-c", script, "sh", vars_, at["envsubst"], shell, out("envsubst")(n)],
                check=is_plain("envsubst"),
            )
        )
    if at["minijinja-cli"]:
        values = folder / "vars.json"
        # Piece by piece: what this process holds is counted as the least peak of its children.
        with vars_.open() as pairs, values.open("w") as to:
            to.write('{"end": ""')
            for pair in pairs:
                variable, _, value = pair.rstrip("\n").partition("=")
                to.write(f', "{variable}": "{value}"')
            to.write("}")
        commands.append(
            Command(
                MINIJINJA,
                lambda n: [at["minijinja-cli"], "--autoescape", "none", "-o", out("minijinja")(n), jinja, values],
                check=is_plain("minijinja"),
            )
        )
    if at["perl"]:
        commands.append(
            Command(
                "perl, plaintext",
                lambda n: ["sh", "-c", 'perl -pe "$1" "$2" > "$3"', "sh", PERL_ONE.format(vars_), shell,
                           out("perl")(n)],
                check=is_plain("perl"),
            )
        )  # fmt: skip
    return commands


def same_tree(a: Path, b: Path) -> bool:
    names = sorted(path.name for path in b.iterdir())
    if sorted(path.name for path in a.iterdir()) != names:
        return False
    _, wrong, failed = filecmp.cmpfiles(a, b, names, shallow=False)
    return not wrong and not failed


PERL_ONE = (
    'BEGIN {{ open F, "{}"; while (<F>) {{ chomp; ($k, $v) = split /=/, $_, 2; $v{{$k}} = $v }} }} '
    "s/\\$\\{{(\\w+)\\}}/$v{{$1}}/g"
)
PERL_TREE = r"""
my ($vars, $from, $to) = @ARGV;
open F, $vars or die; while (<F>) { chomp; my ($k, $v) = split /=/, $_, 2; $v{$k} = $v } close F;
mkdir $to or die;
opendir D, $from or die;
for my $name (grep { !/^\./ } readdir D) {
    local $/;
    open I, "$from/$name" or die; my $text = <I>; close I;
    $text =~ s/\$\{(\w+)\}/$v{$1}/g;
    open O, ">$to/$name" or die; print O $text; close O;
}
"""
