"""What the benchmarks work on: records, vaults that hold them, templates that ask for them."""

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from measure import Runner

PASSPHRASE = "seven clay tokens in a hollow ball"
KDF = {"kib": 65536, "passes": 3, "lanes": 4}  # what a vault is made with by default


def name(number: int) -> str:
    return f"svc/entry-{number:07}"


def variable(number: int) -> str:
    """The name of the same value for tools that replace variables."""
    return f"V{number:07}"


def password(number: int) -> str:
    """32 letters and figures, so that every format and every tool can carry them."""
    return hashlib.sha256(b"password %d" % number).hexdigest()[:32]


def fields(number: int) -> dict[str, str]:
    """About 165 bytes with the name."""
    return {
        "user": f"user-{number:07}@mail.example.com",
        "password": password(number),
        "url": f"https://host-{number:07}.example.com/login",
        "notes": f"made for the benchmark, number {number}",
    }


@dataclass
class Vault:
    path: Path
    entries: int
    row: int  # bytes of a sealed entry as the store keeps it


class Material:
    """Makes everything that is asked for once, in one folder."""

    def __init__(self, folder: Path, runner: Runner, bulla: str, progress):
        self.folder = folder
        self.runner = runner
        self.bulla = bulla
        self.progress = progress
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE)
        self.passphrase.chmod(0o600)
        self.identity = folder / "identity"
        runner.do(bulla, "identity", "new", "--for-machine", "--output", self.identity)
        self.recipient = folder / "recipient"
        lines = self.identity.read_text().splitlines()
        self.recipient.write_text(
            next(line.split()[-1] for line in lines if line.startswith("# recipient:"))
        )
        self.vaults: dict[int, Vault] = {}

    # --- records ---

    def records(self, entries: int, form: str) -> Path:
        """All records in one file: `jsonl`, `tsv` (name, then the fields) or `vars` (NAME=password)."""
        path = self.folder / f"records-{entries}.{form}"
        if path.exists():
            return path
        with path.open("w") as out:
            for number in range(entries):
                if form == "jsonl":
                    line = json.dumps({"entry": name(number), "fields": fields(number)})
                elif form == "tsv":
                    line = "\t".join([name(number), *fields(number).values()])
                else:
                    line = f"{variable(number)}={password(number)}"
                out.write(line + "\n")
        return path

    def vars_json(self, entries: int) -> Path:
        path = self.folder / f"vars-{entries}.json"
        if not path.exists():
            path.write_text(json.dumps({variable(n): password(n) for n in range(entries)}))
        return path

    # --- vaults ---

    def empty_vault(self, folder: Path) -> Path:
        """A vault that a passphrase and an identity open. Its pin is added to the identity file."""
        path = folder / "vault"
        opened = {"BULLA_PASSPHRASE_FILE": str(self.passphrase)}
        made = self.runner.do(self.bulla, "--vault", path, "--json", "init", env=opened)
        pin = json.loads(made)["pin"]
        self.runner.do(
            self.bulla, "--vault", path, "slot", "add", "machine",
            "--recipient", f"@{self.recipient}", env=opened,
        )
        with self.identity.open("a") as identity:
            identity.write(f"# bulla-pin: {pin}\n")
        return path

    def vault(self, entries: int) -> Vault:
        """A vault with so many records."""
        if entries not in self.vaults:
            self.progress(f"making a vault with {entries:,} entries")
            folder = self.folder / f"vault-{entries}"
            folder.mkdir(mode=0o700)
            path = self.empty_vault(folder)
            self.runner.do(
                self.bulla, "--vault", path, "--identity", self.identity,
                "import", self.records(entries, "jsonl"),
            )
            self.vaults[entries] = Vault(path, entries, row_size(path))
        return self.vaults[entries]

    # --- templates ---

    def template(self, form: str, style: str, size: int, first: int, references: int, path: Path):
        """A file of about `size` bytes in lines of about 40, in which the passwords of the records
        from `first` on are asked for in the way of `style`: `bulla`, `shell`, `jinja`, or `plain`
        for the values themselves."""
        ordinary = LINES[form].format(number=0, value="an-ordinary-value-000000000")
        lines = max(size // len(ordinary), references)
        every = lines // references
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as out:
            out.write({"json": "{\n", "genesys-ini": "[log]\n"}.get(form, ""))
            for number in range(lines):
                asked, rest = divmod(number, every)
                if rest == 0 and asked < references:
                    value = placeholder(style, form, first + asked)
                else:
                    value = f"an-ordinary-value-{number:09}"
                out.write(LINES[form].format(number=number, value=value))
            out.write('"end": 1}\n' if form == "json" else "")
        return path

    def tree(self, form: str, style: str, files: int, size: int, references: int) -> Path:
        """A folder of such files, no value of which is asked for twice."""
        folder = self.folder / f"tree-{form}-{style}"
        if not folder.exists():
            self.progress(f"making {files:,} templates ({form}, {style})")
            for number in range(files):
                path = folder / f"app-{number:05}.{SUFFIXES[form]}"
                self.template(form, style, size, number * references, references, path)
        return folder


LINES = {
    "text": "key-{number:08} {value}\n",
    "json": '"key-{number:08}": "{value}",\n',
    "yaml": 'key-{number:08}: "{value}"\n',
    "genesys-ini": "option-{number:08} = {value}\n",
    "dotenv": "KEY_{number:08}={value}\n",
}
SUFFIXES = {"text": "txt", "json": "json", "yaml": "yaml", "genesys-ini": "ini", "dotenv": "env"}


def placeholder(style: str, form: str, number: int) -> str:
    if style == "plain":
        return password(number)
    if style == "shell":
        return f"${{{variable(number)}}}"
    if style == "jinja":
        return f"{{{{ {variable(number)} }}}}"
    reference = f"bulla://{name(number)}/password"
    return f"{{{{ {reference} }}}}" if form == "text" else reference


def row_size(vault: Path) -> int:
    file = sqlite3.connect(f"file:{vault}?immutable=1", uri=True)
    try:
        (size,) = file.execute("SELECT avg(length(v)) FROM (SELECT * FROM entry LIMIT 1000)").fetchone()
        return int(size)
    finally:
        file.close()
